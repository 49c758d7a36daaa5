"""References and what beats are beside them: invariances, and what they say of real beats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ecg_engine.arrhythmia.context import describe
from ecg_engine.arrhythmia.fibrillation import irregularity
from ecg_engine.arrhythmia.references import (
    ALIKE,
    LENGTH,
    CutBeats,
    correlations,
    cut_beats,
    find_references,
    patient_numbers,
)
from ecg_engine.waves import resample
from tests.engine.arrhythmia.small import small

FS = 260.4


def strip_of(
    times: list[float], wide: list[bool], fs: float = FS, seconds: float = 10.0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Narrow beats with a P wave before and a T wave after, wide ones of the other polarity without P."""
    t = np.arange(int(seconds * fs)) / fs
    wave = np.zeros_like(t)
    for at, is_wide in zip(times, wide, strict=True):
        if is_wide:
            wave += -200 * np.exp(-(((t - at) / 0.045) ** 2)) + 60 * np.exp(-(((t - at - 0.3) / 0.06) ** 2))
        else:
            wave += 200 * np.exp(-(((t - at) / 0.014) ** 2)) + 25 * np.exp(-(((t - at + 0.16) / 0.025) ** 2))
            wave += 40 * np.exp(-(((t - at - 0.28) / 0.05) ** 2))
    return wave.astype(np.float32), np.round(np.array(times) * fs).astype(np.int64)


def cut(waves: list[NDArray[np.float32]], peaks: list[NDArray[np.int64]], fs: float, patients: list[int]) -> CutBeats:
    offsets = np.concatenate([[0], np.cumsum([len(wave) for wave in waves])])
    ids = np.array(patients, dtype=object)
    return cut_beats(np.concatenate(waves), offsets, fs, peaks, ids)


def bigeminy() -> tuple[list[float], list[bool]]:
    times, wide = [0.5], [True]
    while times[-1] < 8.5:
        times += [times[-1] + 1.1, times[-1] + 1.6]
        wide += [False, True]
    return times, wide


def test_in_bigeminy_the_late_narrow_beat_is_the_ordinary_one() -> None:
    times, wide = bigeminy()
    assert sum(wide) > len(wide) / 2
    wave, peaks = strip_of(times, wide)
    references = find_references(cut([wave], [peaks], FS, [1]))
    narrow, _ = strip_of([5.0], [False])
    one = cut([narrow], [np.array([round(5.0 * FS)])], FS, [1])
    assert correlations(one.waves, references.strip)[0, 0] > ALIKE
    assert references.strip_support[0] == pytest.approx(1 - np.mean(wide))


def test_a_strip_of_wide_beats_alone_is_unlike_its_patient() -> None:
    plain = [0.5 + 0.8 * i for i in range(12)]
    normal, wide = strip_of(plain, [False] * 12), strip_of(plain, [True] * 12)
    strips = [normal, normal, wide]
    beats = cut([wave for wave, _ in strips], [peaks for _, peaks in strips], FS, [7, 7, 7])
    references = find_references(beats)
    like = describe(beats, references).column("qrs_like_patient")
    assert like[beats.strip < 2].min() > 0.95
    assert like[beats.strip == 2].max() < 0.5


def test_what_is_said_does_not_change_with_gain_polarity_or_offset(real_data: Path) -> None:
    few = small(real_data)
    strips = few.strips
    for gain, offset in ((-1.0, 0.0), (0.25, 900.0)):
        changed = (strips.samples * np.float32(gain) + np.float32(offset)).astype(np.float32)
        beats = cut_beats(changed, strips.offsets, strips.fs, few.peaks, strips.patient_id)
        again = describe(beats, find_references(beats))
        assert np.quantile(np.abs(again.values - few.context.values), 0.999) < 0.02
        assert np.quantile(np.abs(again.pictures - few.context.pictures), 0.999) < 0.02


def test_another_rate_says_the_same_but_for_rounding(real_data: Path) -> None:
    few = small(real_data)
    strips = few.strips
    waves = [resample(strips.wave(i)[None], strips.fs, 360.0)[0] for i in range(60)]
    ids = strips.patient_id[:60].tolist()
    peaks = [np.round(peak / strips.fs * 360).astype(np.int64) for peak in few.peaks[:60]]
    beats = cut(waves, peaks, 360.0, ids)
    waves_now = [strips.wave(i) for i in range(60)]
    first = cut(waves_now, few.peaks[:60], strips.fs, ids)
    ours, theirs = describe(first, find_references(first)), describe(beats, find_references(beats))
    assert np.median(np.abs(ours.values - theirs.values)) < 0.01
    assert np.quantile(np.abs(ours.values - theirs.values), 0.95) < 0.15


def test_no_beat_is_left_out_and_strips_without_beats_are_kept() -> None:
    wave, peaks = strip_of([0.02, 1.0, 9.98], [False] * 3)
    silent = np.zeros(len(wave), dtype=np.float32)
    beats = cut([silent, wave], [np.zeros(0, dtype=np.int64), peaks], FS, [-1, -1])
    assert len(beats) == 3
    assert beats.waves.shape == (3, LENGTH)
    assert beats.inside[0, 0] < 0.1 and beats.inside[2, 1] < 0.1 and beats.inside[1].tolist() == [1, 1]
    context = describe(beats, find_references(beats))
    assert np.isfinite(context.values).all()
    assert np.isnan(context.usual_rr).tolist() == [True, False]


def test_strips_without_a_patient_are_each_their_own() -> None:
    ids = np.array([5, -1, 5, -1, "a"], dtype=object)
    assert patient_numbers(ids).tolist() == [0, 1, 0, 2, 3]


def test_a_lone_ectopic_is_not_an_irregular_rhythm_but_fibrillation_is() -> None:
    rr = np.full(11, 0.8)
    rr[5], rr[6] = 0.5, 1.1
    assert irregularity(rr, np.ones(12, dtype=bool))[0] == 0
    wild = np.random.default_rng(0).uniform(0.4, 1.1, 14)
    assert irregularity(wild, np.ones(15, dtype=bool))[0] > 0.15
    assert np.isnan(irregularity(rr[:2], np.ones(3, dtype=bool))[0])


def test_real_ectopics_are_early_or_unlike(real_data: Path) -> None:
    few = small(real_data)
    aami = few.aami
    like, early = few.context.column("qrs_like_strip"), few.context.column("early")
    assert np.median(like[aami == "N"]) > 0.97
    assert np.median(like[aami == "V"]) < 0.8
    assert np.median(early[aami == "N"]) < 0.03
    assert np.median(early[aami == "V"]) > 0.2
    fibrillation = few.strips.label == 5
    assert np.mean(few.context.af[fibrillation] > 0.5) > 0.9
    assert np.mean(few.context.af[few.strips.label == 0] > 0.5) < 0.02
    assert np.nanmedian(few.context.jitter[fibrillation]) > 0.12
    assert np.nanmedian(few.context.p_coherence[fibrillation]) < 0.2
    assert np.nanmedian(few.context.p_coherence[few.strips.label == 0]) > 0.7
