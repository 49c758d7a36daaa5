"""What readers have said of the items of a queue: what settles them, and who was unsure. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from state.anchors import BeatIndex
from state.deciding import Decision
from state.effective import Effective
from state.reviewing import VERDICT_FIELDS
from state.targets import BEAT, GROUP, STRIP, parse_target

_SETTLES: Mapping[str, tuple[str, ...]] = {BEAT: VERDICT_FIELDS, STRIP: ("label",), GROUP: ("label", "noise")}


@dataclass
class Words:
    """What was said of one beat, strip or group.

    Attributes
    ----------
    verdicts : dict of (field, reader) to Decision
        The newest verdict of each reader in each field; gone once somebody took the field back.
    unsure : dict of reader to Decision
        Who marked it "unsure, for a second reader"; gone once somebody took the mark away.
    """

    verdicts: dict[tuple[str, str], Decision] = field(default_factory=dict)
    unsure: dict[str, Decision] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """Whether any reader has settled it."""
        return bool(self.verdicts)

    @property
    def newest(self) -> Decision | None:
        """The newest verdict."""
        return max(self.verdicts.values(), key=lambda made: made.order, default=None)

    @property
    def waits(self) -> bool:
        """Whether it waits for a second reader: marked, and not settled since by a reader who was sure."""
        if not self.unsure:
            return False
        marked = max(made.order for made in self.unsure.values())
        return not any(made.order > marked for (_, reader), made in self.verdicts.items() if reader not in self.unsure)

    def take(self, made: Decision) -> None:
        """Count in the next decision."""
        if made.field == "unsure":
            if made.new == "1":
                self.unsure[made.reader] = made
            else:
                self.unsure.clear()
        elif made.new is None:  # "nothing said" leaves what was said in another field
            for known in [key for key in self.verdicts if key[0] == made.field]:
                del self.verdicts[known]
        else:
            self.verdicts[(made.field, made.reader)] = made


@dataclass(frozen=True)
class Said:
    """What was said, by row of a beat (from n on: beats that the run has no row for), place of a strip, group's id."""

    beats: dict[int, Words]
    strips: dict[int, Words]
    groups: dict[int, Words]


def said_of_items(index: BeatIndex, effective: Effective) -> Said:
    """Verdicts and unsure marks of a run's beats, strips and groups.

    A word on a beat's prototype or strip settles no beat, and a word on a beat no strip: it was not said of it. What
    was said of groups of other runs is about beats here (``Effective.by_group``), not about groups.

    Parameters
    ----------
    index : BeatIndex
    effective : Effective
        With the decisions that hold, and the places of beats as readers have edited them.
    """
    beats: list[tuple[Decision, str, int]] = []
    strips: dict[int, Words] = {}
    groups: dict[int, Words] = {}
    for made in effective.decisions:
        if made.field != "unsure" and made.field not in VERDICT_FIELDS:
            continue
        target = parse_target(made.target)
        if made.field != "unsure" and made.field not in _SETTLES.get(target.kind, ()):
            continue
        if target.kind == BEAT:
            beats.append((made, target.name, target.number))
        elif target.kind == STRIP and target.name in index.hashes:
            strips.setdefault(index.hashes[target.name], Words()).take(made)
        elif target.kind == GROUP and target.name == index.run_id:
            groups.setdefault(target.number, Words()).take(made)
    rows = effective.peaks.places.match(
        index.places(name for _, name, _ in beats), np.array([time for _, _, time in beats], dtype=np.int64)
    )
    of_beats: dict[int, Words] = {}
    for (made, _, _), row in zip(beats, rows.tolist(), strict=True):
        if row >= 0:
            of_beats.setdefault(row, Words()).take(made)
    return Said(of_beats, strips, groups)
