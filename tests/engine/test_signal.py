"""Conditioning, R-peaks, beats and noise flags."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_engine.beats import BeatWindow, cut_beats, rr_intervals
from ecg_engine.conditioning import bandpass, condition, zscore
from ecg_engine.config import PreprocessConfig
from ecg_engine.errors import ConfigError
from ecg_engine.quality import REASONS, assess, reason_texts
from ecg_engine.rpeaks import DETECTORS, find_rpeaks, find_rpeaks_of_block
from ecg_engine.strips import Strips, read_strips
from tests.engine.making import ecg, good_rows, write_xlsx

FS = 260.4


def conditioned(wave: np.ndarray) -> np.ndarray:
    return zscore(bandpass(np.asarray(wave, dtype=np.float32), FS))


@given(st.integers(0, 6), st.floats(0.05, 50), st.floats(-2000, 2000))
@settings(max_examples=25, deadline=None)
def test_rpeaks_do_not_depend_on_gain_or_baseline(seed: int, gain: float, offset: float) -> None:
    wave = ecg(seed)
    peaks = find_rpeaks(conditioned(wave), FS)
    assert len(peaks) >= 11
    np.testing.assert_array_equal(find_rpeaks(conditioned(wave * gain + offset), FS), peaks)


@pytest.mark.parametrize("detector", DETECTORS)
def test_rpeaks_lie_on_the_r_waves(detector: str) -> None:
    wave = ecg(3)
    for peak in find_rpeaks(conditioned(wave), FS, detector):
        around = wave[max(0, peak - 26) : peak + 27]
        assert abs(int(around.argmax()) - min(peak, 26)) <= (1 if detector == "neurokit" else 16)


@pytest.mark.real
@pytest.mark.parametrize("name", ["mitdb_ds1_small.xlsx"])
def test_the_detector_finds_what_neurokit_finds(real_data: Path, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from neurokit2.ecg.ecg_findpeaks import ecg_findpeaks

    strips = read_strips(real_data / name)
    waves = condition(strips, PreprocessConfig()).reshape(len(strips), -1)
    rows = np.arange(0, len(strips), 2)
    found = DETECTORS["neurokit"](waves[rows], strips.fs)
    for row, peaks in zip(rows, found, strict=True):
        theirs = ecg_findpeaks(waves[row], sampling_rate=strips.fs, method="neurokit")["ECG_R_Peaks"]
        np.testing.assert_array_equal(peaks, theirs, err_msg=f"row {row}")


def test_one_strip_and_many_give_the_same_peaks() -> None:
    waves = np.stack([conditioned(ecg(seed)) for seed in range(5)])
    together = find_rpeaks_of_block(waves, FS)
    for wave, peaks in zip(waves, together, strict=True):
        np.testing.assert_array_equal(find_rpeaks(wave, FS), peaks)


@pytest.mark.parametrize("wave", [np.zeros(300), np.ones(300), np.arange(300.0), np.r_[np.zeros(150), np.ones(150)]])
@pytest.mark.parametrize("fs", [30.0, FS, 1000.0])
def test_strips_without_beats_have_no_peaks_and_raise_nothing(wave: np.ndarray, fs: float) -> None:
    for detector in DETECTORS:
        assert find_rpeaks(wave.astype(np.float32), fs, detector).dtype == np.int64


def test_where_the_detector_finds_nothing_the_gradient_is_asked() -> None:
    wave = np.zeros(400, dtype=np.float32)  # shorter than the 0.75 s average at 1000 Hz
    wave[200] = 1.0
    assert len(DETECTORS["neurokit"](wave[np.newaxis], 1000.0)[0]) == 0
    assert len(find_rpeaks(wave, 1000.0)) == 1


def test_an_unknown_detector_names_the_choices() -> None:
    with pytest.raises(ConfigError, match=r"'hamilton'.*neurokit, gradient"):
        find_rpeaks(np.zeros(300, dtype=np.float32), FS, "hamilton")


def test_bandpass_keeps_the_band_and_the_phase() -> None:
    time = np.arange(2604) / FS
    for hertz, kept in ((0.05, 0.0), (10.0, 1.0), (80.0, 0.0)):
        tone = np.sin(2 * np.pi * hertz * time).astype(np.float32)
        np.testing.assert_allclose(bandpass(tone, FS)[900:-900], kept * tone[900:-900], atol=0.05)


def test_bandpass_at_low_rates() -> None:
    tone = np.sin(np.arange(300)).astype(np.float32)
    np.testing.assert_array_equal(bandpass(tone, 0.9), tone)  # the edges cross: no filter
    assert np.isfinite(bandpass(tone, 40.0)).all()
    assert bandpass(tone[:10], 260.4).shape == (10,)  # shorter than scipy's padding


def one_strip(wave: np.ndarray) -> Strips:
    raw = np.asarray(wave, dtype=np.float32)
    base = {name: np.array([0]) for name in ("source_row", "patient_id", "label", "strip_hash", "source_file")}
    return Strips(
        samples=raw, offsets=np.array([0, len(raw)]), fs=FS, file_row=np.array([0]), skipped=None, report=None, **base
    )  # type: ignore[arg-type]


def test_an_unstable_filter_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"order 12 .*unstable at 260.4 Hz"):
        condition(one_strip(ecg()), PreprocessConfig(filter_order=12))


def test_strips_of_mixed_lengths_are_conditioned_each_as_if_alone(tmp_path: Path) -> None:
    rows = [
        [1, ",".join(map(str, ecg(seed, samples=length))), 0] for seed, length in enumerate((2604, 1500, 2604, 700))
    ]
    strips = read_strips(write_xlsx(tmp_path / "a.xlsx", rows), PreprocessConfig(fs=FS))
    whole = condition(strips, PreprocessConfig())
    for index in range(4):
        part = whole[strips.offsets[index] : strips.offsets[index + 1]]
        np.testing.assert_array_equal(part, conditioned(strips.wave(index)))


# -- beats


def test_a_beat_is_cut_from_its_own_strip_only() -> None:
    samples = np.arange(60, dtype=np.float32)
    window = BeatWindow(3, 5)
    # 2 and 26 (of 30) leave the strip; 3 and 24 just fit
    beats = cut_beats(samples, np.array([0, 30, 60]), [np.array([2, 3, 24, 26]), np.array([3, 10])], 10.0, window)
    assert beats.strip.tolist() == [0, 0, 1, 1]
    assert beats.r_index.tolist() == [3, 24, 3, 10]
    assert beats.index_in_strip.tolist() == [0, 1, 0, 1]
    assert beats.samples[:, 3].tolist() == [3, 24, 33, 40]
    assert beats.samples.shape == (4, window.length)
    assert beats.rr_prev.tolist() == pytest.approx([2.1, 2.1, 0.7, 0.7])


def test_no_peaks_no_beats() -> None:
    beats = cut_beats(
        np.zeros(60, dtype=np.float32), np.array([0, 60]), [np.empty(0, dtype=np.int64)], 10.0, BeatWindow(3, 5)
    )
    assert beats.samples.shape == (0, 9) and len(beats.rr_prev) == 0


def test_rr_ends_repeat_their_neighbour_and_a_lone_beat_has_one_second() -> None:
    previous, following = rr_intervals(np.array([0, 0, 0, 1, 2, 2]), np.array([5, 15, 35, 7, 1, 4]), 10.0)
    assert previous.tolist() == pytest.approx([1.0, 1.0, 2.0, 1.0, 0.3, 0.3])
    assert following.tolist() == pytest.approx([1.0, 2.0, 2.0, 1.0, 0.3, 0.3])


def test_rounding_of_the_window() -> None:
    assert BeatWindow.of(260.4, 0.25, 0.4) == (65, 104)


# -- noise flags


def clean_beats(count: int = 60, length: int = 170) -> np.ndarray:
    rng = np.random.default_rng(0)
    grid = np.arange(length)
    heights = rng.normal(5, 0.3, count)[:, None]
    return (heights * np.exp(-(((grid - 65) / 4) ** 2)) + rng.normal(0, 0.05, (count, length))).astype(np.float32)


@pytest.mark.parametrize("reason", REASONS[:4])
def test_each_kind_of_noise_is_flagged_for_its_reason(reason: str) -> None:
    beats = clean_beats()
    rr = np.full(60, 0.8, dtype=np.float32)
    rng = np.random.default_rng(1)
    if reason == "rr":
        rr[7] = 0.19
    elif reason == "flat":
        beats[7] *= 0.01
    elif reason == "slope":
        beats[7, 60] += 40
    else:
        beats[7, :17] += rng.normal(0, 2, 17)
    quality = assess(beats, rr, np.full(60, 0.8, dtype=np.float32), PreprocessConfig())
    assert reason in reason_texts(quality.reasons)[7].split(";")
    assert np.flatnonzero(quality.reasons[:, REASONS.index(reason)]).tolist() == [7]
    assert quality.score[7] > np.median(quality.score) or reason == "rr"


def test_flags_do_not_depend_on_the_order_of_beats() -> None:
    beats = clean_beats()
    beats[3, 60] += 40
    rr = np.full(60, 0.8, dtype=np.float32)
    order = np.random.default_rng(2).permutation(60)
    quality = assess(beats, rr, rr, PreprocessConfig())
    shuffled = assess(beats[order], rr, rr, PreprocessConfig())
    np.testing.assert_array_equal(shuffled.reasons, quality.reasons[order])


def test_one_beat_can_be_assessed() -> None:
    one = clean_beats()[:1]
    quality = assess(one, np.ones(1, dtype=np.float32), np.ones(1, dtype=np.float32), PreprocessConfig())
    assert not quality.noise.any() and quality.score.tolist() == [0.0]


def test_good_rows_are_good(tmp_path: Path) -> None:
    strips = read_strips(write_xlsx(tmp_path / "a.xlsx", good_rows(3)))
    waves = condition(strips, PreprocessConfig()).reshape(3, -1)
    np.testing.assert_allclose(waves.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(waves.std(axis=1), 1, atol=1e-5)
