"""Flutter waves in strips composed of real beats, and in none of the real strips with other rhythms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import resample_poly

from ecg_engine.arrhythmia.findings import FLUTTER_SHOWN
from ecg_engine.arrhythmia.flutter import flutter_probability, load_net, save_net, shipped_net
from ecg_engine.arrhythmia.flutter_strips import KINDS, BeatShape, Composed, beat_shape, compose
from ecg_engine.arrhythmia.rpeaks import find_rpeaks_of_block
from ecg_engine.errors import BundleError
from ecg_engine.evaluation import match_beats
from tests.engine.arrhythmia.small import small

FS = 260.4


def shapes(folder: Path) -> list[BeatShape]:
    """Of an ordinary strip of each patient that has one."""
    few, found = small(folder), {}
    for row in np.flatnonzero(few.strips.label == 0).tolist():
        patient = few.strips.patient_id[row]
        if patient not in found:
            shape = beat_shape(few.strips.wave(row).astype(np.float64), few.peaks[row].astype(np.float64), FS)
            if shape is not None:
                found[patient] = shape
    return list(found.values())


def made(folder: Path, kind: str) -> list[Composed]:
    """Strips of one kind; of flutter those with waves that cannot be overlooked, every third or fewer conducted."""
    rng = np.random.default_rng(3)
    strips = [compose(shape, kind, FS, rng) for shape in shapes(folder) for _ in range(8)]
    return [one for one in strips if kind != "flutter" or (one.height > 0.2 and one.conduction >= 3)]


def said(strips: list[Composed], gain: float = 1.0, offset: float = 0.0) -> NDArray[np.float32]:
    waves = np.stack([one.wave for one in strips]) * gain + offset
    peaks = [np.round(one.r_sec * FS).astype(np.int64) for one in strips]
    return flutter_probability(
        waves.astype(np.float32).reshape(-1), np.arange(len(waves) + 1) * waves.shape[1], FS, peaks
    )


def test_plain_flutter_is_shown_and_the_same_beats_in_other_rhythms_are_not(real_data: Path) -> None:
    flutter = said(made(real_data, "flutter"))
    assert len(flutter) > 20
    assert np.mean(flutter >= FLUTTER_SHOWN) > 0.8
    for kind, most in zip(KINDS[1:], (0.05, 0.1, 0.1), strict=True):
        assert np.mean(said(made(real_data, kind)) >= FLUTTER_SHOWN) <= most, kind


def test_gain_offset_and_polarity_do_not_matter(real_data: Path) -> None:
    strips = made(real_data, "flutter")[:10] + made(real_data, "sinus")[:10]
    assert said(strips, -0.02, 700) == pytest.approx(said(strips), abs=1e-3)


def test_the_rate_of_the_file_does_not_matter(real_data: Path) -> None:
    strips = made(real_data, "flutter")[:12] + made(real_data, "sinus")[:12]
    slow = np.stack([resample_poly(one.wave, 1, 2) for one in strips]).astype(np.float32)
    peaks = [np.round(one.r_sec * FS / 2).astype(np.int64) for one in strips]
    at_half = flutter_probability(slow.reshape(-1), np.arange(len(slow) + 1) * slow.shape[1], FS / 2, peaks)
    assert np.abs(at_half - said(strips)).max() < 0.25
    assert np.abs(at_half - said(strips)).mean() < 0.05


def test_real_strips_with_other_rhythms_show_none(real_data: Path) -> None:
    few = small(real_data)
    strips = few.strips
    p = flutter_probability(strips.samples, strips.offsets, strips.fs, few.peaks)
    assert np.sum(p[~np.isin(strips.label, (6, 8, -1))] >= FLUTTER_SHOWN) == 0


def test_without_beats_and_on_a_short_strip_nothing_is_said() -> None:
    none, some = np.zeros(0, dtype=np.int64), np.array([200, 400])
    assert flutter_probability(np.zeros(2604, dtype=np.float32), np.array([0, 2604]), FS, [none]).tolist() == [0]
    assert flutter_probability(np.zeros(900, dtype=np.float32), np.array([0, 900]), FS, [some]).tolist() == [0]
    flat = flutter_probability(np.zeros(2604, dtype=np.float32), np.array([0, 2604]), FS, [some])
    assert flat[0] < FLUTTER_SHOWN


@pytest.mark.parametrize("kind", ["flutter", "fibrillation"])
def test_composed_beats_are_where_they_are_said_to_be(real_data: Path, kind: str) -> None:
    strips = made(real_data, kind)[:60]
    found = find_rpeaks_of_block(np.stack([one.wave for one in strips]).astype(np.float32), FS).peaks
    matched = total = 0
    for one, peaks in zip(strips, found, strict=True):
        matched += 2 * len(match_beats(one.r_sec, peaks / FS, tolerance_sec=0.1).true_index)
        total += len(one.r_sec) + len(peaks)
    assert matched / total > 0.97


def test_only_known_kinds_are_composed(real_data: Path) -> None:
    with pytest.raises(ValueError, match="the choices are flutter"):
        compose(shapes(real_data)[0], "polka", FS, np.random.default_rng(0))


def test_weights_come_back_and_a_damaged_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    save_net(shipped_net(), path)
    for one, other in zip(load_net(path).parameters(), shipped_net().parameters(), strict=True):
        assert np.array_equal(one.detach().numpy(), other.detach().numpy())
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BundleError, match=r"net\.npz"):
        load_net(path)
    np.savez(path, something=np.zeros(3))
    with pytest.raises(BundleError, match="flutter head"):
        load_net(path)
