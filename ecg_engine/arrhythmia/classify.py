"""From strips and a model to classes of beats and findings of strips: what a notebook or a run calls (issue 4).

All strips of a patient in the study speak for each other: through the patient's reference, through the groups of her
beats, and through what a reader has said about a group.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.arrhythmia.beat_classes import BeatModel, class_numbers
from ecg_engine.arrhythmia.fibrillation import af_among_classified
from ecg_engine.arrhythmia.findings import LEAST_CONFIDENCE, OSCILLATION_SHOWN, findings_of
from ecg_engine.arrhythmia.flutter import flutter_probability
from ecg_engine.arrhythmia.fusion import with_fusion
from ecg_engine.arrhythmia.groups import describe_for_groups, find_groups, plain_groups, smooth
from ecg_engine.arrhythmia.learning import Study
from ecg_engine.arrhythmia.oscillation import oscillation_probability
from ecg_engine.arrhythmia.propagation import pass_on, said_of, with_plain
from ecg_engine.arrhythmia.references import cut_beats
from ecg_engine.arrhythmia.runs import SYMBOLS
from ecg_engine.labels import UNLABELLED
from ecg_engine.strips import Strips


class Classified(NamedTuple):
    """Beats and strips as the model sees them.

    Attributes
    ----------
    probabilities : float32 (n, K)
        Of the model's classes for each beat; groups, readers' labels and sums of two shapes taken in.
    group : int64 (n,)
    beats : DataFrame
        One row a beat: strip, r_sec, aami (N, S, V, F, or Q where the strip swings without QRS complexes), pred_label
        (label id; 8 for Q), pred_conf, group.
    strips : DataFrame
        One row a strip: see :func:`ecg_engine.arrhythmia.findings.findings_of`; af, flutter and oscillation, how much
        it looks like each.
    """

    probabilities: NDArray[np.float32]
    group: NDArray[np.int64]
    beats: pd.DataFrame
    strips: pd.DataFrame


class Words(NamedTuple):
    """What a reader has said.

    Attributes
    ----------
    labelled : mapping of group to label id
    shown : mapping of group to beat
        The member that she saw, where she saw no other.
    known : int64 (n,) or None
        Label id of beats that she labelled, -999 elsewhere.
    weight : float32 (n,) or None
        Below 1 for beats that she labelled together with their look-alikes.
    """

    labelled: Mapping[int, int] = MappingProxyType({})
    shown: Mapping[int, int] = MappingProxyType({})
    known: NDArray[np.int64] | None = None
    weight: NDArray[np.float32] | None = None


def study_of(strips: Strips, peaks: list[NDArray[np.int64]]) -> Study:
    """Strips as read, with the R-peaks of each, as a study with the strips' labels.

    Parameters
    ----------
    strips : Strips
    peaks : list of int64 arrays
        Samples of the R-peaks of each strip, ascending.

    Returns
    -------
    Study
    """
    beats = cut_beats(strips.samples, strips.offsets, strips.fs, peaks, strips.patient_id)
    oscillation = oscillation_probability(strips.samples, strips.offsets, strips.fs)
    flutter = flutter_probability(strips.samples, strips.offsets, strips.fs, peaks)
    return Study.of(beats, strips.label.astype(np.int64), flutter=flutter, oscillation=oscillation)


def classify(
    model: BeatModel,
    study: Study,
    *,
    group: NDArray[np.int64] | None = None,
    words: Words | None = None,
    noisy: NDArray[np.bool_] | None = None,
    least_confidence: float = LEAST_CONFIDENCE,
) -> Classified:
    """Classes of all beats and findings of all strips of a study.

    Parameters
    ----------
    model : BeatModel
    study : Study
        Its labels are not looked at.
    group : int64 (n,), optional
        From :func:`ecg_engine.arrhythmia.groups.find_groups`; found if not given.
    words : Words, optional
        What a reader said. What the study itself knows of its beats is not looked at.
    noisy : bool (s,), optional
        Strips that cannot be read.
    least_confidence : float

    Returns
    -------
    Classified
    """
    if group is None:
        group = find_groups(study.beats, study.context)
    p = smooth(model.probabilities(study.examples), group)
    return decide(model, study, p, group, words, noisy, least_confidence)


def _readable(symbols: NDArray[np.float32], noise: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    """Probabilities of N, S, V and F for findings: a beat under noise is predicted, but no finding rests on it."""
    if noise is None:
        return symbols
    return np.where(noise[:, None], np.array([1, 0, 0, 0], dtype=np.float32), symbols)


def after_words(
    model: BeatModel, study: Study, probabilities: NDArray[np.float32], group: NDArray[np.int64], words: Words
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Probabilities after what a reader said, float32 (n, K), and the beats that she spoke of, bool (n,)."""
    labelled, shown, known, weight = words
    if not labelled and (known is None or not (known != UNLABELLED).any()):
        return probabilities, np.zeros(len(group), dtype=bool)
    numbers = np.full(len(group), -1) if known is None else class_numbers(known, model.labels)
    by_one = np.ones(len(group), dtype=bool) if weight is None else weight >= 1
    alone, in_one_stroke = np.where(by_one, numbers, -1), np.where(by_one, -1, numbers)
    for_group = np.zeros(len(group), dtype=bool)
    patient = study.beats.patient[study.beats.strip]
    plain = plain_groups(probabilities, group, patient)
    given = class_numbers(np.array(list(labelled.values()), dtype=np.int64), model.labels).tolist()
    for one, number in zip(labelled, given, strict=True):
        if number < 0:
            continue
        if one not in shown:
            in_one_stroke[group == one] = number
            continue
        alone[shown[one]] = number
        # an ectopic beat among a patient's ordinary ones, the only one that was seen, is a stray there
        for_group[shown[one]] = not (number and plain.get(one) == 0)
    points = describe_for_groups(study.context)
    said = said_of(points, group, alone, for_group, in_one_stroke)
    if not len(said.beat):
        return probabilities, alone >= 0
    said = with_plain(said, points, group, patient, probabilities, plain)
    out = pass_on(probabilities, points, group, patient, said)
    sure = np.flatnonzero(alone >= 0)
    out[sure] = np.eye(out.shape[1], dtype=np.float32)[alone[sure]]
    return out, (alone >= 0) | (in_one_stroke >= 0) | np.isin(group, group[for_group])


def decide(
    model: BeatModel,
    study: Study,
    probabilities: NDArray[np.float32],
    group: NDArray[np.int64],
    words: Words | None = None,
    noisy: NDArray[np.bool_] | None = None,
    least_confidence: float = LEAST_CONFIDENCE,
) -> Classified:
    """The end of :func:`classify`, from probabilities that are there already; a new label costs only this."""
    probabilities, settled = after_words(model, study, probabilities, group, words or Words())
    probabilities = with_fusion(probabilities, study.beats, study.references, study.context, group, settled)
    acts_as = np.array(model.acts_as)
    symbols = np.stack([probabilities[:, acts_as == k].sum(axis=1) for k in range(len(SYMBOLS))], axis=1)
    beats, symbol, best = study.beats, symbols.argmax(axis=1), probabilities.argmax(axis=1)
    af = af_among_classified(beats.r_sec, beats.bounds, symbol >= 2, study.context.p_coherence)
    swings = (study.oscillation >= OSCILLATION_SHOWN)[beats.strip]
    table = findings_of(
        _readable(symbols, study.noise),
        beats.r_sec,
        beats.bounds,
        af=af,
        flutter=study.flutter,
        oscillation=study.oscillation,
        noisy=noisy,
        least_confidence=least_confidence,
    ).assign(af=af, flutter=study.flutter, oscillation=study.oscillation)
    rows = pd.DataFrame(
        {
            "strip": beats.strip,
            "r_sec": beats.r_sec,
            "aami": np.where(swings, "Q", np.array(SYMBOLS)[symbol]),
            "pred_label": np.where(swings, 8, np.array(model.labels)[best]),
            "pred_conf": probabilities.max(axis=1, initial=0.0),
            "group": group,
        }
    )
    return Classified(probabilities, group, rows, table)
