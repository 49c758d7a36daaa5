"""What was said of each beat, whatever it is that holds then: decisions put in their places. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_engine.labels import NOISE, label_id
from state.anchors import TOLERANCE_MS, BeatIndex
from state.deciding import Decision
from state.peaks import PEAK, Peaks
from state.targets import BEAT, GROUP, PEAK_DELETED, PROTOTYPE, STRIP, Target, parse_target

MODEL = "model"
NOTHING = np.int32(-9999)
VERDICTS_OF_MANY = ("label", "noise")
_NO_ROWS = np.empty(0, dtype=np.int64)


class Unmatched(NamedTuple):
    """A decision that the run has no place for, wholly or in part."""

    decision: Decision
    reason: str


class Said:
    """What was said of each beat, per kind of target; later decisions overwrite earlier ones.

    Rows beyond those of the run are the extra beats of ``peaks``.
    """

    def __init__(self, index: BeatIndex, peaks: Peaks, decisions: Sequence[Decision]) -> None:
        self.index, self.peaks = index, peaks
        self.size = len(index) + len(peaks.extra)
        self.unmatched: list[Unmatched] = []
        self.notes: dict[int, str] = {}
        self.labels = {kind: self._nothing() for kind in (MODEL, PROTOTYPE, GROUP, BEAT)}
        self.noise = {kind: self._nothing() for kind in (PROTOTYPE, GROUP, BEAT)}
        self.seeds = self._nothing()
        self.unsure = np.zeros(self.size, dtype=bool)
        self._strip_labels = np.full(len(index.hashes), NOTHING, dtype=np.int32)
        beats: list[tuple[Decision, Target]] = []
        for decision in decisions:
            target = parse_target(decision.target)
            if target.kind == BEAT:
                beats.append((decision, target))
            elif target.kind in (GROUP, PROTOTYPE):
                self._many(decision, target)
            elif target.kind == STRIP:
                self._strip(decision, target)
        self._beats(beats)

    def _nothing(self) -> NDArray[np.int32]:
        return np.full(self.size, NOTHING, dtype=np.int32)

    def file_labels(self) -> NDArray[np.int32]:
        """The strip's label for each of its beats: as decided, else as in the file."""
        index, extra = self.index, np.array([beat.place for beat in self.peaks.extra], dtype=np.int64)
        labels = np.concatenate([index.file_labels, index.strip_labels[extra]]).astype(np.int32)
        place = np.concatenate([index.strip_of_beat, extra])
        decided = np.full(len(labels), NOTHING, dtype=np.int32)
        decided[place >= 0] = self._strip_labels[place[place >= 0]]
        return np.where(decided == NOTHING, labels, decided).astype(np.int32)

    def _strip(self, decision: Decision, target: Target) -> None:
        place = self.index.hashes.get(target.name)
        if place is None:
            self.unmatched.append(Unmatched(decision, "the strip is not in this run"))
        elif decision.field == "label":
            self._strip_labels[place] = _label(decision.new)

    def _beats(self, beats: list[tuple[Decision, Target]]) -> None:
        strips = self.index.places(target.name for _, target in beats)
        times = np.array([target.number for _, target in beats], dtype=np.int64)
        rows = self.peaks.places.match(strips, times)
        for (decision, _), row, strip in zip(beats, rows.tolist(), strips.tolist(), strict=True):
            if strip < 0:
                self.unmatched.append(Unmatched(decision, "its strip is not in this run"))
            elif decision.field == PEAK:
                self._peak(decision, row, strip)
            elif row < 0:
                self.unmatched.append(Unmatched(decision, f"no R-peak within {TOLERANCE_MS} ms of it in this run"))
            elif decision.field == "refined":
                self.labels[MODEL][row] = _label(decision.new)
            elif decision.field == "seed":
                self.seeds[row] = _label(decision.new)
            elif decision.field == "unsure":
                self.unsure[row] = decision.new == "1"
            elif decision.field == "note":
                self.notes[row] = decision.new or ""
            else:
                self._verdict(BEAT, decision, row)

    def _peak(self, decision: Decision, row: int, strip: int) -> None:
        """Which R-peaks there are is worked out already; what is left is to say which could not become beats."""
        extra = self.peaks.extra[row - len(self.index)] if row >= len(self.index) else None
        if extra is not None and extra.present and decision.new not in (None, PEAK_DELETED):
            why = self.index.refused.get((strip, extra.time_ms))
            if why:
                self.unmatched.append(Unmatched(decision, f"the R-peak stays in the strip, but has no beat: {why}"))

    def _many(self, decision: Decision, target: Target) -> None:
        """One word on all beats of a group or a prototype; of another run's, on those that are found again."""
        rows, asked = rows_of_many(self.index, self.peaks, decision, target)
        if not len(rows):
            why = "it belongs to another run, and its beats were not kept"
            if asked:
                why = f"none of its {asked} beats has an R-peak in this run"
            elif target.name == self.index.run_id:
                why = f"the run has no such {target.kind}"
            self.unmatched.append(Unmatched(decision, why))
            return
        if decision.field in VERDICTS_OF_MANY:
            self._verdict(target.kind, decision, rows)
        if len(rows) < asked:
            self.unmatched.append(Unmatched(decision, f"{asked - len(rows)} of its {asked} beats have no R-peak here"))

    def _verdict(self, kind: str, decision: Decision, rows: Any) -> None:
        """A class label makes a beat valid, the label Noise marks it as noise; "valid" keeps the class said before."""
        label, noise = self.labels[kind], self.noise[kind]
        if decision.field == "noise":
            # A class that was said still says that the beat is valid.
            unsaid = np.where(label[rows] == NOTHING, NOTHING, 0)
            noise[rows] = unsaid if decision.new is None else int(decision.new)
        elif decision.field == "label":
            value = _label(decision.new)
            if value == NOTHING:
                label[rows] = noise[rows] = NOTHING
            elif value == NOISE:
                noise[rows] = 1
            else:
                label[rows], noise[rows] = value, 0


def rows_of_many(index: BeatIndex, peaks: Peaks, decision: Decision, target: Target) -> tuple[NDArray[np.int64], int]:
    """Rows of the beats that a word on a group or a prototype is about, and how many anchors were looked for (else 0).

    In its own run they are the members; in another one, those that are found again.
    """
    of = index.groups if target.kind == GROUP else index.prototypes
    here = target.name == index.run_id
    rows = np.flatnonzero(of == target.number) if here else _NO_ROWS
    if len(rows) or (here and target.kind == PROTOTYPE):
        return rows, 0
    members: dict[str, list[int]] = decision.payload.get("members") or {}
    counts = [len(times) for times in members.values()]
    strips = np.repeat(index.places(members), counts)
    times = np.fromiter((time for times in members.values() for time in times), dtype=np.int64)
    found = peaks.places.match(strips, times)
    return np.unique(found[found >= 0]), sum(counts)


def _label(name: str | None) -> int:
    return int(NOTHING) if name is None else label_id(name)
