"""What a strip shows, by rules from its beats and intervals, the most serious first (issue 4, item 4).

Every rule is one small entry: a name, the label id that it stands for, and a function that says in words what it saw,
or nothing. The rules have a version, which goes with every result: the same beats under the same version always give
the same findings. Ten seconds can show the pattern of atrial fibrillation or flutter; they do not diagnose it, and
flutter is only seen where its waves are in this lead. Where intervals are as irregular as in fibrillation, that comes
first and flutter second: coarse fibrillation is far more common than flutter that is conducted so irregularly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ecg_engine.arrhythmia.runs import STRIP_RULES, N, S, StripRule, V, log_likelihood, longest_run, some
from ecg_engine.arrhythmia.runs import F as FUSION
from ecg_engine.labels import NOISE, UNKNOWN, label_name

RULES_VERSION = "2026.3"

AF_SHOWN = 0.75
"""Probability from which the AF pattern is said to be there."""

FLUTTER_SHOWN = 0.9
"""Probability from which flutter waves are said to be there: high, as the head was fitted on strips of which a sixth
flutter, and in a ward few do."""

OSCILLATION_SHOWN = 0.5

SLOW_PER_MIN, FAST_PER_MIN = 60.0, 100.0

VT_PER_MIN = 100.0
"""A run of V as fast as this is said to be a tachycardia; a slower one an idioventricular rhythm."""

LEAST_CONFIDENCE = 0.35
"""A finding whose chance of being true, given the beats' own probabilities, is below this cannot be stood by."""


@dataclass(frozen=True)
class StripBeats:
    """One strip as the rules see it.

    Attributes
    ----------
    symbol : int64 (k,)
        0 to 3 for N, S, V, F, in order of time.
    r_sec : float64 (k,)
    af, flutter, oscillation : float
        Probabilities of the AF pattern, of flutter waves, and of an oscillation without QRS complexes.
    noisy : bool
    """

    symbol: NDArray[np.int64]
    r_sec: NDArray[np.float64]
    af: float = 0.0
    flutter: float = 0.0
    oscillation: float = 0.0
    noisy: bool = False

    def runs_of(self, symbol: int) -> list[tuple[int, int]]:
        """First beat and length of every run of a symbol."""
        is_one = np.concatenate([[False], self.symbol == symbol, [False]])
        edges = np.flatnonzero(np.diff(is_one.astype(np.int8)))
        return [(int(a), int(b - a)) for a, b in zip(edges[::2], edges[1::2], strict=True)]

    def longest(self, symbol: int) -> tuple[int, int]:
        """First beat and length of the longest run, (0, 0) if there is none."""
        return max(self.runs_of(symbol), key=lambda run: run[1], default=(0, 0))

    def count(self, symbol: int) -> int:
        """Beats of a symbol."""
        return int(np.sum(self.symbol == symbol))

    @property
    def rate(self) -> float:
        """Beats a minute, NaN with fewer than three beats; by the median interval, among ectopics by the mean one.

        In bigeminy the median is one of two lengths that both say nothing of the rate.
        """
        if len(self.r_sec) < 3 or self.count(S) + self.count(V):
            return self.mean_rate
        return 60.0 / float(np.median(np.diff(self.r_sec)))

    @property
    def mean_rate(self) -> float:
        """Beats a minute from the mean interval, NaN with fewer than three beats."""
        return 60.0 / float(np.mean(np.diff(self.r_sec))) if len(self.r_sec) >= 3 else float("nan")

    def rate_of(self, first: int, length: int) -> float:
        """Beats a minute within a run, from the interval that leads to it on."""
        span = np.diff(self.r_sec[max(first - 1, 0) : first + length])
        return 60.0 / float(np.mean(span[-(length - 1) :])) if length > 1 else float("nan")


class Rule(NamedTuple):
    """A finding and when it is made; the place in ``RULES`` is its seriousness."""

    name: str
    label: int
    words: Callable[[StripBeats], str | None]


def _noise(strip: StripBeats) -> str | None:
    return "noise: too disturbed to be read" if strip.noisy else None


def _oscillation(strip: StripBeats) -> str | None:
    return "oscillation without QRS complexes" if strip.oscillation >= OSCILLATION_SHOWN else None


def _run(strip: StripBeats) -> str | None:
    first, length = strip.longest(V)
    if length < 4:
        return None
    rate = strip.rate_of(first, length)
    kind = "ventricular tachycardia" if rate >= VT_PER_MIN else "idioventricular run"
    return f"{kind}: {length} beats at {rate:.0f}/min"


def _flutter(strip: StripBeats) -> str | None:
    # tremor and jolts of the electrode come in waves, too
    shown = strip.flutter >= FLUTTER_SHOWN and not strip.noisy
    return "atrial flutter pattern" + _at_rate(strip.mean_rate) if shown else None


def _af(strip: StripBeats) -> str | None:
    return f"AF pattern, {strip.mean_rate:.0f}/min" if strip.af >= AF_SHOWN else None


def _triplet(strip: StripBeats) -> str | None:
    return _several([length for _, length in strip.runs_of(V)].count(3), "ventricular triplet")


def _couplet(strip: StripBeats) -> str | None:
    return _several([length for _, length in strip.runs_of(V)].count(2), "ventricular couplet")


def _pvc(strip: StripBeats) -> str | None:
    count = strip.count(V)
    if not count:
        return None
    every = _every(strip)
    return f"PVC {count}/{len(strip.symbol)}" + (f", {every}" if every else "")


def _fusion(strip: StripBeats) -> str | None:
    count = strip.count(FUSION)
    return f"fusion beats {count}/{len(strip.symbol)}" if count else None


def _pac(strip: StripBeats) -> str | None:
    # in fibrillation and flutter no beat is before its time
    count = strip.count(S)
    if not count or strip.af >= AF_SHOWN or strip.flutter >= FLUTTER_SHOWN:
        return None
    first, length = strip.longest(S)
    run = f", run of {length} at {strip.rate_of(first, length):.0f}/min" if length >= 3 else ""
    return f"PAC {count}/{len(strip.symbol)}{run}"


def _slow(strip: StripBeats) -> str | None:
    # on a strip that cannot be read, beats are missed and made up
    return f"bradycardia, {strip.rate:.0f}/min" if strip.rate < SLOW_PER_MIN and not strip.noisy else None


def _fast(strip: StripBeats) -> str | None:
    return f"tachycardia, {strip.rate:.0f}/min" if strip.rate > FAST_PER_MIN and not strip.noisy else None


def _at_rate(rate: float) -> str:
    return "" if np.isnan(rate) else f", {rate:.0f}/min"


def _several(count: int, what: str) -> str | None:
    return None if not count else what if count == 1 else f"{count} {what}s"


def _every(strip: StripBeats) -> str | None:
    """Bigeminy or trigeminy: at least three ectopics, one in every two or three beats."""
    gaps = np.diff(np.flatnonzero(strip.symbol == V))
    for gap, name in ((2, "bigeminy"), (3, "trigeminy")):
        steady = np.convolve(gaps == gap, [1, 1], mode="valid") if len(gaps) >= 2 else np.zeros(0)
        if (steady == 2).any():
            return name
    return None


RULES: tuple[Rule, ...] = (
    Rule("noise", NOISE, _noise),
    Rule("oscillation", 8, _oscillation),
    Rule("run", 7, _run),
    Rule("af", 5, _af),
    Rule("flutter", 6, _flutter),
    Rule("triplet", 11, _triplet),
    Rule("couplet", 10, _couplet),
    Rule("pvc", 2, _pvc),
    Rule("fusion", 9, _fusion),
    Rule("pac", 1, _pac),
    Rule("slow", 3, _slow),
    Rule("fast", 4, _fast),
)
"""All rules, the most serious first."""


class Finding(NamedTuple):
    """One thing that a strip shows."""

    rule: str
    label: int
    words: str


def read_strip(strip: StripBeats) -> list[Finding]:
    """All findings of a strip, the most serious first; a strip in order has one, "normal".

    Parameters
    ----------
    strip : StripBeats

    Returns
    -------
    list of Finding
        Empty if there are no beats and no other finding.
    """
    found = [Finding(rule.name, rule.label, words) for rule in RULES if (words := rule.words(strip)) is not None]
    if found and found[0].rule == "oscillation":
        found = found[:1]  # where there are no QRS complexes there are no beats to count
    if not found and len(strip.symbol):
        found = [Finding("normal", 0, "normal" + _at_rate(strip.rate))]
    return found


_CLAIMS: dict[int, StripRule] = {
    7: longest_run(4, at_least=1.0),
    11: longest_run(3, at_least=0.0),
    10: longest_run(2, at_least=0.0),
    2: longest_run(1, at_least=0.0),
    9: some((FUSION,), free=(N, S)),
    1: some((S,), free=(N,)),
    0: STRIP_RULES[0],
    3: STRIP_RULES[0],
    4: STRIP_RULES[0],
}
"""What a finding claims about the beats."""


def findings_of(
    probabilities: NDArray[np.float32],
    r_sec: NDArray[np.float64],
    bounds: NDArray[np.int64],
    *,
    af: NDArray[np.float32] | None = None,
    flutter: NDArray[np.float32] | None = None,
    oscillation: NDArray[np.float32] | None = None,
    noisy: NDArray[np.bool_] | None = None,
    least_confidence: float = LEAST_CONFIDENCE,
) -> pd.DataFrame:
    """Findings of many strips.

    Parameters
    ----------
    probabilities : float32 (n, 4)
        Of N, S, V, F for each beat.
    r_sec : float64 (n,)
    bounds : int64 (s + 1,)
        Beats of each strip.
    af, flutter, oscillation : float32 (s,), optional
    noisy : bool (s,), optional
    least_confidence : float
        0 stands by every finding.

    Returns
    -------
    DataFrame
        One row a strip: ``strip_finding`` (label id of the most serious finding; -99 where none can be stood by),
        ``strip_finding_name``, ``findings`` (words, parted by "; "), ``finding_confidence`` (chance that the beats are
        as the finding says, from the beats' probabilities; for rhythms that of the pattern), ``rules_version``.
    """
    count = len(bounds) - 1
    zero = np.zeros(count, dtype=np.float32)
    symbol = probabilities.argmax(axis=1) if len(probabilities) else np.zeros(0, dtype=np.int64)
    rows, told = [], []
    for row in range(count):
        part = slice(bounds[row], bounds[row + 1])
        strip = StripBeats(
            symbol[part],
            r_sec[part],
            float((zero if af is None else af)[row]),
            float((zero if flutter is None else flutter)[row]),
            float((zero if oscillation is None else oscillation)[row]),
            bool(noisy is not None and noisy[row]),
        )
        found = read_strip(strip)
        told.append(found[0].label if found else UNKNOWN)
        rows.append((strip, "; ".join(one.words for one in found)))
    label = np.array(told, dtype=np.int64)
    sure = claim_confidence(probabilities, bounds, label)
    for row, (strip, _) in enumerate(rows):
        of_patterns = {5: strip.af, 6: strip.flutter, 8: strip.oscillation, NOISE: 1.0}
        sure[row] = of_patterns.get(int(label[row]), sure[row])
    stood = np.where(sure >= least_confidence, label, UNKNOWN)
    return pd.DataFrame(
        {
            "strip_finding": stood,
            "strip_finding_name": [label_name(int(one)) for one in stood],
            "findings": [words or "no beats" for _, words in rows],
            "finding_confidence": sure,
            "rules_version": RULES_VERSION,
        }
    )


def claim_confidence(
    probabilities: NDArray[np.float32], bounds: NDArray[np.int64], label: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Chance that each strip's beats are as its label claims, the beats being independent; 0 for other labels.

    Parameters
    ----------
    probabilities : float32 (n, 4)
    bounds : int64 (s + 1,)
    label : int64 (s,)

    Returns
    -------
    float64 (s,)
    """
    lengths = np.diff(bounds)
    out = np.zeros(len(label))
    for claim, rule in _CLAIMS.items():
        rows = np.flatnonzero((label == claim) & (lengths > 0))
        if not len(rows):
            continue
        p = np.full((len(rows), int(lengths[rows].max()), 4), 0.25)
        for place, row in enumerate(rows):
            p[place, : lengths[row]] = probabilities[bounds[row] : bounds[row + 1]]
        log_p = torch.from_numpy(np.log(np.maximum(p, 1e-9)))
        out[rows] = log_likelihood(log_p, torch.from_numpy(lengths[rows]), rule).exp().numpy()
    return out
