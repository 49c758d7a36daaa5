"""The beats of some strips with their RR intervals, as readers have them now, and labelling many of them at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.labels import NOISE, label_name
from ecg_engine.preprocess import Run
from ecg_engine.rr import of_usual, rr_intervals
from ecg_engine.strips import Strips
from ecg_engine.tables import NO_PATIENT
from state.anchors import BeatIndex
from state.deciding import Decision
from state.effective import Effective
from state.seeding import target_of
from state.targets import BEAT
from state.telling import patient_words

COLUMNS = ("row", "beat_id", "place", "strip", "patient", "time_ms", "label", "before", "after", "rate", "of_usual")


def rr_beats(
    run: Run, index: BeatIndex, effective: Effective, places: NDArray[np.int64], *, with_noise: bool = False
) -> pd.DataFrame:
    """Beats of strips with their RR.

    Parameters
    ----------
    places : int64 (k,)
        The strips, by their place in the run.
    with_noise : bool
        Take noise for beats; otherwise noise is left out, and so is each interval that touches it.

    Returns
    -------
    DataFrame
        ``COLUMNS``, by strip and time: row in the run, ``beat_global_id``, the strip's place and number, the patient in
        words, R-peak in ms from the strip's start, effective label (-1: noise), RR before and after in ms, rate in
        beats a minute, and RR before as a share of the strip's median. What was not measured is missing.
    """
    assert run.strips is not None
    strips: Strips = run.strips
    wanted = np.zeros(len(strips) + 1, dtype=bool)  # one more: beats without a strip have place -1
    wanted[places] = True
    rows = np.flatnonzero(wanted[index.strip_of_beat])
    noisy = effective.noisy[rows]
    place, times = index.strip_of_beat[rows], index.time_ms[rows]
    intervals = rr_intervals(place, times, noisy, with_noise=with_noise)
    patients = np.array([patient_words(one) for one in strips.patient_id], dtype=object)
    table = pd.DataFrame(
        {
            "row": rows,
            "beat_id": index.beat_ids[rows],
            "place": place,
            "strip": strips.source_row[place],
            "patient": patients[place],
            "time_ms": times,
            "label": np.where(noisy, NOISE, effective.labels[rows]),
            "before": intervals.before,
            "after": intervals.after,
            "rate": intervals.rate,
            "of_usual": of_usual(intervals.before, place),
        }
    )
    kept = table if with_noise else table[~noisy]
    return kept.sort_values(["place", "time_ms"], ignore_index=True)


def strips_of_patient(run: Run, place: int) -> NDArray[np.int64]:
    """Places of the strips of the patient whose strip this is; strips without a patient are each alone."""
    assert run.strips is not None
    patients = run.strips.patient_id
    if patients[place] == NO_PATIENT:
        return np.array([place])
    return np.flatnonzero(np.array([one == patients[place] for one in patients], dtype=bool))


def label_beats(
    run: Run,
    index: BeatIndex,
    effective: Effective,
    rows: NDArray[np.int64],
    label: int,
    decide: Callable[..., Decision],
) -> list[Decision]:
    """One decision for each beat that a reader has not called so already.

    Parameters
    ----------
    rows : int64 (k,)
        Rows of the beats in the run.
    label : int
        -1 marks them as noise.
    decide : callable
        As ``session.decision``: target, field, new value, ``old=``.
    """
    made = []
    for row in rows.tolist():
        noisy, now = bool(effective.noisy[row]), int(effective.labels[row])
        said = effective.source[row] == BEAT
        if said and (noisy if label == NOISE else not noisy and now == label):
            continue
        target = target_of(run, index, row)
        if label == NOISE:
            made.append(decide(target, "noise", 1, old=int(noisy)))
        else:
            made.append(decide(target, "label", label, old=label_name(NOISE if noisy else now)))
    return made
