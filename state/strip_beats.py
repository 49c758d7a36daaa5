"""The beats of strips as readers have them: added ones among the others, deleted ones left out. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.beats import LONE_RR_SEC
from ecg_engine.preprocess import Run
from state.anchors import BeatIndex
from state.effective import AddedBeat, Effective, effective_labels
from state.peaks import PEAK

COLUMNS = (
    "place",
    "time_ms",
    "anchor_ms",
    "row",
    "beat_id",
    "label",
    "noise",
    "reasons",
    "source",
    "seed",
    "unsure",
    "note",
    "prototype",
    "peak",
    "rr_prev",
    "rr_next",
)
READER = "reader"
"""Why a beat is noise that a reader called so."""


def strip_beats(
    run: Run, index: BeatIndex, effective: Effective, place: int, *, blind_for: str | None = None
) -> pd.DataFrame:
    """The beats of one strip, in order of time.

    Parameters
    ----------
    run : Run
    index : BeatIndex
        Of the run.
    effective : Effective
        Of the index.
    place : int
        Of the strip in the run.
    blind_for : str, optional
        A reader who is not to see what others said: labels, noise, seeds, marks and notes are those that would hold
        without any other reader's words. R-peaks stay where they are by all readers' words, so that the beat asked
        about is there.

    Returns
    -------
    DataFrame
        ``COLUMNS``: place; time_ms, anchor_ms (of decisions on the beat); row and beat_id (-1 for a beat that the run
        does not have); label (effective); noise (bool, computed or said); reasons (why: "rr;slope", "reader", ""
        where it is none); source ("beat", "prototype", "model", "strip"); seed (a label's name or None); unsure; note
        ("" for none); prototype (-1: none); peak (None, "added" or "moved": not yet so in the run); rr_prev, rr_next
        (ms between R-peaks as they are by now; ends repeat their neighbour, a lone beat has 1000, as in the run).
    """
    return beats_of_strips(run, index, effective, [place], blind_for=blind_for)


def beats_of_strips(
    run: Run,
    index: BeatIndex,
    effective: Effective,
    places: Sequence[int] | NDArray[np.int64] | None = None,
    *,
    blind_for: str | None = None,
) -> pd.DataFrame:
    """The beats of many strips (all by default) by place and time, as :func:`strip_beats` has them: faster than one
    by one."""  # fmt: skip
    if blind_for is not None:
        wanted = range(len(index.hashes)) if places is None else sorted({int(place) for place in places})
        return _blind(run, index, effective, wanted, blind_for)
    if places is None:
        return _of(run, index, effective, np.flatnonzero(index.strip_of_beat >= 0), list(effective.added))
    added = [beat for place in places for beat in effective.added_on.get(int(place), ())]
    return _of(run, index, effective, _rows(index, places), added)


def _of(
    run: Run, index: BeatIndex, effective: Effective, rows: NDArray[np.int64], added: Sequence[AddedBeat]
) -> pd.DataFrame:
    return _table(index, effective, rows, added, _reasons(run, rows))


def _rows(index: BeatIndex, places: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    none = np.empty(0, dtype=np.int64)
    return np.concatenate([none, *(index.rows_of_strip(int(place)) for place in places)])


def _reasons(run: Run, rows: NDArray[np.int64]) -> NDArray[Any]:
    if "noise_reason" not in run.metadata:
        return np.full(len(rows), "", dtype=object)
    return np.asarray(run.metadata["noise_reason"].to_numpy(dtype=object)[rows])


def _ints(values: Iterable[int]) -> NDArray[np.int64]:
    return np.fromiter(values, dtype=np.int64)


def _nones(count: int) -> NDArray[Any]:
    return np.full(count, None, dtype=object)


def _table(
    index: BeatIndex,
    effective: Effective,
    rows: NDArray[np.int64],
    added: Sequence[AddedBeat],
    why: NDArray[Any],
) -> pd.DataFrame:
    """``why``: the computed reasons of each of the rows."""
    stays = ~effective.deleted[rows]
    rows, why = rows[stays], why[stays]
    k, count = len(added), len(rows) + len(added)
    labels = np.concatenate([effective.labels[rows], np.array([beat.label for beat in added], dtype=np.int32)])
    noise = np.concatenate([effective.noisy[rows], np.array([beat.noise for beat in added], dtype=bool)])
    computed = np.concatenate([effective.noise_flags[rows] == 1, np.zeros(k, dtype=bool)])
    sources = np.concatenate([effective.source[rows], np.array([beat.source for beat in added], dtype=str)])
    reasons = np.concatenate([why, np.full(k, "", dtype=object)])
    reasons = np.where(computed, reasons, np.where(noise & (sources != "strip"), READER, ""))
    seeds, notes, peak = _nones(count), np.full(count, "", dtype=object), _nones(count)
    seeds[: len(rows)] = [effective.seed_of.get(row) for row in rows.tolist()]
    peak[: len(rows)][effective.moved[rows]] = "moved"
    if effective.notes:
        notes[: len(rows)] = [effective.notes.get(row, "") for row in rows.tolist()]
    for number, beat in enumerate(added, len(rows)):
        seeds[number], notes[number], peak[number] = beat.seed, beat.note, beat.what
    minus = np.full(k, -1, dtype=np.int64)
    place = np.concatenate([index.strip_of_beat[rows], _ints(beat.place for beat in added)])
    time = np.concatenate([effective.time_ms[rows], _ints(beat.time_ms for beat in added)])
    order = np.lexsort((time, place))
    rr_prev, rr_next = rr_ms(place[order], time[order])
    columns: dict[str, Any] = {
        "place": place,
        "time_ms": time,
        "anchor_ms": np.concatenate([effective.anchor_ms[rows], _ints(beat.anchor_ms for beat in added)]),
        "row": np.concatenate([rows, minus]),
        "beat_id": np.concatenate([index.beat_ids[rows], minus]),
        "label": labels,
        "noise": noise,
        "reasons": reasons,
        "source": sources.astype(object),
        "seed": seeds,
        "unsure": np.concatenate([effective.unsure[rows], np.array([beat.unsure for beat in added], dtype=bool)]),
        "note": notes,
        "prototype": np.concatenate([index.prototypes[rows].astype(np.int64), minus]),
        "peak": peak,
    }
    table = {name: values[order] for name, values in columns.items()}
    return pd.DataFrame({**table, "rr_prev": rr_prev, "rr_next": rr_next}, columns=list(COLUMNS), copy=False)


def rr_ms(place: NDArray[np.int64], time: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """RR before and after each beat in ms, int64 (n,); ends repeat their neighbour, a lone beat has 1000.

    Parameters
    ----------
    place, time : int64 (n,)
        By strip and time.
    """
    lone = round(LONE_RR_SEC * 1000)
    same, gap = place[1:] == place[:-1], np.diff(time)
    before, after = np.full(len(place), lone, dtype=np.int64), np.full(len(place), lone, dtype=np.int64)
    has_before, has_after = np.append(False, same)[: len(place)], np.append(same, False)[: len(place)]
    before[has_before], after[has_after] = gap[same], gap[same]
    first, last = ~has_before & has_after, has_before & ~has_after
    before[first], after[last] = after[first], before[last]
    return before, after


def _blind(run: Run, index: BeatIndex, effective: Effective, places: Sequence[int], reader: str) -> pd.DataFrame:
    """The table of some strips by what one reader said, and all readers' R-peaks."""
    parts = [index.rows_of_strip(place) for place in places]
    rows = np.concatenate([np.empty(0, dtype=np.int64), *parts])
    names = [index.names[place] for place in places]
    alone = BeatIndex(
        run_id=index.run_id,
        hashes={name: number for number, name in enumerate(names)},
        strip_of_beat=np.repeat(np.arange(len(places), dtype=np.int64), [len(part) for part in parts]),
        time_ms=index.time_ms[rows],
        beat_ids=index.beat_ids[rows],
        file_labels=index.file_labels[rows],
        flags=index.flags[rows],
        prototypes=index.prototypes[rows],
        taken_in={number: index.taken_in[place] for number, place in enumerate(places) if place in index.taken_in},
        strip_labels=index.strip_labels[list(places)],
    )
    said = [*effective.said_of_prototypes, *(one for name in names for one in effective.said_on.get(name, ()))]
    seen = effective_labels(alone, [one for one in said if one.reader == reader or one.field == PEAK])
    table = _table(alone, seen, np.arange(len(rows)), list(seen.added), _reasons(run, rows))
    own = table["row"].to_numpy()
    there = np.append(rows, -1)[own]  # -1, a beat that the run does not have, stays so
    return table.assign(place=np.asarray(places, dtype=np.int64)[table["place"].to_numpy()], row=there)
