"""Strips whose label and beats disagree: ventricular labels without such a beat, AFib with a regular rhythm, and so on.

The rules look at one thing each: the beat that looks most ventricular (:mod:`ecg_engine.ectopy`), how early beats come,
how much RR changes from beat to beat, and the rate. A rule speaks of a label if what it looks at lies beyond a limit.

Figures, of beats judged by constants fitted without their patient (``python -m bench.suspects``). MIT-BIH DS1, 3,960
strips: 4.2 % are listed with their right label. With a wrong one are found 88 % of PVC strips labelled Normal, 70 % of
PAC labelled Normal, 93 % of AFib labelled Normal, 93 % of Normal labelled PVC, 65 % of Normal labelled PAC, 92 % of
Normal labelled AFib, but only 48 % of AFib labelled PVC and 46 % of PVC labelled AFib. With 5 % of all strips given a
wrong label at random, 77 % of those are listed, and 48 % of the list is wrong. CinC 2017, noisier and from another
recorder: 17 % of the Normal strips are listed (4 % for their rate, which Normal does not mean there) and 12 % of AFib;
90 % of Normal labelled AFib are found, 80 % of AFib labelled Normal. The limits below were chosen with all of that in
view.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_engine.ectopy import USUAL, Ectopy, strip_medians
from ecg_engine.labels import label_name
from ecg_engine.preprocess import Run

NORMAL, PAC, PVC, BRADYCARDIA, TACHYCARDIA, AFIB, VTACH, COUPLETS, TRIPLETS = 0, 1, 2, 3, 4, 5, 7, 10, 11
RATE_LABELS = (NORMAL, BRADYCARDIA, TACHYCARDIA)
VENTRICULAR = (PVC, VTACH, COUPLETS, TRIPLETS, 12)
"""Labels that ask for a ventricular beat. Ventricular Ectopic is not among them: it also stands for fusion beats, which
look too much like the patient's others."""

ABSENT, PRESENT = 0.15, 0.60
"""No ventricular beat if none reaches the first; one for sure if a clear beat reaches the second."""
TIMED, STEADY = 0.10, 0.95
"""A beat is clear if it comes early or a pause follows, by the first as a share of the median RR, on a steady strip:
one where a quarter of the beats are more alike to the patient's usual one than the second. On an unsteady strip a
spoilt beat looks like an ectopic one, and R-peaks are found where there are none."""
CALLED = 0.50
"""From here on a beat counts for the length of a run."""
ON_TIME, EARLY = 0.05, 0.20
"""No PAC if no beat comes earlier than the first, as a share of the median RR; one for sure if a beat of the usual
shape comes earlier than the second."""
REGULAR, IRREGULAR = 0.07, 0.15
"""Median change from one RR to the next, as a share of the median RR: AFib lies above the first, sinus rhythm below
the second."""
SLOW, FAST, SPARE = 60.0, 100.0, 5.0
"""Beats a minute where bradycardia ends and tachycardia begins, and how far beyond a label is doubted."""
MIN_CHANGES = 3
"""Changes of RR below which nothing is said of rate and rhythm."""


class Rhythm(NamedTuple):
    """What RR intervals say of each strip; NaN where there are too few.

    Attributes
    ----------
    rate : float64 (S,)
        60 over the median RR in seconds.
    change : float64 (S,)
        Median of the changes from one RR to the next, as a share of the median RR.
    early : float64 (S,)
        The earliest beat, see :attr:`ecg_engine.ectopy.Ectopy.early`.
    premature : float64 (S,)
        The earliest of the beats that are like the patient's usual one: not a T wave taken for an R-peak.
    alike : float64 (S,)
        How alike to the patient's usual beat the upper quarter of the beats are; NaN without beats.
    """

    rate: NDArray[np.float64]
    change: NDArray[np.float64]
    early: NDArray[np.float64]
    premature: NDArray[np.float64]
    alike: NDArray[np.float64]

    @property
    def steady(self) -> NDArray[np.bool_]:
        """Strips on which a single beat can be judged."""
        return np.asarray(self.alike >= STEADY)


class Contradictions(NamedTuple):
    """Strips whose label and beats disagree, in the order of the run.

    Attributes
    ----------
    places : int64 (k,)
        Place of the strip.
    score : float64 (k,)
        0.5 at a limit, up to 1 far beyond it.
    label : int64 (k,)
        What the beats would call the strip.
    why : list of str
        A sentence each.
    """

    places: NDArray[np.int64]
    score: NDArray[np.float64]
    label: NDArray[np.int64]
    why: list[str]


def rhythm(run: Run, found: Ectopy) -> Rhythm:
    """Rate and regularity of each strip of a run. Strips without beats have NaN."""
    strip = run.strip_of_beat
    n = int(strip.max(initial=-1)) + 1 if run.strips is None else len(run.strips)
    first = np.append(True, strip[1:] != strip[:-1])[: len(strip)]
    interval = np.where(first, np.nan, run.metadata["rr_prev_sec"].to_numpy(dtype=float))
    step = np.abs(np.diff(interval, prepend=np.nan))  # NaN at a strip's first two beats
    usual = strip_medians(interval, strip, n)
    enough = np.bincount(strip[~np.isnan(step)], minlength=n) >= MIN_CHANGES
    usual = np.where(enough & (usual > 0), usual, np.nan)
    early, premature = np.full(n, -np.inf), np.full(n, -np.inf)
    np.maximum.at(early, strip, found.early)
    np.maximum.at(premature, strip[found.alike >= USUAL], found.early[found.alike >= USUAL])
    change = strip_medians(step, strip, n) / usual
    early, premature = (np.where(enough, values, np.nan) for values in (early, premature))
    return Rhythm(60.0 / usual, change, early, premature, _upper_quarter(found.alike, strip, n))


def _upper_quarter(values: NDArray[np.float64], strip: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """The value that a quarter of each strip's beats exceed, NaN without beats."""
    order = np.lexsort((values, strip))
    count = np.bincount(strip, minlength=n)
    some = count > 0
    start = np.cumsum(count) - count
    found = np.full(n, np.nan)
    found[some] = values[order][start[some] + 3 * count[some] // 4]
    return found


def clear_beats(found: Ectopy, strip: NDArray[np.int64], timing: Rhythm) -> NDArray[np.bool_]:
    """Beats that can show that a ventricular beat is there: out of time, on a steady strip."""
    return np.asarray(((found.early >= TIMED) | (found.pause >= TIMED)) & timing.steady[strip])


def contradictions(
    labels: NDArray[np.int32],
    strip: NDArray[np.int64],
    probability: NDArray[np.float64],
    timing: Rhythm,
    *,
    clear: NDArray[np.bool_] | None = None,
    called: NDArray[np.bool_] | None = None,
) -> Contradictions:
    """Strips whose label and beats disagree.

    Parameters
    ----------
    labels : int32 (S,)
        Of the strips. Unlabelled ones, Noise, VFib, flutter and Ventricular Ectopic contradict nothing.
    strip : int64 (n,)
        Place of each beat's strip, ascending.
    probability : float64 (n,)
        That a beat is ventricular: 1 or 0 where a reader has said it, else by its looks.
    timing : Rhythm
    clear : bool (n,), optional
        Beats that can show that a ventricular beat is there (:func:`clear_beats`, and what a reader said); all if not
        given.
    called : bool (n,), optional
        Beats that a model is sure are ventricular: they keep a ventricular label from being doubted.
    """
    most_called, most = np.zeros(len(labels)), np.zeros(len(labels))
    np.maximum.at(most_called, strip, probability)
    if called is not None:
        most_called[np.unique(strip[called])] = 1.0
    seen = probability if clear is None else np.where(clear, probability, 0.0)
    np.maximum.at(most, strip, seen)
    has_beats = np.bincount(strip, minlength=len(labels)) > 0
    ways = _ways(np.asarray(labels), most, most_called, timing)
    ways = np.where(has_beats, ways, -1.0)
    rule = ways.argmax(axis=0)
    way = ways[rule, np.arange(len(labels))] if len(labels) else np.zeros(0)
    places = np.flatnonzero(way >= 0)
    start = np.searchsorted(strip, places)
    end = np.searchsorted(strip, places, side="right")
    suggested, why = np.zeros(len(places), dtype=np.int64), []
    for number, place in enumerate(places.tolist()):
        beats = probability[start[number] : end[number]]
        suggested[number] = _label_of(RULES[rule[place]], beats, timing.rate[place], timing.change[place])
        shown = beats if rule[place] == 0 else seen[start[number] : end[number]]
        why.append(_in_words(RULES[rule[place]], int(labels[place]), shown, timing, place))
    return Contradictions(places, 0.5 + 0.5 * np.minimum(way[places], 1.0), suggested, why)


RULES = ("absent", "present", "on time", "early", "regular", "irregular", "rate")
"""What a rule finds: no ventricular beat, a ventricular beat, no early beat, an early beat, a regular AFib, an
irregular sinus rhythm, a rate that is another label's."""


def _ways(
    labels: NDArray[np.int32], most: NDArray[np.float64], most_called: NDArray[np.float64], timing: Rhythm
) -> NDArray[np.float64]:
    """How far each strip lies beyond the limit of each rule, (7, S); below 0 where a rule has nothing to say."""
    rated, sinus = np.isin(labels, RATE_LABELS), np.isin(labels, (*RATE_LABELS, PAC))
    low = np.select([labels == NORMAL, labels == TACHYCARDIA], [SLOW - SPARE, FAST - SPARE], 0.0)
    high = np.select([labels == NORMAL, labels == BRADYCARDIA], [FAST + SPARE, SLOW + SPARE], np.inf)
    with np.errstate(invalid="ignore"):
        off = np.maximum(low - timing.rate, timing.rate - high) / SLOW
    others = rated & (most < PRESENT) & timing.steady
    steady = others & ~(timing.change > IRREGULAR)
    rules = [
        (np.isin(labels, VENTRICULAR), (ABSENT - most_called) / ABSENT),
        (sinus, (most - PRESENT) / (1.0 - PRESENT)),
        (labels == PAC, (ON_TIME - timing.early) / ON_TIME),
        (steady, (timing.premature - EARLY) / EARLY),
        (labels == AFIB, (REGULAR - timing.change) / REGULAR),
        (others, (timing.change - IRREGULAR) / IRREGULAR),
        (others, off),
    ]
    return np.stack([np.nan_to_num(np.where(speaks, way, -1.0), nan=-1.0) for speaks, way in rules])


def _label_of(rule: str, beats: NDArray[np.float64], rate: float, change: float) -> int:
    """What the beats would call the strip."""
    if rule == "present":
        longest = _longest(beats >= CALLED)
        return {1: PVC, 2: COUPLETS, 3: TRIPLETS}.get(longest, VTACH)
    if rule == "early":
        return PAC
    if rule == "irregular" or (rule == "absent" and change > IRREGULAR):
        return AFIB
    return BRADYCARDIA if rate < SLOW else TACHYCARDIA if rate > FAST else NORMAL


def _longest(called: NDArray[np.bool_]) -> int:
    longest = run = 0
    for one in called.tolist():
        run = run + 1 if one else 0
        longest = max(longest, run)
    return longest


def _in_words(rule: str, label: int, beats: NDArray[np.float64], timing: Rhythm, place: int) -> str:
    name, change = label_name(label), timing.change[place]
    if rule == "absent":
        most = float(beats.max())
        return f"Labelled {name}, but no beat looks ventricular: {most:.2f} at most, {ABSENT:.2f} is asked for."
    if rule == "present":
        return (
            f"Labelled {name}, but beat {int(beats.argmax()) + 1} looks ventricular: {float(beats.max()):.2f}, "
            f"{PRESENT:.2f} is the limit."
        )
    if rule == "on time":
        early = max(float(timing.early[place]), 0.0)
        return f"Labelled {name}, but no beat comes early: by {early:.0%} at most, {ON_TIME:.0%} is asked for."
    if rule == "early":
        return f"Labelled {name}, but a beat comes {timing.premature[place]:.0%} early; {EARLY:.0%} is the limit."
    if rule == "regular":
        return f"Labelled {name}, but RR changes by {change:.0%} from beat to beat; {REGULAR:.0%} is asked for."
    if rule == "irregular":
        return f"Labelled {name}, but RR changes by {change:.0%} from beat to beat; {IRREGULAR:.0%} is the limit."
    limits = {NORMAL: f"{SLOW:.0f} to {FAST:.0f}", BRADYCARDIA: f"below {SLOW:.0f}", TACHYCARDIA: f"above {FAST:.0f}"}
    return f"Labelled {name}, but the rate is {timing.rate[place]:.0f} a minute; {limits[label]} is asked for."
