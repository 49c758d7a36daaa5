"""R-peaks on patients never seen: five folds of patients, each read by a finder that was trained without them.

Strict scoring (missed and spurious beats count), strips of ventricular flutter left out, 95 % intervals by bootstrap
over patients. Muscle noise is from the half of the NSTDB record that is not trained with; its level is as NSTDB's own
program has it: against a sine as high as the median QRS complex. The strips of CinC 2017 have no beats marked: there,
rates and the agreement with sleepecg are shown, of the shipped weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.common import DS1, REAL, table
from bench.kept import once
from ecg_engine.arrhythmia.augmentation import add_noise, beat_rms, piece_of
from ecg_engine.arrhythmia.rpeak_data import mitdb_strips, nstdb_noise
from ecg_engine.arrhythmia.rpeak_training import fit_model, training_blocks
from ecg_engine.arrhythmia.rpeaks import WEIGHTS, RPeakModel, find_rpeaks_of_block, load_model, save_model
from ecg_engine.arrhythmia.training_script import NOISE_SHARE
from ecg_engine.conditioning import bandpass, zscore
from ecg_engine.evaluation import auroc, match_beats
from ecg_engine.rpeaks import find_rpeaks_of_block as reference_rpeaks
from ecg_engine.strips import read_strips

FOLDS, BLOCK, DRAWS = 5, 256, 1000
Waves = NDArray[np.float32]
Finder = Callable[[Waves, float], list[NDArray[np.int64]]]


class Truth(NamedTuple):
    """DS1: strips without ventricular flutter, their patients, and their beats."""

    x: Waves
    fs: float
    patient: NDArray[np.int64]
    strip: NDArray[np.int64]
    seconds: NDArray[np.float64]
    aami: NDArray[np.str_]


class Score(NamedTuple):
    """Counts of each patient: matched, true and found beats, and by class the missed and all."""

    matched: NDArray[np.int64]
    true: NDArray[np.int64]
    found: NDArray[np.int64]
    missed: dict[str, NDArray[np.int64]]
    all: dict[str, NDArray[np.int64]]


def main() -> None:
    truth = read_truth()
    patients = np.unique(truth.patient)
    fold_of = np.random.default_rng(1).permutation(len(patients)) % FOLDS
    folds = [patients[fold_of == fold] for fold in range(FOLDS)]
    models = grouped_finders(folds)

    def grouped(x: Waves, fs: float) -> list[NDArray[np.int64]]:
        peaks: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)] * len(x)
        for model, group in zip(models, folds, strict=True):
            rows = np.flatnonzero(np.isin(truth.patient, group))
            for start in range(0, len(rows), BLOCK):
                mine = rows[start : start + BLOCK]
                for row, found in zip(mine, find_rpeaks_of_block(x[mine], fs, model).peaks, strict=True):
                    peaks[row] = found
        return peaks

    finders: dict[str, Finder] = {"reference (neurokit)": reference, "sleepecg": sleepecg, "arrhythmia": grouped}
    rows = []
    for name, finder in finders.items():
        peaks = finder(truth.x, truth.fs)
        wide, narrow = score(truth, peaks, 0.150), score(truth, peaks, 0.050)
        rows.append([name, f1(wide), f1(narrow), *(missed(wide, kind) for kind in "VSF")])
    header = ["", "F1 at 150 ms", "F1 at 50 ms", "V missed", "S missed", "F missed"]
    table(f"R-peaks of {len(truth.x):,} strips, {len(truth.seconds):,} beats, %", header, rows)

    rows = []
    for decibel in (18, 12, 6, 0):
        noisy = with_muscle(truth, decibel)
        rows.append(
            [f"{decibel} dB", *(f1(score(truth, finder(noisy, truth.fs), 0.150)) for finder in finders.values())]
        )
    table("F1 at 150 ms under muscle noise, %", ["", *finders], rows)

    rows = []
    for name, x, fs in changed(truth):
        peaks = [np.round(found / fs * truth.fs).astype(np.int64) for found in grouped(x, fs)]
        rows.append([name, f1(score(truth, peaks, 0.150)), f1(score(truth, peaks, 0.050))])
    table("The same strips changed: arrhythmia, %", ["", "F1 at 150 ms", "F1 at 50 ms"], rows)

    rows = []
    for name, finder in {**finders, "arrhythmia": shipped}.items():
        finder(truth.x[:BLOCK], truth.fs)
        begun = time.process_time()
        for start in range(0, 4 * BLOCK, BLOCK):
            finder(truth.x[start : start + BLOCK], truth.fs)
        rows.append([name, f"{(time.process_time() - begun) / (4 * BLOCK) * 1e3:.2f}"])
    table("Processor time", ["", "ms a strip"], rows)
    elsewhere()


def read_truth() -> Truth:
    strips = read_strips(DS1)
    about = pd.read_csv(REAL / "mitdb_ds1_strips.csv").set_index("source_row").loc[strips.source_row]
    kept = np.flatnonzero(about["rhythm"].to_numpy() != "(VFL")
    number = pd.Series(np.arange(len(kept)), index=strips.source_row[kept])
    beats = pd.read_csv(REAL / "mitdb_ds1_beats.csv")
    beats = beats[beats["source_row"].isin(number.index)]
    return Truth(
        np.stack([strips.wave(int(row)) for row in kept]),
        strips.fs,
        about["record"].to_numpy()[kept],
        number.loc[beats["source_row"]].to_numpy(),
        beats["sample"].to_numpy() / strips.fs,
        beats["aami"].to_numpy(),
    )


def grouped_finders(folds: Sequence[NDArray[np.int64]]) -> list[RPeakModel]:
    """A finder for each fold, trained on the patients of the others, and kept."""
    return once(folds, "rpeaks", partial(grouped_models, folds), save_model, load_model, WEIGHTS)


def grouped_models(folds: Sequence[NDArray[np.int64]]) -> list[RPeakModel]:
    strips = mitdb_strips(REAL / "mitdb-ds1")
    noises = nstdb_noise(REAL / "nstdb", last=NOISE_SHARE)
    parts = [
        training_blocks(strips.of(np.flatnonzero(np.isin(strips.patient, group))), noises, seed=seed)
        for seed, group in enumerate(folds)
    ]
    return [
        fit_model([block for other, part in enumerate(parts) if other != fold for block in part])
        for fold in range(len(folds))
    ]


def reference(x: Waves, fs: float) -> list[NDArray[np.int64]]:
    return [peaks for part in _parts(x) for peaks in reference_rpeaks(zscore(bandpass(part, fs)), fs)]


def sleepecg(x: Waves, fs: float) -> list[NDArray[np.int64]]:
    from sleepecg import detect_heartbeats

    return [np.asarray(detect_heartbeats(wave.astype(np.float64), fs), dtype=np.int64) for wave in x]


def shipped(x: Waves, fs: float) -> list[NDArray[np.int64]]:
    return [peaks for part in _parts(x) for peaks in find_rpeaks_of_block(part, fs).peaks]


def _parts(x: Waves) -> list[Waves]:
    return [x[start : start + BLOCK] for start in range(0, len(x), BLOCK)]


def with_muscle(truth: Truth, decibel: float) -> Waves:
    muscle = nstdb_noise(REAL / "nstdb", first=NOISE_SHARE).muscle
    rng = np.random.default_rng(3)
    noisy = np.empty_like(truth.x)
    for row, wave in enumerate(truth.x.astype(np.float64)):
        level = beat_rms(wave, truth.seconds[truth.strip == row] * truth.fs, truth.fs)
        noisy[row] = np.round(add_noise(wave, piece_of(muscle, len(wave), rng), decibel, level))
    return noisy


def changed(truth: Truth) -> list[tuple[str, Waves, float]]:
    x, fs = truth.x, truth.fs
    seconds = np.arange(x.shape[1]) / fs
    drift = (200 * np.sin(2 * np.pi * 0.3 * seconds)).astype(np.float32)
    slow, fast = (np.arange(round(10 * rate)) / rate for rate in (125.0, 500.0))
    return [
        ("upside down", -x, fs),
        ("gain 0.005, offset 3", 0.005 * x + 3, fs),
        ("drift of 2 mV from peak to peak at 0.3 Hz", x + drift, fs),
        ("conditioned (0.5-45 Hz, z-score)", zscore(bandpass(x, fs)), fs),
        ("monitor bandwidth (0.5-25 Hz)", bandpass(x, fs, low_hz=0.5, high_hz=25.0, order=2), fs),
        ("derivative-like lead (5-45 Hz)", bandpass(x, fs, low_hz=5.0, high_hz=45.0, order=1), fs),
        ("at 125 Hz", np.stack([np.interp(slow, seconds, wave) for wave in x]).astype(np.float32), 125.0),
        ("at 500 Hz", np.stack([np.interp(fast, seconds, wave) for wave in x]).astype(np.float32), 500.0),
        ("the other lead (V1, V4, V5; marks are of MLII)", other_lead(truth), fs),
    ]


def other_lead(truth: Truth) -> Waves:
    import wfdb
    from scipy.signal import resample_poly

    about = pd.read_csv(REAL / "mitdb_ds1_strips.csv")
    about = about[about["rhythm"] != "(VFL"]
    waves = []
    for record, part in about.groupby("record", sort=False):
        read = wfdb.rdrecord(str(REAL / "mitdb-ds1" / str(record)), physical=False)
        signal = read.d_signal[:, 1 - read.sig_name.index("MLII")].astype(np.float64)
        for start in part["start_sec"]:
            wave = signal[round(start * read.fs) :][:3600]
            waves.append(resample_poly(wave - np.median(wave), 217, 300)[: truth.x.shape[1]])
    return np.array(waves, dtype=np.float32)


def score(truth: Truth, peaks: Sequence[NDArray[np.int64]], tolerance: float) -> Score:
    strip = np.repeat(np.arange(len(peaks)), [len(one) for one in peaks])
    match = match_beats(
        truth.seconds,
        np.concatenate(peaks) / truth.fs,
        true_strip=truth.strip,
        found_strip=strip,
        tolerance_sec=tolerance,
    )
    number = np.searchsorted(np.unique(truth.patient), truth.patient)
    size = int(number.max()) + 1

    def of_patients(strips: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(number[strips], minlength=size)

    gone = np.isin(np.arange(len(truth.strip)), match.missed)
    return Score(
        of_patients(truth.strip[match.true_index]),
        of_patients(truth.strip),
        of_patients(strip),
        {kind: of_patients(truth.strip[gone & (truth.aami == kind)]) for kind in "NVSF"},
        {kind: of_patients(truth.strip[truth.aami == kind]) for kind in "NVSF"},
    )


def f1(counts: Score) -> str:
    return _interval(2 * counts.matched, counts.true + counts.found)


def missed(counts: Score, kind: str) -> str:
    return _interval(counts.missed[kind], counts.all[kind])


def _interval(part: NDArray[np.int64], whole: NDArray[np.int64]) -> str:
    drawn = np.random.default_rng(0).integers(0, len(part), (DRAWS, len(part)))
    shares = part[drawn].sum(axis=1) / np.maximum(whole[drawn].sum(axis=1), 1)
    low, high = np.percentile(100 * shares, [2.5, 97.5])
    return f"{100 * part.sum() / whole.sum():.2f} ({low:.2f}-{high:.2f})"


def elsewhere() -> None:
    strips = read_strips(REAL / "cinc2017_a.xlsx")
    x = np.stack([strips.wave(row) for row in range(len(strips))])
    other = sleepecg(x, strips.fs)
    found = [find_rpeaks_of_block(part, strips.fs) for part in _parts(x)]
    peaks = [one for part in found for one in part.peaks]
    doubt = np.concatenate([part.doubt for part in found])
    rows = []
    for name, label in (("Normal", 0), ("AFib", 5), ("other rhythm", -999), ("Noise", -1)):
        mine = np.flatnonzero(strips.label == label)
        rate = np.array([60 / np.median(np.diff(peaks[row])) * strips.fs if len(peaks[row]) > 2 else 0 for row in mine])
        alike = matched = 0
        for row in mine:
            match = match_beats(other[row] / strips.fs, peaks[row] / strips.fs, tolerance_sec=0.1)
            matched += 2 * len(match.true_index)
            alike += len(other[row]) + len(peaks[row])
        plausible = np.mean((rate >= 35) & (rate <= 200))
        quartiles = "/".join(f"{value:.0f}" for value in np.percentile(rate, [5, 50, 95]))
        row_doubt = f"{np.median(doubt[mine]):.4f}"
        rows.append([name, len(mine), quartiles, f"{100 * plausible:.1f}", f"{100 * matched / alike:.1f}", row_doubt])
    header = ["", "strips", "rate 5/50/95 %", "rate 35-200, %", "F1 against sleepecg, %", "median doubt"]
    table("CinC 2017, shipped weights", header, rows)
    print(f"\nDoubt alone tells Noise from the rest with AUROC {auroc(doubt, strips.label == -1):.3f}.")


if __name__ == "__main__":
    main()
