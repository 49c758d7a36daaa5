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
from state.strip_beats import beats_of_strips
from state.targets import BEAT, beat_target
from state.telling import patient_words

COLUMNS = (
    *("key", "row", "beat_id", "place", "strip", "patient", "time_ms", "anchor_ms", "label", "source"),
    *("before", "after", "rate", "of_usual"),
)
_STRIP = 10**8
"""Milliseconds that no strip is as long as: what keeps the keys of two strips apart."""


def rr_beats(
    run: Run, index: BeatIndex, effective: Effective, places: NDArray[np.int64], *, with_noise: bool = False
) -> pd.DataFrame:
    """Beats of strips with their RR, at the R-peaks that readers have added, moved or left.

    Parameters
    ----------
    places : int64 (k,)
        The strips, by their place in the run.
    with_noise : bool
        Take noise for beats; otherwise noise is left out, and so is each interval that touches it.

    Returns
    -------
    DataFrame
        ``COLUMNS``, by strip and time: a number that stays the beat's own whatever is decided (key); row in the run
        and ``beat_global_id`` (-1 for an added beat), the strip's place and number, the patient in words, R-peak and
        anchor of decisions in ms from the strip's start, effective label (-1: noise) and what decided it, RR before
        and after in ms, rate in beats a minute, and RR before as a share of the strip's median. What was not measured
        is missing.
    """
    assert run.strips is not None
    strips: Strips = run.strips
    beats = beats_of_strips(run, index, effective, np.sort(places))
    place, times, noisy = beats["place"].to_numpy(), beats["time_ms"].to_numpy(), beats["noise"].to_numpy()
    intervals = rr_intervals(place, times, noisy, with_noise=with_noise)
    patients = np.array([patient_words(one) for one in strips.patient_id], dtype=object)
    table = pd.DataFrame(
        {
            "key": place * _STRIP + beats["anchor_ms"].to_numpy(),
            "row": beats["row"],
            "beat_id": beats["beat_id"],
            "place": place,
            "strip": strips.source_row[place],
            "patient": patients[place],
            "time_ms": times,
            "anchor_ms": beats["anchor_ms"],
            "label": np.where(noisy, NOISE, beats["label"].to_numpy()),
            "source": beats["source"],
            "before": intervals.before,
            "after": intervals.after,
            "rate": intervals.rate,
            "of_usual": of_usual(intervals.before, place),
        }
    )
    return table if with_noise else table[~noisy].reset_index(drop=True)


def strips_of_patient(run: Run, place: int) -> NDArray[np.int64]:
    """Places of the strips of the patient whose strip this is; strips without a patient are each alone."""
    assert run.strips is not None
    patients = run.strips.patient_id
    if patients[place] == NO_PATIENT:
        return np.array([place])
    return np.flatnonzero(np.array([one == patients[place] for one in patients], dtype=bool))


def label_beats(run: Run, beats: pd.DataFrame, label: int, decide: Callable[..., Decision]) -> list[Decision]:
    """One decision for each beat that no reader has called so already.

    Parameters
    ----------
    beats : DataFrame
        From :func:`rr_beats`.
    label : int
        -1 marks them as noise.
    decide : callable
        As ``session.decision``: target, field, new value, ``old=``.
    """
    assert run.strips is not None
    hashes = run.strips.strip_hash
    made = []
    columns = (beats[name].tolist() for name in ("place", "anchor_ms", "label", "source"))
    for place, anchor, now, source in zip(*columns, strict=True):
        if source == BEAT and now == label:
            continue
        target = beat_target(str(hashes[place]), anchor)
        if label == NOISE:
            made.append(decide(target, "noise", 1, old=int(now == NOISE)))
        else:
            made.append(decide(target, "label", label, old=label_name(now)))
    return made
