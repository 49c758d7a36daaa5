"""What holds for each beat once all decisions are counted in. Pure functions: arrays and decisions in, arrays out.

Order of precedence for a beat's label: the newest decision on the beat, else the newest on its prototype, else what
the model refined and the reader accepted, else the strip's label (as decided, else as in the file).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.labels import NOISE, UNLABELLED, label_id, label_name
from ecg_engine.preprocess import Run
from state.anchors import TOLERANCE_MS, BeatIndex, beat_index
from state.decisions import Decision, active
from state.targets import BEAT, PROTOTYPE, STRIP, Target, parse_target

SOURCES = ("strip", "model", "prototype", "beat")
MODEL = "model"
MODEL_LEVEL, PROTOTYPE_LEVEL, BEAT_LEVEL = 1, 2, 3  # places in SOURCES
NOTHING = np.int32(-9999)


class Unmatched(NamedTuple):
    """A decision that the run has no place for, wholly or in part."""

    decision: Decision
    reason: str


@dataclass(frozen=True)
class Effective:
    """What holds for the beats of a run.

    Attributes
    ----------
    labels : int32 (n,)
        Effective label; -1 also for a beat that a reader marked as noise.
    noise_flags : int32 (n,)
        1 for beats left out of the windows. A beat that a reader marked as noise has 0, so that the gate learns it.
    source : str (n,)
        What decided the label: "beat", "prototype", "model" or "strip".
    unsure : bool (n,)
        Marked "unsure, for a second reader".
    notes : dict of int to str
        Row to the newest note on that beat.
    seeds : DataFrame
        beat_global_id, label_name: the seeds for mining.
    unmatched : tuple of Unmatched
        Decisions that found no beat, strip or prototype, with the reason.
    """

    labels: NDArray[np.int32]
    noise_flags: NDArray[np.int32]
    source: NDArray[np.str_]
    unsure: NDArray[np.bool_]
    notes: dict[int, str]
    seeds: pd.DataFrame
    unmatched: tuple[Unmatched, ...]

    @property
    def noisy(self) -> NDArray[np.bool_]:
        """Beats that are noise, whether computed (flag) or said (label)."""
        return (self.noise_flags == 1) | (self.labels == NOISE)


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
    said = _Said(index, active(decisions))
    labels, source = said.file_labels(), np.zeros(len(index), dtype=np.int8)
    flags = index.flags.copy()
    _lay_over(labels, source, said.labels[MODEL], MODEL_LEVEL)
    _lay_over(labels, source, said.labels[PROTOTYPE], PROTOTYPE_LEVEL)
    _lay_over(labels, source, said.labels[BEAT], BEAT_LEVEL)
    for kind, level in ((PROTOTYPE, PROTOTYPE_LEVEL), (BEAT, BEAT_LEVEL)):
        noise = said.noise[kind]
        if kind == PROTOTYPE:  # any word on the beat itself comes first
            noise = np.where(said.noise[BEAT] == NOTHING, noise, NOTHING)
        marked, freed = noise == 1, noise == 0
        labels[marked], source[marked] = NOISE, level
        # Said to be no noise, while the strip's label is Noise: then its class is not known.
        unknown = freed & (labels == NOISE)
        labels[unknown], source[unknown] = UNLABELLED, level
        flags[marked | freed] = 0
    return Effective(
        labels=labels,
        noise_flags=flags,
        source=np.array(SOURCES)[source],
        unsure=said.unsure,
        notes=said.notes,
        seeds=_seeds(index, said.seeds),
        unmatched=tuple(said.unmatched),
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
        Beats whose label or flag changed, and the newer decisions (undos, for what was undone).
    """
    index = run if isinstance(run, BeatIndex) else beat_index(run)
    decisions = list(decisions)
    newer = [d for d in decisions if until is None or (d.stored_at or d.at) > until]
    if not newer:
        return OutOfDate(0, ())
    late = {d.id for d in newer}
    now = effective_labels(index, decisions)
    then = effective_labels(index, [d for d in decisions if d.id not in late])
    changed = int(np.sum((now.labels != then.labels) | (now.noise_flags != then.noise_flags)))
    return OutOfDate(changed, tuple(newer) if changed else ())


def _lay_over(labels: NDArray[np.int32], source: NDArray[np.int8], above: NDArray[np.int32], level: int) -> None:
    given = above != NOTHING
    labels[given], source[given] = above[given], level


class _Said:
    """What was said of each beat, per kind of target; later decisions overwrite earlier ones."""

    def __init__(self, index: BeatIndex, decisions: Sequence[Decision]) -> None:
        self.index = index
        self.unmatched: list[Unmatched] = []
        self.notes: dict[int, str] = {}
        self.labels = {kind: self._nothing() for kind in (MODEL, PROTOTYPE, BEAT)}
        self.noise = {kind: self._nothing() for kind in (PROTOTYPE, BEAT)}
        self.seeds = self._nothing()
        self.unsure = np.zeros(len(index), dtype=bool)
        self._strip_labels = np.full(len(index.hashes), NOTHING, dtype=np.int32)
        beats: list[tuple[Decision, Target]] = []
        for decision in decisions:
            target = parse_target(decision.target)
            if target.kind == BEAT:
                beats.append((decision, target))
            elif target.kind == PROTOTYPE:
                self._prototype(decision, target)
            elif target.kind == STRIP:
                self._strip(decision, target)
        self._beats(beats)

    def _nothing(self) -> NDArray[np.int32]:
        return np.full(len(self.index), NOTHING, dtype=np.int32)

    def file_labels(self) -> NDArray[np.int32]:
        """The strip's label for each of its beats: as decided, else as in the file."""
        labels, place = self.index.file_labels.copy(), self.index.strip_of_beat
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
        rows = self.index.match(strips, times)
        for (decision, _), row, strip in zip(beats, rows.tolist(), strips.tolist(), strict=True):
            if row < 0:
                no_peak = f"no R-peak within {TOLERANCE_MS} ms of it in this run"
                self.unmatched.append(Unmatched(decision, "its strip is not in this run" if strip < 0 else no_peak))
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

    def _prototype(self, decision: Decision, target: Target) -> None:
        if target.name == self.index.run_id:
            rows, asked = np.flatnonzero(self.index.prototypes == target.number), 0
        else:
            rows, asked = self._members(decision)
        if not len(rows):
            why = "it belongs to another run, and its beats were not kept"
            if asked:
                why = f"none of its {asked} beats has an R-peak in this run"
            elif target.name == self.index.run_id:
                why = "the run has no such prototype"
            self.unmatched.append(Unmatched(decision, why))
            return
        self._verdict(PROTOTYPE, decision, rows)
        if len(rows) < asked:
            self.unmatched.append(Unmatched(decision, f"{asked - len(rows)} of its {asked} beats have no R-peak here"))

    def _members(self, decision: Decision) -> tuple[NDArray[np.int64], int]:
        members: dict[str, list[int]] = decision.payload.get("members") or {}
        counts = [len(times) for times in members.values()]
        strips = np.repeat(self.index.places(members), counts)
        times = np.fromiter((time for times in members.values() for time in times), dtype=np.int64)
        rows = self.index.match(strips, times)
        return np.unique(rows[rows >= 0]), sum(counts)

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


def _label(name: str | None) -> int:
    return int(NOTHING) if name is None else label_id(name)


def _seeds(index: BeatIndex, seeds: NDArray[np.int32]) -> pd.DataFrame:
    rows = np.flatnonzero(seeds != NOTHING)
    names = np.array([label_name(label) for label in seeds[rows].tolist()], dtype=object)
    return pd.DataFrame({"beat_global_id": index.beat_ids[rows], "label_name": names})
