"""What a model found on each strip of a run, and how its noise was judged, by the strip's place. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ecg_engine.arrhythmia.findings import RULES
from ecg_engine.arrhythmia.quality import SENTENCES
from ecg_engine.labels import UNKNOWN, UNLABELLED, label_name
from ecg_engine.preprocess import Run

NORMAL = 0
CLASSES = ("N", "S", "V", "F")
UNKNOWN_PATTERN, NOTHING_SURE, NOT_READ = "Unknown pattern", "Nothing sure", "Not read"
"""In place of a finding: a strip unlike those that the model knows; none that can be stood by; no beat was read."""

_LAST = len(RULES) + 1
_RANKS = {
    **{rule.label: place for place, rule in enumerate(RULES, 1)},
    **{label: _LAST + place for place, label in enumerate((UNKNOWN, NORMAL, UNLABELLED), 1)},
}
"""How serious a finding is, 1 the most; ``_LAST`` for one that no rule makes."""


@dataclass(frozen=True)
class Findings:
    """Findings of a prediction, strip by strip in the run's order.

    Attributes
    ----------
    words : list of str
        All findings, the most serious first: "ventricular couplet; PVC 3/12". Empty for a strip that was not read.
    label : int64 (s,)
        The most serious one; -99 where none can be stood by, -999 for a strip that was not read.
    sure : float64 (s,)
        How sure that one is, 0 to 1; NaN where it is not known.
    majority : list of str
        What most of the beats are, as the reference votes.
    share : float64 (s,)
        How many of the beats voted for it, 0 to 1.
    known_share : float64 (s,)
        Share of the strips of known patterns that are at least as strange; NaN if the model cannot tell.
    strange : bool (s,)
        Stranger than the prediction's limit allows: an unknown pattern.
    """

    words: list[str]
    label: NDArray[np.int64]
    sure: NDArray[np.float64]
    majority: list[str]
    share: NDArray[np.float64]
    known_share: NDArray[np.float64]
    strange: NDArray[np.bool_]

    @property
    def names(self) -> list[str]:
        """The most serious finding of each strip in a word or two, or what stands in its place."""
        return finding_names(self.label, self.strange)

    @property
    def rank(self) -> NDArray[np.int64]:
        """How serious each strip is, 0 the most: unknown patterns, findings, nothing sure, normal ones, unread ones."""
        ranks = np.array([_RANKS.get(one, _LAST) for one in self.label.tolist()], dtype=np.int64)
        return np.where(self.strange, 0, ranks)


def finding_names(label: ArrayLike, strange: ArrayLike) -> list[str]:
    """Findings in a word or two, by label id (-99: nothing sure, -999: not read), or that the pattern is unknown."""
    spoken = {UNKNOWN: NOTHING_SURE, UNLABELLED: NOT_READ}
    labels, unusual = np.asarray(label, dtype=np.int64), np.asarray(strange, dtype=bool)
    names = {one: spoken.get(one) or label_name(one) for one in np.unique(labels).tolist()}
    return [UNKNOWN_PATTERN if odd else names[one] for one, odd in zip(labels.tolist(), unusual.tolist(), strict=True)]


def class_shares(beats: pd.DataFrame) -> list[str]:
    """How likely each class is for each beat, likeliest first: "V 93 %, S 4 %"; under 1 % is not told."""
    shares = beats[[f"p_{letter.lower()}" for letter in CLASSES]].to_numpy(dtype=np.float64)
    told = []
    for row in shares.tolist():
        ordered = sorted(zip(row, CLASSES, strict=True), key=lambda pair: -pair[0] if pair[0] == pair[0] else 1.0)
        told.append(", ".join(f"{letter} {share:.0%}".replace("%", " %") for share, letter in ordered if share >= 0.01))
    return told


def findings_of(run: Run, strips: pd.DataFrame, min_known_share: float) -> Findings | None:
    """Findings of a run's strips; None where the prediction makes none (the reference profile's do not).

    Parameters
    ----------
    run : Run
        With its strips.
    strips : DataFrame
        ``strip_predictions_v2.csv``.
    min_known_share : float
        The prediction's limit, see :class:`ecg_engine.config.PredictConfig`.
    """
    if "strip_finding" not in strips or run.strips is None:
        return None
    told = strips.drop_duplicates("source_row").set_index("source_row").reindex(run.strips.source_row)
    known = _numbers(told, "known_share")
    return Findings(
        words=_texts(told, "findings"),
        label=told["strip_finding"].fillna(UNLABELLED).to_numpy(dtype=np.int64),
        sure=_numbers(told, "finding_confidence"),
        majority=["under review" if one == label_name(UNKNOWN) else one for one in _texts(told, "strip_pred_name")],
        share=_numbers(told, "strip_pred_ratio"),
        known_share=known,
        strange=known < min_known_share,  # NaN, not known, is not strange
    )


def noise_sentences(run: Run) -> list[str]:
    """What is to be said of the noise of each strip, "" for a clean one; empty where the profile judges beats alone."""
    quality = run.strip_quality
    if quality is None:
        return []
    return [
        _sentence(str(reason), bool(noisy), float(lost))
        for reason, noisy, lost in zip(quality["noise_reason"], quality["noisy"], quality["lost_part"], strict=True)
    ]


def _sentence(reason: str, noisy: bool, lost: float) -> str:
    parts = [SENTENCES[name] for name in reason.split(";") if name in SENTENCES and name != "lost"]
    if "lost" in reason.split(";"):
        parts.append(f"The lead is lost in {max(1, round(100 * lost))} % of the strip.")
    if noisy:
        parts.insert(0, "Too disturbed to be read as a whole.")
    return " ".join(parts)


def _texts(table: pd.DataFrame, name: str) -> list[str]:
    return [str(value) for value in table[name].fillna("")] if name in table else [""] * len(table)


def _numbers(table: pd.DataFrame, name: str) -> NDArray[np.float64]:
    if name not in table:
        return np.full(len(table), np.nan)
    return table[name].to_numpy(dtype=np.float64, na_value=np.nan)
