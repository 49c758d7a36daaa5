"""Noise: ectopic beats are spared, noise is found where it is, reasons are told apart, no recorder matters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ecg_engine.arrhythmia.augmentation import NoiseRecords
from ecg_engine.arrhythmia.noise_features import noise_traces, places, range_at_rest
from ecg_engine.arrhythmia.noise_mixing import KINDS, band_limited, mix, noise_of
from ecg_engine.arrhythmia.quality import (
    BASELINE,
    CLIPPED,
    CONTENT,
    FLAT,
    LOST,
    REASONS,
    SENTENCES,
    WEIGHTS,
    Quality,
    load_model,
    quality,
    quality_of_strips,
    reason_texts,
    sentence,
    shipped_model,
    strip_sentence,
)
from ecg_engine.arrhythmia.quality_training import fit_signed
from ecg_engine.arrhythmia.rpeaks import RPeaks, find_rpeaks_of_block
from ecg_engine.errors import BundleError, InputError
from ecg_engine.simulate import noise as made
from tests.engine.arrhythmia.small import Small, small

FS = 250.0
Rng = np.random.Generator


def drawn(
    seed: int = 0, *, fs: float = FS, seconds: float = 10.0, leave: tuple[int, ...] = (), ectopic: tuple[int, ...] = ()
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """A strip of P, QRS and T in units of 1/200 mV with the last digit's noise, and its R-peaks in samples."""
    rng = np.random.default_rng(seed)
    times, centres = np.arange(round(seconds * fs)) / fs, np.arange(0.5, seconds - 0.3, 0.8)
    wave = 2 * made.coloured(rng, len(times), fs, 1, 40)
    kept = [number for number in range(len(centres)) if number not in leave]
    for number in kept:
        shape = ((-0.16, 0.022, 25), (-0.026, 0.008, -20), (0, 0.011, 200), (0.03, 0.01, -40), (0.26, 0.05, 50))
        if number in ectopic:
            shape = ((0.0, 0.035, 300), (0.09, 0.04, -150), (0.30, 0.06, -120))
        for delay, sigma, height in shape:
            wave += height * np.exp(-0.5 * ((times - centres[number] - delay) / sigma) ** 2)
    return np.round(wave).astype(np.float32), np.rint(centres[kept] * fs).astype(np.int64)


def of_one(wave: NDArray[np.float32], peaks: NDArray[np.int64], fs: float = FS) -> Quality:
    return quality(wave[None], fs, [peaks])


def muscle(seed: int, length: int, fs: float = FS) -> NDArray[np.float64]:
    return made.coloured(np.random.default_rng(seed), length, fs, 5, 60)


@pytest.fixture(scope="module")
def real(real_data: Path) -> tuple[Small, NDArray[np.float32], RPeaks]:
    known = small(real_data)
    x = np.stack([known.strips.wave(row) for row in range(len(known.strips))])
    return known, x, find_rpeaks_of_block(x, known.strips.fs)


def judged(x: NDArray[np.float32], fs: float, found: RPeaks) -> Quality:
    return quality(x, fs, found.peaks, probability=found.probability, doubt=found.doubt)


@pytest.mark.real
def test_beats_of_no_class_are_taken_for_noise(real: tuple[Small, NDArray[np.float32], RPeaks]) -> None:
    known, x, _ = real
    noisy = quality(x, known.strips.fs, known.peaks).noisy
    assert noisy.mean() < 0.01
    for kind, most in (("N", 0.01), ("V", 0.02), ("S", 0.02)):
        assert noisy[known.aami == kind].mean() <= most


@pytest.mark.real
def test_neither_gain_offset_polarity_nor_company_matter(real: tuple[Small, NDArray[np.float32], RPeaks]) -> None:
    known, x, found = real
    rows = slice(0, 330, 11)
    part = RPeaks(found.peaks[rows], found.probability[rows], found.doubt[rows])
    plain = judged(x[rows], known.strips.fs, part)
    for changed in (-x[rows], 0.005 * x[rows] + 3):
        other = judged(changed, known.strips.fs, part)
        assert other.beat_score == pytest.approx(plain.beat_score, abs=0.01)
        assert other.strip_score == pytest.approx(plain.strip_score, abs=0.01)
    wild = np.concatenate([x[rows], 3000 * np.random.default_rng(0).standard_normal((1, x.shape[1]))]).astype(
        np.float32
    )
    beside = quality(wild, known.strips.fs, [*part.peaks, np.array([400, 900])])
    alone = quality(x[rows], known.strips.fs, part.peaks)
    assert beside.beat_score[:-2] == pytest.approx(alone.beat_score, abs=1e-4)
    assert beside.strip_score[:-1] == pytest.approx(alone.strip_score, abs=1e-4)


@pytest.mark.real
def test_the_sampling_rate_hardly_matters(real: tuple[Small, NDArray[np.float32], RPeaks]) -> None:
    known, x, found = real
    fs, rows = known.strips.fs, slice(0, 330, 11)
    x, peaks = x[rows], found.peaks[rows]
    noisy = np.stack([wave + 40 * muscle(row, len(wave), fs) for row, wave in enumerate(x)]).astype(np.float32)
    for waves in (x, noisy):
        plain = quality(waves, fs, peaks)
        for rate in (200.0, 500.0):
            times, new = np.arange(x.shape[1]) / fs, np.arange(round(x.shape[1] / fs * rate)) / rate
            again = np.stack([np.interp(new, times, wave) for wave in waves]).astype(np.float32)
            other = quality(again, rate, [np.rint(one / fs * rate).astype(int) for one in peaks])
            assert np.mean((other.beat_score > 0.5) == (plain.beat_score > 0.5)) > 0.97
            assert np.mean(np.abs(other.beat_score - plain.beat_score) < 0.15) > 0.95
            # a strip on the verge turns with all its beats
            assert np.mean(other.noisy == plain.noisy) > 0.9
            assert np.median(np.abs(other.beat_score - plain.beat_score)) < 0.05


@pytest.mark.real
def test_muscle_noise_as_high_as_the_waves_is_marked_and_a_burst_only_where_it_is(
    real: tuple[Small, NDArray[np.float32], RPeaks],
) -> None:
    known, x, _ = real
    fs, rng = known.strips.fs, np.random.default_rng(1)
    rows = [row for row in range(0, 330, 5) if len(known.peaks[row])]
    whole, burst, begins = [], [], []
    for row in rows:
        wave, beats = x[row].astype(np.float64), known.peaks[row].astype(np.float64)
        begins.append(rng.uniform(0, 8))
        whole.append(mix(wave, beats, fs, muscle(row, len(wave), fs), 0.0).wave)
        part = (begins[-1], begins[-1] + 2)
        burst.append(mix(wave, beats, fs, muscle(row, len(wave), fs), 0.0, burst=part).wave)
    covered = judged(np.stack(whole), fs, find_rpeaks_of_block(np.stack(whole), fs))
    assert covered.noisy.mean() > 0.98
    assert (covered.strip_flags & CONTENT > 0).mean() > 0.9
    found = find_rpeaks_of_block(np.stack(burst), fs)
    partly = judged(np.stack(burst), fs, found)
    into = np.concatenate([peaks / fs - begin for peaks, begin in zip(found.peaks, begins, strict=True)])
    assert partly.noisy[(into > 0) & (into < 2)].mean() > 0.97
    assert partly.noisy[(into < -0.45) | (into > 2.45)].mean() < 0.02
    assert (partly.strip_flags & CONTENT > 0).mean() < 0.05


@pytest.mark.real
def test_ventricular_flutter_is_no_noise(real: tuple[Small, NDArray[np.float32], RPeaks]) -> None:
    known, x, _ = real
    flutter = x[known.strips.label == 8]
    found = judged(flutter, known.strips.fs, find_rpeaks_of_block(flutter, known.strips.fs))
    assert len(flutter)
    assert not found.noisy_strips.any()
    seconds = np.arange(2500) / FS
    swing = (200 * np.sin(2 * np.pi * 4.5 * seconds + 0.4 * np.sin(2 * np.pi * 0.2 * seconds))).astype(np.float32)
    assert not of_one(swing, find_rpeaks_of_block(swing[None], FS).peaks[0]).noisy.any()


def test_a_clean_strip_has_nothing_to_tell() -> None:
    found = of_one(*drawn())
    assert not found.beat_flags.any()
    assert not found.strip_flags.any()
    assert found.strip_score[0] < 0.1
    assert strip_sentence(found, 0) == ""


def test_a_lone_ectopic_beat_is_spared() -> None:
    for seed in range(5):
        assert not of_one(*drawn(seed, ectopic=(5,))).noisy.any()
        assert not of_one(*drawn(seed, ectopic=(3, 4, 8))).noisy.any()


def test_a_worse_noise_never_scores_better() -> None:
    wave, peaks = drawn()
    scores = []
    for decibel in (40, 20, 14, 8, 2, -4):
        mixed = mix(wave.astype(np.float64), peaks.astype(np.float64), FS, muscle(3, len(wave)), decibel)
        found = of_one(mixed.wave, peaks)
        scores.append((float(found.strip_score[0]), float(found.beat_score.mean())))
    assert scores == sorted(scores)
    assert min(scores[-1]) > 0.7


def test_a_wandering_baseline_is_told_but_hides_nothing() -> None:
    wave, peaks = drawn()
    seconds = np.arange(len(wave)) / FS
    found = of_one((wave + 200 * np.sin(2 * np.pi * 0.25 * seconds)).astype(np.float32), peaks)
    assert found.strip_flags[0] == BASELINE
    assert not found.noisy.any()
    assert not found.noisy_strips.any()
    assert (found.beat_flags & BASELINE > 0).mean() > 0.3


@pytest.mark.parametrize("digits", [0.0, 0.6])
def test_a_lost_lead_is_told_and_a_pause_is_not_one(digits: float) -> None:
    wave, peaks = drawn(leave=(4, 5, 6))
    pause = of_one(wave, peaks)
    assert not pause.strip_flags[0] & LOST
    assert pause.lost_part[0] == 0
    lost = wave.copy()
    lost[830:1500] = np.round(digits * np.random.default_rng(0).standard_normal(670))
    found = of_one(lost, peaks)
    assert found.strip_flags[0] & LOST
    assert 0.2 < found.lost_part[0] < 0.32
    assert not found.noisy_strips[0]
    assert not (found.beat_flags[:3] & LOST).any()
    assert "The lead is lost in 2" in strip_sentence(found, 0)
    lost[830:] = 7
    assert of_one(lost, peaks[:4]).noisy_strips[0]


def test_a_cut_top_is_told_and_a_rounded_one_is_not() -> None:
    wave, peaks = drawn()
    assert not of_one(wave, peaks).strip_flags[0] & CLIPPED
    for flipped in (1, -1):
        cut = of_one(flipped * np.minimum(wave, 100), peaks)
        assert cut.strip_flags[0] & CLIPPED
        assert (cut.beat_flags & CLIPPED > 0).all()
    slow = (100 * np.sin(2 * np.pi * 0.2 * np.arange(2500) / FS)).round().astype(np.float32)
    assert not of_one(slow, np.array([600])).strip_flags[0] & CLIPPED


def test_a_flat_strip_and_a_flat_beat() -> None:
    for value in (0.0, 900.0):
        found = of_one(np.full(2500, value, dtype=np.float32), np.empty(0, dtype=np.int64))
        assert found.strip_flags[0] == FLAT
        assert found.strip_score[0] == 1
        assert found.noisy_strips[0]
    wave, peaks = drawn(leave=(5,))
    between = round((0.5 + 5 * 0.8) * FS)
    found = of_one(wave, np.insert(peaks, 5, between))
    assert np.flatnonzero(found.beat_flags & FLAT).tolist() == [5]


def test_a_strip_without_beats_is_judged_by_its_score() -> None:
    noise = (100 * np.random.default_rng(0).standard_normal(2500)).astype(np.float32)
    found = of_one(noise, np.empty(0, dtype=np.int64))
    assert found.strip_flags[0] & CONTENT
    assert len(found.beat_flags) == 0


@pytest.mark.parametrize("length", [1, 30, 200, 5000])
def test_any_length(length: int) -> None:
    wave, peaks = drawn(seconds=20.0)
    inside = peaks[peaks < length]
    found = of_one(wave[:length], inside)
    assert len(found.beat_score) == len(inside)
    assert np.isfinite(found.beat_score).all()
    assert np.isfinite(found.strip_score).all()
    if length == 5000:
        assert not found.noisy.any()


def test_strips_of_two_lengths_are_as_each_by_itself() -> None:
    long, short = drawn(0), drawn(1, seconds=6.0)
    noisy = (long[0] + 90 * muscle(1, len(long[0]))).astype(np.float32)
    waves, peaks = [long[0], short[0], noisy], [long[1], short[1], long[1]]
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in waves])])
    together = quality_of_strips(np.concatenate(waves), offsets, FS, peaks)
    for row in range(3):
        alone = of_one(waves[row], peaks[row])
        part = slice(together.bounds[row], together.bounds[row + 1])
        assert together.beat_score[part] == pytest.approx(alone.beat_score, abs=1e-5)
        assert together.beat_flags[part].tolist() == alone.beat_flags.tolist()
        assert together.strip_score[row] == pytest.approx(alone.strip_score[0], abs=1e-5)
    assert together.noisy_strips.tolist() == [False, False, True]


def test_reasons_in_words() -> None:
    flags = np.array([0, CONTENT, CONTENT | LOST, 31], dtype=np.uint8)
    assert reason_texts(flags) == ["", "content", "content;lost", ";".join(REASONS)]
    assert sentence(0) == ""
    assert sentence(CONTENT | BASELINE) == f"{SENTENCES['content']} {SENTENCES['baseline']}"
    wave, peaks = drawn()
    found = of_one((wave + 90 * muscle(1, len(wave))).astype(np.float32), peaks)
    assert strip_sentence(found, 0).endswith(f"{found.noisy.sum()} of {len(peaks)} beats are marked as noise.")
    assert found.reasons[:, REASONS.index("content")].all()


def test_what_does_not_belong_together_is_refused() -> None:
    wave, peaks = drawn()
    with pytest.raises(InputError, match="2 strips"):
        quality(wave[None], FS, [peaks, peaks])
    with pytest.raises(InputError, match="one probability"):
        quality(wave[None], FS, [peaks], probability=[np.ones(2, dtype=np.float32)])
    with pytest.raises(InputError, match="doubts"):
        quality(wave[None], FS, [peaks], doubt=np.zeros(3, dtype=np.float32))
    with pytest.raises(InputError, match="1 strips, but R-peaks of 2"):
        quality_of_strips(wave, np.array([0, len(wave)]), FS, [peaks, peaks])


def test_weights_are_small_never_negative_and_checked(tmp_path: Path) -> None:
    assert WEIGHTS.stat().st_size < 5_000
    assert (shipped_model().beat[:-1] >= 0).all()
    assert (shipped_model().strip[:-1] >= 0).all()
    path = tmp_path / "weights.npz"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(BundleError, match=r"weights\.npz"):
        load_model(path)
    np.savez(path, beat=np.zeros(2), strip=np.zeros(2))
    with pytest.raises(BundleError, match="not those of the noise scores"):
        load_model(path)


def test_a_fit_leaves_out_what_would_need_a_negative_weight() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4000, 3)).astype(np.float32)
    odds = 2 * x[:, 0] - 1.5 * x[:, 1] - 0.5
    weights = fit_signed(x, 1 / (1 + np.exp(-odds)), np.ones(len(x)), ridge=0.0)
    assert weights[0] > 1
    assert weights[1] == 0
    assert weights[2] < 0.1


def test_noise_is_mixed_in_at_the_level_that_is_told() -> None:
    wave, peaks = drawn()
    calm, beats = wave.astype(np.float64), peaks.astype(np.float64)
    noise = made.coloured(np.random.default_rng(1), len(wave), FS, 8, 40)
    whole = mix(calm, beats, FS, noise, 6.0)
    assert whole.overall == pytest.approx(6.0, abs=0.5)
    assert np.median(whole.decibel) == pytest.approx(6.0, abs=1.0)
    assert np.array_equal(whole.wave, np.round(whole.wave))
    burst = mix(calm, beats, FS, noise, 6.0, burst=(3.0, 5.0))
    assert burst.wave[: round(2.9 * FS)].tolist() == wave[: round(2.9 * FS)].tolist()
    assert burst.decibel[round(4 * FS)] == pytest.approx(6.0, abs=2.0)
    assert burst.decibel[round(8 * FS)] > 30


def test_every_kind_of_noise() -> None:
    rng = np.random.default_rng(2)
    records = NoiseRecords(*(rng.standard_normal((2, 9000)).astype(np.float32) for _ in range(2)))
    for kind in KINDS:
        noise = noise_of(kind, 2500, FS, records, rng)
        assert noise.shape == (2500,)
        assert 0.5 < noise.std() < 30
    with pytest.raises(ValueError, match="muscle"):
        noise_of("thunder", 2500, FS, records, rng)
    narrow = band_limited(noise_of("hiss", 2500, FS, records, rng).astype(np.float32) * 100, FS, 0.5, 30.0)
    spectrum = np.abs(np.fft.rfft(narrow)) ** 2
    assert spectrum[600:].sum() < 0.02 * spectrum.sum()


def at_rest(wave: NDArray[np.float32], peaks: NDArray[np.int64], fs: float = FS) -> NDArray[np.float32]:
    traces = noise_traces(wave[None], fs, [peaks])
    return range_at_rest(traces, *places(traces, fs, [peaks]))


def test_an_ectopic_beats_own_waves_are_no_unrest_and_a_jolt_between_beats_is() -> None:
    plain, peaks = drawn(3)
    with_ectopic, same = drawn(3, ectopic=(5,))
    assert np.array_equal(peaks, same)
    calm, ectopic = at_rest(plain, peaks), at_rest(with_ectopic, peaks)
    assert ectopic[5] < calm[5] + 0.7  # it is three times as high, and so is its T wave
    jolted = plain.copy()
    at = int(peaks[5]) + round(0.5 * FS)  # after the T wave, before the next P wave
    jolted[at : at + 20] += 120 * np.hanning(20).astype(np.float32)
    after = at_rest(jolted, peaks)
    assert (after[5:7] > calm[5:7] + 0.7).all()
    assert np.allclose(np.delete(after, [5, 6]), np.delete(calm, [5, 6]), atol=0.1)


def test_range_at_rest_depends_on_no_gain_polarity_offset_or_rate_and_is_usual_where_there_is_no_rest() -> None:
    wave, peaks = drawn(4)
    here = at_rest(wave, peaks)
    assert np.allclose(at_rest(-0.01 * wave + 7, peaks), here, atol=1e-3)
    faster, again = drawn(4, fs=2 * FS)
    assert np.allclose(at_rest(faster, again, 2 * FS), here, atol=0.35)
    every_third = np.arange(50, 2400, 100)  # 0.4 s apart
    assert np.allclose(at_rest(wave, every_third)[1:-1], np.log(0.2), atol=1e-6)


@pytest.mark.real
def test_many_beats_in_doubt_make_a_strip_noise(
    real: tuple[Small, NDArray[np.float32], RPeaks],
) -> None:
    known, x, _ = real
    fs = known.strips.fs
    rows = [row for row in range(0, 330, 6) if len(known.peaks[row]) and known.strips.label[row] in (0, 2)]
    level = np.stack(
        [
            mix(
                x[row].astype(np.float64), known.peaks[row].astype(np.float64), fs, muscle(row, x.shape[1], fs), 7.0
            ).wave
            for row in rows
        ]
    )
    found = judged(level, fs, find_rpeaks_of_block(level, fs))
    noise = (found.strip_flags & CONTENT > 0).mean()
    by_itself = np.mean(found.beat_score > 0.5)
    assert found.noisy.mean() > max(by_itself, 0.8) and noise > 0.7
    strips = np.repeat(np.arange(len(rows)), np.diff(found.bounds))
    assert found.noisy[(found.strip_flags & CONTENT > 0)[strips]].all()
