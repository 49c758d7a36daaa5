"""What holds for each beat once all decisions are counted in. Pure functions: arrays and decisions in, arrays out.

Order of precedence for a beat's label: the newest decision on the beat, else the newest on its group of look-alike
beats, else the newest on its prototype, else what the model refined and the reader accepted, else the strip's label (as
decided, else as in the file).

Beats whose R-peak a reader deleted are no beats any more; they keep their row, marked. Beats whose R-peak a reader
added have no row yet: they stand beside the run's in ``Effective.added``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.labels import NOISE, UNLABELLED, label_name
from ecg_engine.preprocess import Run
from state.anchors import BeatIndex, beat_index
from state.deciding import Decision, active
from state.peaks import Peaks, peaks_of
from state.said import MODEL, NOTHING, Said, Unmatched
from state.targets import BEAT, GROUP, PROTOTYPE, STRIP, parse_target

__all__ = ["AddedBeat", "Effective", "OutOfDate", "Unmatched", "effective_labels", "out_of_date"]

SOURCES = ("strip", MODEL, PROTOTYPE, GROUP, BEAT)
"""What a label can come from, the weakest first."""
_MANY = (PROTOTYPE, GROUP, BEAT)


class AddedBeat(NamedTuple):
    """A beat that the run has no row for: its R-peak was added by a reader (or its deletion undone) since.

    ``place`` is that of its strip, ``label`` -1 also if a reader marked it as noise; ``seed`` a label's name or None;
    ``what`` "added", or "moved" for a peak that was moved and that this run had not found.
    """

    place: int
    strip_hash: str
    anchor_ms: int
    time_ms: int
    label: int
    source: str
    seed: str | None
    unsure: bool
    note: str
    what: str

    @property
    def noise(self) -> bool:
        """Whether it is noise."""
        return self.label == NOISE


@dataclass(frozen=True)
class Effective:
    """What holds for the beats of a run.

    Attributes
    ----------
    labels : int32 (n,)
        Effective label; -1 also for a beat that a reader marked as noise, -999 for one whose R-peak was deleted.
    noise_flags : int32 (n,)
        1 for beats left out of the windows. A beat that a reader marked as noise has 0, so that the gate learns it; one
        whose R-peak was deleted has 1, so that nothing learns from it and its neighbours stand side by side.
    source : str (n,)
        What decided the label: "beat", "group", "prototype", "model" or "strip".
    by_group : bool (n,)
        A reader's word on the beat's group, be it a label or noise, reaches it; whatever else was said of the beat.
    unsure : bool (n,)
        Marked "unsure, for a second reader".
    notes : dict of int to str
        Row to the newest note on that beat.
    seeds : DataFrame
        beat_global_id, label_name: the seeds for mining.
    seed_of : dict of int to str
        Row to the label of the seed that the beat is.
    unmatched : tuple of Unmatched
        Decisions that found no beat, strip, group or prototype, with the reason.
    deleted : bool (n,)
        The R-peak was deleted: no beat for counts, queues, mixes, seeds.
    moved : bool (n,)
        The R-peak lies elsewhere than in the run.
    time_ms, anchor_ms : int64 (n,)
        Where the R-peak is by now, and what decisions on the beat are to be anchored to; from the strip's start.
    added : tuple of AddedBeat
        By strip and time.
    peaks : Peaks
        Finds the beat that an anchor speaks of; rows beyond n - 1 are none of the run's.
    decisions : tuple of Decision
        Those that hold, oldest first.
    """

    labels: NDArray[np.int32]
    noise_flags: NDArray[np.int32]
    source: NDArray[np.str_]
    by_group: NDArray[np.bool_]
    unsure: NDArray[np.bool_]
    notes: dict[int, str]
    seeds: pd.DataFrame
    seed_of: dict[int, str]
    unmatched: tuple[Unmatched, ...]
    deleted: NDArray[np.bool_]
    moved: NDArray[np.bool_]
    time_ms: NDArray[np.int64]
    anchor_ms: NDArray[np.int64]
    added: tuple[AddedBeat, ...]
    peaks: Peaks
    decisions: tuple[Decision, ...]

    @property
    def noisy(self) -> NDArray[np.bool_]:
        """Beats that are noise, whether computed (flag) or said (label), and those that were deleted."""
        return (self.noise_flags == 1) | (self.labels == NOISE)

    @cached_property
    def added_on(self) -> dict[int, list[AddedBeat]]:
        """Added beats by place of their strip."""
        found: dict[int, list[AddedBeat]] = {}
        for beat in self.added:
            found.setdefault(beat.place, []).append(beat)
        return found

    @cached_property
    def said_on(self) -> dict[str, list[Decision]]:
        """Decisions that hold on each strip and its beats, by strip hash, oldest first."""
        found: dict[str, list[Decision]] = {}
        for decision in self.decisions:
            target = parse_target(decision.target)
            if target.kind in (BEAT, STRIP):
                found.setdefault(target.name, []).append(decision)
        return found

    @cached_property
    def said_of_prototypes(self) -> list[Decision]:
        """Decisions that hold on prototypes and on groups, oldest first: what may reach beats of any strip."""
        return [made for made in self.decisions if parse_target(made.target).kind in (PROTOTYPE, GROUP)]


class OutOfDate(NamedTuple):
    """What newer decisions change about a run; false if nothing."""

    beats: int
    decisions: tuple[Decision, ...]

    def __bool__(self) -> bool:
        return self.beats > 0


def effective_labels(run: Run | BeatIndex, decisions: Iterable[Decision], *, run_id: str | None = None) -> Effective:
    """Effective labels, noise flags, seeds, notes and marks of a run's beats.

    Parameters
    ----------
    run : Run or BeatIndex
        A :class:`~state.anchors.BeatIndex` that was kept saves the time to make it.
    decisions : iterable of Decision
        Any of the study's, in any order, undos and undone ones included: what holds is worked out here.
    run_id : str, optional
        The store's id of the run, when ``run`` is a Run.
    """
    index = run if isinstance(run, BeatIndex) else beat_index(run, run_id)
    holding = active(decisions)
    peaks = peaks_of(index, holding)
    said = Said(index, peaks, holding)
    n, beats = len(index), len(index) + len(peaks.extra)
    labels, source = said.file_labels(), np.zeros(beats, dtype=np.int8)
    flags = np.zeros(beats, dtype=np.int32)
    flags[:n] = index.flags
    for kind in (MODEL, *_MANY):
        _lay_over(labels, source, said.labels[kind], SOURCES.index(kind))
    for place, kind in enumerate(_MANY):
        noise, level = said.noise[kind], SOURCES.index(kind)
        for above in _MANY[place + 1 :]:  # any word that comes before it stands, be it only "no noise"
            noise = np.where(said.noise[above] == NOTHING, noise, NOTHING)
        marked, freed = noise == 1, noise == 0
        labels[marked], source[marked] = NOISE, level
        # Said to be no noise, while the strip's label is Noise: then its class is not known.
        unknown = freed & (labels == NOISE)
        labels[unknown], source[unknown] = UNLABELLED, level
        flags[marked | freed] = 0
    words = np.array(SOURCES)[source]
    added = _added(index, peaks, said, labels[n:].tolist(), words[n:].tolist())
    gone = peaks.deleted
    labels[:n][gone], flags[:n][gone], words[:n][gone] = UNLABELLED, 1, BEAT
    said.seeds[:n][gone], said.unsure[:n][gone] = NOTHING, False
    return Effective(
        labels=labels[:n],
        noise_flags=flags[:n],
        source=words[:n],
        by_group=said.noise[GROUP][:n] != NOTHING,
        unsure=said.unsure[:n],
        notes={row: note for row, note in said.notes.items() if row < n and note},
        seeds=_seeds(index, said.seeds[:n]),
        seed_of={row: label_name(int(said.seeds[row])) for row in np.flatnonzero(said.seeds[:n] != NOTHING).tolist()},
        unmatched=tuple(said.unmatched),
        deleted=gone,
        moved=peaks.moved,
        time_ms=peaks.time_ms,
        anchor_ms=peaks.anchor_ms,
        added=added,
        peaks=peaks,
        decisions=tuple(holding),
    )


def out_of_date(run: Run | BeatIndex, decisions: Iterable[Decision], until: datetime | None) -> OutOfDate:
    """What decisions newer than a run change about its labels and flags.

    Parameters
    ----------
    run : Run or BeatIndex
    decisions : iterable of Decision
        All of the study's (``Decisions.listing``): an undo is news, too.
    until : datetime or None
        The run took decisions stored up to then into account (``RunRow.decisions_until``); None: none at all.

    Returns
    -------
    OutOfDate
        Beats whose label, flag or R-peak changed, those added since, and the newer decisions (undos, for what was
        undone).
    """
    index = run if isinstance(run, BeatIndex) else beat_index(run)
    decisions = list(decisions)
    newer = [d for d in decisions if until is None or (d.stored_at or d.at) > until]
    if not newer:
        return OutOfDate(0, ())
    late = {d.id for d in newer}
    now = effective_labels(index, decisions)
    then = effective_labels(index, [d for d in decisions if d.id not in late])
    differs = (now.labels != then.labels) | (now.noise_flags != then.noise_flags)
    differs |= (now.time_ms != then.time_ms) | (now.deleted != then.deleted)
    lie = [{(beat.place, beat.time_ms) for beat in effective.added} for effective in (now, then)]
    changed = int(np.sum(differs)) + len(lie[0] ^ lie[1])
    return OutOfDate(changed, tuple(newer) if changed else ())


def _lay_over(labels: NDArray[np.int32], source: NDArray[np.int8], above: NDArray[np.int32], level: int) -> None:
    given = above != NOTHING
    labels[given], source[given] = above[given], level


def _added(
    index: BeatIndex, peaks: Peaks, said: Said, labels: Sequence[int], sources: Sequence[str]
) -> tuple[AddedBeat, ...]:
    names, found = index.names, []
    for number, beat in enumerate(peaks.extra):
        if not beat.present:
            continue
        row = len(index) + number
        seed = int(said.seeds[row])
        found.append(
            AddedBeat(
                beat.place,
                names[beat.place],
                beat.anchor_ms,
                beat.time_ms,
                int(labels[number]),
                sources[number],
                None if seed == NOTHING else label_name(seed),
                bool(said.unsure[row]),
                said.notes.get(row, ""),
                beat.what,
            )
        )
    return tuple(sorted(found, key=lambda beat: (beat.place, beat.time_ms)))


def _seeds(index: BeatIndex, seeds: NDArray[np.int32]) -> pd.DataFrame:
    rows = np.flatnonzero(seeds != NOTHING)
    names = np.array([label_name(label) for label in seeds[rows].tolist()], dtype=object)
    return pd.DataFrame({"beat_global_id": index.beat_ids[rows], "label_name": names})
