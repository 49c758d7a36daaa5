"""R-peaks: nothing depends on the recorder, hardly anything on noise, and a floor on real strips is held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from ecg_engine.arrhythmia.augmentation import add_noise, beat_rms, piece_of
from ecg_engine.arrhythmia.candidates import Candidates
from ecg_engine.arrhythmia.edges import edge_features
from ecg_engine.arrhythmia.kin_features import kin_features
from ecg_engine.arrhythmia.perceptron import Perceptron, from_arrays
from ecg_engine.arrhythmia.rhythm_features import strongest
from ecg_engine.arrhythmia.rpeaks import (
    LATER_INPUTS,
    WEIGHTS,
    RPeakModel,
    RPeaks,
    find_rpeaks,
    find_rpeaks_of_block,
    first_look,
    load_model,
    look_again,
    save_model,
    shipped_model,
)
from ecg_engine.conditioning import bandpass, zscore
from ecg_engine.errors import BundleError
from ecg_engine.evaluation import match_beats
from ecg_engine.simulate import noise
from ecg_engine.strips import read_strips

FS = 250.0


def synthetic(rng: np.random.Generator, seconds: float = 10.0, fs: float = FS, first: float = 0.45) -> tuple:
    """Beats of P, QRS and T in a little noise, and the times of their R-peaks."""
    times = np.arange(round(seconds * fs)) / fs
    beats = np.arange(first, seconds, 0.82) + rng.uniform(-0.03, 0.03)
    wave = 0.01 * rng.standard_normal(len(times))
    for beat in beats:
        for delay, sigma, height in (
            (-0.16, 0.022, 0.12),
            (-0.026, 0.008, -0.12),
            (0, 0.011, 1.0),
            (0.03, 0.01, -0.2),
            (0.26, 0.05, 0.3),
        ):
            wave += height * np.exp(-0.5 * ((times - beat - delay) / sigma) ** 2)
    return wave.astype(np.float32), beats


class Real:
    """Strips of the small real file with their beats, ventricular flutter left out."""

    def __init__(self, folder: Path) -> None:
        strips = read_strips(folder / "mitdb_ds1_small.xlsx")
        beats = pd.read_csv(folder / "mitdb_ds1_small_beats.csv")
        kept = np.flatnonzero(strips.label != 8)
        self.fs = strips.fs
        self.x = np.stack([strips.wave(int(row)) for row in kept])
        rows = {int(strips.source_row[row]): number for number, row in enumerate(kept)}
        beats = beats[beats["source_row"].isin(rows)]
        self.strip = beats["source_row"].map(rows).to_numpy()
        self.seconds = beats["sample"].to_numpy() / self.fs
        self.aami = beats["aami"].to_numpy()

    def f1(self, found: RPeaks, tolerance: float) -> float:
        strip, seconds = flat(found, self.fs)
        match = match_beats(self.seconds, seconds, true_strip=self.strip, found_strip=strip, tolerance_sec=tolerance)
        return 2 * len(match.true_index) / (len(self.seconds) + len(seconds))


def flat(found: RPeaks, fs: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    strip = np.repeat(np.arange(len(found.peaks)), [len(peaks) for peaks in found.peaks])
    return strip, np.concatenate(found.peaks) / fs


@pytest.fixture(scope="module")
def real(request: pytest.FixtureRequest) -> Iterator[Real]:
    yield Real(request.getfixturevalue("real_data"))


def agreement(a: RPeaks, b: RPeaks, fs: float, tolerance: float = 0.02) -> float:
    (strip_a, seconds_a), (strip_b, seconds_b) = flat(a, fs), flat(b, fs)
    match = match_beats(seconds_a, seconds_b, true_strip=strip_a, found_strip=strip_b, tolerance_sec=tolerance)
    return 2 * len(match.true_index) / (len(seconds_a) + len(seconds_b))


@pytest.mark.real
def test_floor_on_real_strips(real: Real) -> None:
    found = find_rpeaks_of_block(real.x, real.fs)
    assert real.f1(found, 0.150) > 0.998
    assert real.f1(found, 0.050) > 0.996
    strip, seconds = flat(found, real.fs)
    missed = match_beats(real.seconds, seconds, true_strip=real.strip, found_strip=strip).missed
    for kind in "VS":
        assert np.count_nonzero(real.aami[missed] == kind) <= 0.01 * np.count_nonzero(real.aami == kind)


@pytest.mark.real
def test_recorder_does_not_matter(real: Real) -> None:
    """Polarity, gain, offset and slow drift change nothing, or next to nothing."""
    x = real.x[::3]
    plain = find_rpeaks_of_block(x, real.fs)
    assert agreement(plain, find_rpeaks_of_block(-x, real.fs), real.fs) > 0.9995
    assert agreement(plain, find_rpeaks_of_block(0.013 * x + 7, real.fs), real.fs) > 0.9995
    drift = 150 * np.sin(2 * np.pi * 0.2 * np.arange(x.shape[1]) / real.fs).astype(np.float32)
    assert agreement(plain, find_rpeaks_of_block(x + drift, real.fs), real.fs) > 0.997
    assert agreement(plain, find_rpeaks_of_block(zscore(bandpass(x, real.fs)), real.fs), real.fs) > 0.995


@pytest.mark.real
@pytest.mark.parametrize("fs", [125.0, 500.0, 1000.0])
def test_rate_does_not_matter(real: Real, fs: float) -> None:
    x = real.x[::6]
    times, new = np.arange(x.shape[1]) / real.fs, np.arange(round(x.shape[1] / real.fs * fs)) / fs
    again = np.stack([np.interp(new, times, wave) for wave in x]).astype(np.float32)
    plain, other = find_rpeaks_of_block(x, real.fs), find_rpeaks_of_block(again, fs)
    scaled = RPeaks([np.round(p / fs * real.fs).astype(int) for p in other.peaks], other.probability, other.doubt)
    assert agreement(plain, scaled, real.fs) > 0.995


@pytest.mark.real
def test_muscle_noise_hardly_matters_and_raises_doubt(real: Real) -> None:
    rng = np.random.default_rng(5)
    muscle = noise.coloured(rng, 400_000, real.fs, 8, 90)[None].astype(np.float32)
    noisy = []
    for row, wave in enumerate(real.x[::3]):
        beats = real.seconds[real.strip == 3 * row] * real.fs
        reference = beat_rms(wave.astype(float), beats, real.fs)
        noisy.append(add_noise(wave.astype(float), piece_of(muscle, len(wave), rng), 6.0, reference))
    clean, spoilt = (find_rpeaks_of_block(np.array(x, dtype=np.float32), real.fs) for x in (real.x[::3], noisy))
    assert agreement(clean, spoilt, real.fs, 0.05) > 0.98
    assert np.median(spoilt.doubt) > np.median(clean.doubt)


@pytest.mark.real
def test_a_strip_is_read_alike_alone_and_in_company(real: Real) -> None:
    together = find_rpeaks_of_block(real.x[:7], real.fs)
    for row in range(7):
        peaks, probability = find_rpeaks(real.x[row], real.fs)
        assert peaks.tolist() == together.peaks[row].tolist()
        assert probability == pytest.approx(together.probability[row], abs=1e-4)


def test_beats_are_found_at_their_peaks_from_edge_to_edge() -> None:
    wave, beats = synthetic(np.random.default_rng(0))
    peaks, probability = find_rpeaks(wave, FS)
    assert len(peaks) == len(beats) == len(probability)
    assert np.abs(peaks / FS - beats).max() < 0.012
    assert probability.min() > 0.5


@pytest.mark.parametrize("fs", [50.0, 128.0, 1000.0])
def test_any_rate(fs: float) -> None:
    wave, beats = synthetic(np.random.default_rng(7), fs=fs)
    peaks, _ = find_rpeaks(wave, fs)
    assert len(peaks) == len(beats)
    assert np.abs(peaks / fs - beats).max() <= max(0.012, 1 / fs)


@pytest.mark.parametrize("upright", [1, -1])
@pytest.mark.parametrize(("cut", "there"), [(0.020, True), (-0.020, False)])
def test_a_beat_cut_by_the_edge_counts_if_its_peak_is_inside(upright: int, cut: float, there: bool) -> None:
    """The strip begins 20 ms ahead of an R-peak, or 20 ms behind one; and ends so."""
    whole, beats = synthetic(np.random.default_rng(1), 14.0)
    start, end = beats[2] - cut, beats[13] + cut
    strip = upright * whole[round(start * FS) : round(end * FS)]
    peaks = find_rpeaks(strip, FS)[0] / FS
    expected = beats[2:14] if there else beats[3:13]
    assert len(peaks) == len(expected)
    assert np.abs(peaks - (expected - start)).max() < 0.02


@pytest.mark.parametrize("seconds", [2.0, 4.0, 25.0, 60.0])
def test_any_length(seconds: float) -> None:
    wave, beats = synthetic(np.random.default_rng(2), seconds)
    peaks, probability = find_rpeaks(wave, FS)
    assert len(peaks) == len(beats) == len(probability)
    assert np.abs(peaks / FS - beats).max() < 0.012


@pytest.mark.parametrize("length", [1, 5, 100, 2500])
def test_nothing_is_found_where_nothing_is(length: int) -> None:
    for wave in (np.zeros(length), np.full(length, 900.0)):
        found = find_rpeaks_of_block(wave[None].astype(np.float32), FS)
        assert len(found.peaks[0]) == 0
        assert found.doubt[0] == 0


def test_a_lost_lead_has_no_beats_and_hides_none() -> None:
    wave, beats = synthetic(np.random.default_rng(3))
    wave[1000:1650] = wave[1000]
    peaks = find_rpeaks(wave, FS)[0]
    left = beats[(beats < 3.95) | (beats > 6.65)]
    assert len(peaks) == len(left)
    assert np.abs(peaks / FS - left).max() < 0.02


def test_strips_do_not_influence_each_other() -> None:
    rng = np.random.default_rng(4)
    calm = synthetic(rng)[0]
    wild = (50 * rng.standard_normal(len(calm))).astype(np.float32)
    alone = find_rpeaks_of_block(calm[None], FS)
    beside = find_rpeaks_of_block(np.stack([wild, calm, np.zeros_like(calm)]), FS)
    assert beside.peaks[1].tolist() == alone.peaks[0].tolist()
    assert len(beside.peaks[2]) == 0
    assert beside.doubt[0] > beside.doubt[1]


def test_the_strongest_of_near_ones_stays() -> None:
    odds = np.array([[1.0, 3.0, 2.0, 0.5]])
    seconds = np.array([[0.0, 0.15, 0.30, np.inf]])
    assert strongest(odds, seconds, 0.2).tolist() == [[False, True, False, False]]
    # the middle one falls to the first, and so does not hold back the last
    assert strongest(np.array([[3.0, 2.0, 1.0]]), np.array([[0.0, 0.15, 0.30]]), 0.2).tolist() == [[True, False, True]]


def test_the_best_fit_tells_where_a_cut_beat_has_its_peak() -> None:
    whole, beats = synthetic(np.random.default_rng(6), 14.0)
    for cut in (-0.03, -0.012, 0.012, 0.03):
        strip = whole[round((beats[1] - cut) * FS) :][None]
        peaks = np.round((beats[1:] - beats[1] + cut) * FS).astype(int)
        yes = np.ones(len(peaks), dtype=bool)
        features = edge_features(strip, FS, np.zeros(len(peaks), dtype=int), np.maximum(peaks, 0), yes, yes)
        assert features[0, 1] == pytest.approx(cut / 0.010, abs=0.5)
        assert features[1:-1, 0].tolist() == [0] * (len(peaks) - 2)


def test_kin_tells_what_became_of_those_of_the_same_shape() -> None:
    """Three QRS complexes and three T-waves; the looks before know two of each."""
    at = np.arange(6)
    found = Candidates(np.zeros(6, dtype=np.int64), at, np.ones(1, np.float32), np.zeros(1, np.float32))
    alike = np.where(at[:, None] % 2 == at[None, :] % 2, 0.95, 0.3).astype(np.float32)[None]
    alike[0, at, at] = -1
    logit = np.array([8, -8, 8, -8, 0, 0], dtype=np.float32)
    of_qrs, of_t = kin_features(found, alike, logit)[4:]
    assert of_qrs[:3] == pytest.approx([5.8, 0.48, 0.5], abs=0.2)
    assert of_t[:3] == pytest.approx(-of_qrs[:3])
    assert of_qrs[3:] == pytest.approx([0.95, 0.3, np.log(3)])
    assert of_t[3:] == pytest.approx([0.3, 0.95, 0])


def test_what_is_like_no_other_has_no_kin() -> None:
    found = Candidates(np.zeros(2, np.int64), np.arange(2), np.ones(1, np.float32), np.zeros(1, np.float32))
    alone = kin_features(found, np.full((1, 2, 2), -1, dtype=np.float32), np.array([9, -9], dtype=np.float32))
    assert alone.tolist() == [[0, 0, 0, -1, -1, 0]] * 2


@pytest.mark.parametrize("changed", [lambda x: -x, lambda x: 0.005 * x, lambda x: -300 * x])
def test_each_look_is_given_the_same_whatever_polarity_and_gain(changed: Callable) -> None:
    model, rng = shipped_model(), np.random.default_rng(8)
    x = np.stack([synthetic(rng, first=first)[0] for first in (0.01, 0.3, 0.6)])
    given = []
    for wave in (x, changed(x).astype(np.float32)):
        first = first_look(wave, FS)
        logit = model.first.logit(first.features)
        looks = []
        for committee in model.later:
            looks.append(look_again(wave, FS, first, logit))
            logit = committee.logit(looks[-1].features)
        given.append(looks)
    for one, other in zip(*given, strict=True):
        assert one.features.shape[1] == LATER_INPUTS
        assert other.features == pytest.approx(one.features, abs=0.02)
        assert other.sample.tolist() == one.sample.tolist()


def test_a_model_is_kept_as_it_is(tmp_path: Path) -> None:
    model = shipped_model()
    assert len(model.later) == 2
    save_model(model, tmp_path / "weights.npz")
    again = load_model(tmp_path / "weights.npz")
    wave = synthetic(np.random.default_rng(9))[0]
    found, same = (find_rpeaks_of_block(wave[None], FS, one) for one in (model, again))
    assert same.peaks[0].tolist() == found.peaks[0].tolist()
    assert same.probability[0].tolist() == found.probability[0].tolist()


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(BundleError, match=r"weights\.npz"):
        load_model(path)
    path.write_bytes(WEIGHTS.read_bytes()[:100_000])
    with pytest.raises(BundleError, match="cannot be read"):
        load_model(path)
    net = Perceptron(
        np.zeros(2, np.float32), np.ones(2, np.float32), (np.ones((3, 1), np.float32),), (np.zeros(1, np.float32),)
    )
    with pytest.raises(BundleError, match="do not fit"):
        from_arrays(net.as_arrays())
    with pytest.raises(BundleError, match="no array"):
        from_arrays({})


def test_weights_of_other_looks_are_refused(tmp_path: Path) -> None:
    path, model = tmp_path / "weights.npz", shipped_model()
    save_model(RPeakModel(model.first, ()), path)
    with pytest.raises(BundleError, match="no later look"):
        load_model(path)
    save_model(RPeakModel(model.later[0].members[0], model.later), path)
    with pytest.raises(BundleError, match="other features"):
        load_model(path)
    with np.load(WEIGHTS) as stored:
        np.savez(path, **{name: stored[name] for name in stored.files if name != "later1_0_bias1"})
    with pytest.raises(BundleError, match="later1_0_bias1"):
        load_model(path)


def test_shipped_weights_are_small_and_read_once() -> None:
    assert WEIGHTS.stat().st_size < 400_000
    assert shipped_model() is shipped_model()
