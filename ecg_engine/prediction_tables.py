"""What a prediction is in either profile: its tables and summary, and what both profiles work out alike.

:mod:`ecg_engine.prediction` makes them (spec section 9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.bundle import Bundle
from ecg_engine.config import PredictConfig
from ecg_engine.labels import UNKNOWN, label_name

Doubts = Mapping[str, NDArray[np.bool_]]
"""Which beats each test sends to review, by the test's name."""


@dataclass(frozen=True)
class Prediction:
    """What a model says about a run.

    Attributes
    ----------
    beats : DataFrame
        The run's metadata, every beat of it, plus pred_label_raw, pred_label_name, pred_conf, noise_prob,
        max_proto_sim, review_flag, final_label, final_label_name and review_reason ("confidence;noise;similarity",
        those that apply). Noise-flagged beats have final_label -1 and no prediction in the reference profile; in the
        arrhythmia profile they are predicted all the same, and there are aami (N, S, V, F, Q), p_n, p_s, p_v, p_f
        (probabilities) and known_share (of the strip) besides.
    strips : DataFrame
        One row a strip with beats: source_row, strip_pred_label, strip_pred_name, strip_pred_ratio, num_beats,
        num_review, num_noise. In the arrhythmia profile strips without beats have a row, too, and there are
        strip_finding (label id of the most serious finding, -99 where none can be stood by), strip_finding_name,
        findings (words, the most serious first, parted by "; "), finding_confidence, unknown_score (the distance from
        all known patterns), known_share (share of known strips that are at least as strange) and rules_version.
    summary : dict
        prediction_summary_v2.json.
    """

    beats: pd.DataFrame
    strips: pd.DataFrame
    summary: dict[str, Any]


def review_reasons(doubts: Doubts) -> list[str]:
    """Names of the tests that each beat failed, "confidence;noise"; "" where it passed all."""
    flags = np.stack(list(doubts.values()), axis=1)
    words = {
        code: ";".join(n for n, on in zip(doubts, code, strict=True) if on)
        for code in map(tuple, np.unique(flags, axis=0).tolist())
    }
    return [words[code] for code in map(tuple, flags.tolist())]


def strip_votes(beats: pd.DataFrame, counted: NDArray[np.bool_]) -> pd.DataFrame:
    """What most beats of each strip are: the first columns of :attr:`Prediction.strips`, strips without beats left out.

    Parameters
    ----------
    beats : DataFrame
        source_row, final_label and review_flag of n beats.
    counted : bool (n,)
        Beats that have a vote; the others are counted as noise.
    """
    rows = beats["source_row"].to_numpy()
    known, place = np.unique(rows, return_inverse=True)
    final = beats["final_label"].to_numpy()
    num_beats = np.bincount(place, counted, len(known)).astype(np.int64)
    named = counted & (final >= 0)
    labels = np.unique(final[named])
    winner, best = np.full(len(known), UNKNOWN), np.zeros(len(known))
    for label in labels:  # ascending, and only a larger count wins: equal counts go to the lowest label
        count = np.bincount(place, named & (final == label), len(known))
        winner = np.where(count > best, label, winner)
        best = np.maximum(best, count)
    return pd.DataFrame(
        {
            "source_row": known,
            "strip_pred_label": winner.astype(np.int64),
            "strip_pred_name": [label_name(label) for label in winner],
            "strip_pred_ratio": best / np.maximum(num_beats, 1),
            "num_beats": num_beats,
            "num_review": np.bincount(place, beats["review_flag"], len(known)).astype(np.int64),
            "num_noise": np.bincount(place, ~counted, len(known)).astype(np.int64),
        }
    )


def summary_of(
    bundle: Bundle,
    config: PredictConfig,
    beats: pd.DataFrame,
    strips: pd.DataFrame,
    counted: NDArray[np.bool_],
    doubts: Doubts,
    left_out: Mapping[str, str],
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """What both profiles say in prediction_summary_v2.json.

    Parameters
    ----------
    bundle : Bundle
    config : PredictConfig
        The thresholds that were used.
    beats, strips : DataFrame
        Of the prediction.
    counted : bool (n,)
        Beats that could go to review.
    doubts : mapping of str to bool (n,)
    left_out : mapping of str to str
        Tests that the model cannot make, each with the reason.
    notes : sequence of str
        What else a reader should know.
    """
    n, n_review = int(counted.sum()), int(beats["review_flag"].sum())
    final = beats["final_label"].to_numpy()[counted]
    values, counts = np.unique(final, return_counts=True)
    return {
        "num_beats_predicted": n,
        "num_review_flagged": n_review,
        "review_rate": n_review / max(n, 1),
        "num_strips": len(strips),
        "unknown_strips": int((strips["strip_pred_label"] == UNKNOWN).sum()),
        "thresholds": config.to_dict(),
        "num_noise_flagged": int((~counted).sum()),
        "strips_of_noise_only": int((strips["num_beats"] == 0).sum()),
        "review_reasons": {name: int(failed.sum()) for name, failed in doubts.items()},
        "tests_left_out": dict(left_out),
        "final_label_counts": {str(value): int(count) for value, count in zip(values, counts, strict=True)},
        "model": bundle.model,
        "classes": list(bundle.classes),
        "num_prototypes": 0 if bundle.bank is None else len(bundle.bank),
        "engine_version": bundle.engine_version,
        "notes": [*(f"{reason} So the {test} test was left out." for test, reason in left_out.items()), *notes],
    }
