"""Noise scores on patients never seen: five folds of patients, each judged by weights that were fitted without them.

The level of a noise is that of its part between 1.5 and 60 Hz, against a sine as high as the median QRS complex; noise
is mixed from the half of each NSTDB record that is not fitted with, and rounded to integers. The strips of CinC 2017
are judged by the shipped weights, which have seen nothing of them. R-peaks are those of the shipped finder. 95 %
intervals by bootstrap over patients (CinC: over strips, which are a patient each).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.arrhythmia_rpeaks import Truth, read_truth
from bench.common import REAL, table
from ecg_engine.arrhythmia.augmentation import NoiseRecords, add_noise, beat_rms, piece_of
from ecg_engine.arrhythmia.noise_mixing import BURST_SEC, Mixed, mix, noise_of
from ecg_engine.arrhythmia.quality import BASELINE, CLIPPED, CONTENT, FLAT, LOST, NOISY, Quality, QualityModel, quality
from ecg_engine.arrhythmia.quality_training import fit_model, joined, training_examples
from ecg_engine.arrhythmia.rpeak_data import mitdb_strips, nstdb_noise
from ecg_engine.arrhythmia.rpeaks import find_rpeaks_of_block
from ecg_engine.arrhythmia.training_script import NOISE_SHARE
from ecg_engine.conditioning import bandpass, zscore
from ecg_engine.config import PreprocessConfig
from ecg_engine.evaluation import auroc
from ecg_engine.quality import assess
from ecg_engine.rpeaks import find_rpeaks_of_block as reference_rpeaks
from ecg_engine.strips import read_strips

FOLDS, COPIES, BLOCK, DRAWS, EVERY = 5, 2, 256, 1000, 3
Waves = NDArray[np.float32]


class Judged(NamedTuple):
    """Beats of strips with their flags and what they are: "-" where no true beat is within 150 ms."""

    flags: NDArray[np.uint8]
    strip: NDArray[np.int64]
    seconds: NDArray[np.float64]
    aami: NDArray[np.str_]
    strip_flags: NDArray[np.uint8]
    strip_score: NDArray[np.float32]


def main() -> None:
    truth = read_truth()
    patients = np.unique(truth.patient)
    folds = np.array_split(np.random.default_rng(1).permutation(patients), FOLDS)
    models = grouped_models(folds)
    fold_of = np.array([next(i for i, group in enumerate(folds) if one in group) for one in truth.patient])

    def judged(x: Waves, rows: NDArray[np.int64]) -> Judged:
        """Each strip by the weights that have not seen its patient."""
        parts = []
        for fold, model in enumerate(models):
            mine = np.flatnonzero(fold_of[rows] == fold)
            parts += [
                judge(x[some], rows[some], some, truth, model)
                for some in np.array_split(mine, max(1, len(mine) // BLOCK))
            ]
        whole = Judged(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
        order = np.argsort(np.concatenate([np.flatnonzero(fold_of[rows] == fold) for fold in range(FOLDS)]))
        return whole._replace(strip_flags=whole.strip_flags[order], strip_score=whole.strip_score[order])

    every = np.arange(len(truth.x))
    clean = judged(truth.x, every)
    false_flags(truth, clean)
    noises = nstdb_noise(REAL / "nstdb", first=NOISE_SHARE)
    rows = every[::EVERY]
    whole_strips(truth, rows, noises, judged)
    bursts(truth, rows, noises, judged)
    rules(truth, rows, judged)
    cinc()
    clock(truth)


def grouped_models(folds: Sequence[NDArray[np.int64]]) -> list[QualityModel]:
    strips = mitdb_strips(REAL / "mitdb-ds1")
    noises = nstdb_noise(REAL / "nstdb", last=NOISE_SHARE)
    parts = [
        training_examples(strips.of(np.flatnonzero(np.isin(strips.patient, group))), noises, copies=COPIES, seed=seed)
        for seed, group in enumerate(folds)
    ]
    return [fit_model(joined([part for other, part in enumerate(parts) if other != fold])) for fold in range(FOLDS)]


def judge(
    x: Waves, rows: NDArray[np.int64], numbers: NDArray[np.int64], truth: Truth, model: QualityModel | None
) -> Judged:
    """Flags of the beats that the finder sees in these strips; ``rows`` says which strips of ``truth`` they are."""
    found = find_rpeaks_of_block(x, truth.fs)
    q = quality(x, truth.fs, found.peaks, probability=found.probability, doubt=found.doubt, model=model)
    aami = [classes(truth, int(row), peaks / truth.fs) for row, peaks in zip(rows, found.peaks, strict=True)]
    counts = [len(peaks) for peaks in found.peaks]
    return Judged(
        q.beat_flags,
        np.repeat(numbers, counts),
        np.concatenate(found.peaks) / truth.fs,
        np.concatenate(aami),
        q.strip_flags,
        q.strip_score,
    )


def classes(truth: Truth, row: int, seconds: NDArray[np.float64]) -> NDArray[np.str_]:
    first, last = np.searchsorted(truth.strip, [row, row + 1])
    if first == last:
        return np.full(len(seconds), "-")
    distance = np.abs(seconds[:, None] - truth.seconds[None, first:last])
    return np.where(distance.min(axis=1) <= 0.15, truth.aami[first:last][distance.argmin(axis=1)], "-")


def false_flags(truth: Truth, clean: Judged) -> None:
    patient = truth.patient[clean.strip]
    known = reference_flags(truth)
    rows = []
    for kind in "NSVF":
        mine = clean.aami == kind
        flags = [clean.flags[mine] & bit > 0 for bit in (NOISY, CONTENT, FLAT, CLIPPED | LOST, BASELINE)]
        shares = [interval(flag, patient[mine]) for flag in flags]
        reference = known[truth.aami == kind]
        rows.append([kind, str(mine.sum()), *shares, f"{100 * reference.mean():.1f}"])
    header = ["", "beats", "marked noisy", "content", "flat", "clipped or lost", "baseline (not noise)", "reference"]
    table("False flags on DS1 as it is, % of beats", header, rows)
    rows = []
    for one in np.unique(truth.patient):
        for kind in "NSV":
            mine = (clean.aami == kind) & (patient == one)
            flagged = int((clean.flags[mine] & NOISY > 0).sum())
            if flagged > 2 and flagged > 0.01 * mine.sum():
                rows.append([str(one), kind, str(mine.sum()), f"{100 * flagged / mine.sum():.1f}"])
    table("Records with more than 1 % of a class marked", ["record", "class", "beats", "marked, %"], rows)
    spurious = clean.aami == "-"
    strips = interval(clean.strip_flags & (CONTENT | FLAT) > 0, truth.patient)
    print(f"\nOf {spurious.sum()} spurious beats, {100 * np.mean(clean.flags[spurious] & NOISY > 0):.0f} % are marked.")
    print(f"Strips of DS1 flagged as noise: {strips} %.")


def reference_flags(truth: Truth) -> NDArray[np.bool_]:
    """The reference rule's flags at the true beats; those that the rule cannot cut at the edges count as spared."""
    config = PreprocessConfig()
    x = zscore(bandpass(truth.x, truth.fs))
    before, after = round(0.25 * truth.fs), round(0.4 * truth.fs)
    r = np.rint(truth.seconds * truth.fs).astype(np.int64)
    whole = np.flatnonzero((r >= before) & (r + after < x.shape[1]))
    beats = x[truth.strip[whole, None], r[whole, None] + np.arange(-before, after + 1)]
    rr = np.where(np.diff(truth.strip) == 0, np.diff(truth.seconds), 0.8)
    rr_prev, rr_next = np.append(0.8, rr)[whole].astype(np.float32), np.append(rr, 0.8)[whole].astype(np.float32)
    flags = np.zeros(len(r), dtype=bool)
    flags[whole] = assess(beats, rr_prev, rr_next, config).noise
    return flags


def whole_strips(
    truth: Truth,
    rows: NDArray[np.int64],
    noises: NoiseRecords,
    judged: Callable[[Waves, NDArray[np.int64]], Judged],
) -> None:
    lines, by_beat = [], []
    for kind in ("muscle", "motion", "hiss"):
        for decibel in (18, 12, 6, 0, -6):
            mixed = mixed_strips(truth, rows, kind, decibel, noises)
            seen = judged(np.stack([one.wave for one in mixed]), rows)
            local = local_level(mixed, seen, truth.fs)
            noisy = seen.flags & NOISY > 0
            patient = truth.patient[rows][seen.strip]
            by_beat.append((noisy, local, patient, np.full(len(noisy), kind)))
            lines.append(
                [
                    f"{kind}, {decibel} dB",
                    interval(noisy, patient),
                    f"{100 * noisy[np.isin(seen.aami, ['V', 'S'])].mean():.1f}",
                    f"{100 * np.mean(seen.strip_flags & CONTENT > 0):.1f}",
                ]
            )
    table("Noise in whole strips", ["", "beats marked, %", "V and S marked, %", "strips flagged, %"], lines)
    noisy, local, patient, kinds = (np.concatenate(arrays) for arrays in zip(*by_beat, strict=True))
    lines = []
    for low, high in ((-60, 0), (0, 3), (3, 6), (6, 9), (9, 12), (12, 15), (15, 18), (18, 24), (24, 60)):
        level = (local > low) & (local <= high)
        muscle, motion = (level & (kinds == kind) for kind in ("muscle", "motion"))
        cells = [
            f(one)
            for one in (muscle, motion)
            for f in (lambda m: str(m.sum()), lambda m: interval(noisy[m], patient[m]))
        ]
        lines.append([f"{low} to {high} dB", *cells])
    header = ["", "beats, muscle", "marked, %", "beats, motion", "marked, %"]
    table("Noise in whole strips, by its level around the beat itself", header, lines)
    lines = []
    rng = np.random.default_rng(6)
    for name, record in (("ma", noises.muscle), ("bw", noises.baseline)):
        for decibel in (6, 0, -6):
            x = np.stack([raw_mixed(truth, int(row), record, decibel, rng) for row in rows])
            seen = judged(x, rows)
            told = [f"{100 * np.mean(seen.flags & bit > 0):.1f}" for bit in (NOISY, BASELINE, NOISY | BASELINE)]
            strips = f"{100 * np.mean(seen.strip_flags & (CONTENT | BASELINE) > 0):.1f}"
            lines.append([f"{name} as it is, {decibel} dB", *told, strips])
    header = ["", "beats marked noisy, %", "baseline, %", "either, %", "strips flagged with either, %"]
    table("Recorded noise with its slow drift, level over all frequencies", header, lines)


def raw_mixed(truth: Truth, row: int, record: Waves, decibel: float, rng: np.random.Generator) -> Waves:
    wave = truth.x[row].astype(np.float64)
    level = beat_rms(wave, truth.seconds[truth.strip == row] * truth.fs, truth.fs)
    return np.round(add_noise(wave, piece_of(record, len(wave), rng), decibel, level)).astype(np.float32)


def mixed_strips(truth: Truth, rows: NDArray[np.int64], kind: str, decibel: float, noises: NoiseRecords) -> list[Mixed]:
    rng = np.random.default_rng(5)
    mixed = []
    for row in rows.tolist():
        wave = truth.x[row].astype(np.float64)
        noise = noise_of(kind, len(wave), truth.fs, noises, rng)
        beats = truth.seconds[truth.strip == row] * truth.fs
        mixed.append(mix(wave, beats, truth.fs, noise, decibel))
    return mixed


def local_level(mixed: Sequence[Mixed], seen: Judged, fs: float) -> NDArray[np.float32]:
    levels = np.stack([one.decibel for one in mixed])
    return levels[seen.strip, np.rint(seen.seconds * fs).astype(np.int64)]


def bursts(
    truth: Truth,
    rows: NDArray[np.int64],
    noises: NoiseRecords,
    judged: Callable[[Waves, NDArray[np.int64]], Judged],
) -> None:
    rng = np.random.default_rng(5)
    lines = []
    for kind in ("muscle", "motion", "hiss"):
        for decibel in (6, 0, -6):
            mixed, where = [], []
            for row in rows.tolist():
                wave = truth.x[row].astype(np.float64)
                begin = rng.uniform(0, len(wave) / truth.fs - BURST_SEC)
                # noise of this level within the two seconds, not somewhere in ten
                noise = np.zeros(len(wave))
                first, last = round(begin * truth.fs), round((begin + BURST_SEC) * truth.fs)
                noise[first:last] = noise_of(kind, last - first, truth.fs, noises, rng)
                beats = truth.seconds[truth.strip == row] * truth.fs
                mixed.append(mix(wave, beats, truth.fs, noise, decibel, burst=(begin, begin + BURST_SEC)))
                where.append(begin)
            seen = judged(np.stack([one.wave for one in mixed]), rows)
            noisy, patient = seen.flags & NOISY > 0, truth.patient[rows][seen.strip]
            into = seen.seconds - np.array(where)[seen.strip]
            inside = (into >= 0) & (into <= BURST_SEC)
            outside = (into < -0.45) | (into > BURST_SEC + 0.45)
            edge = ~inside & ~outside
            told = [interval(noisy[part], patient[part]) for part in (inside, outside, edge)]
            lines.append([f"{kind}, {decibel} dB", *told, f"{100 * np.mean(seen.strip_flags & CONTENT > 0):.1f}"])
    header = ["", "inside marked, %", "outside marked, %", "within 0.45 s of it, %", "strips flagged, %"]
    table("Bursts of 2 s", header, lines)


def rules(truth: Truth, rows: NDArray[np.int64], judged: Callable[[Waves, NDArray[np.int64]], Judged]) -> None:
    """A lead that is lost for 3 s, and an amplifier that cuts off the tallest part of the strip."""
    rng = np.random.default_rng(7)
    lost, hissing, cut, begins = [], [], [], []
    for wave in truth.x[rows]:
        height = np.ptp(wave)
        begin = rng.uniform(0.5, 6.5)
        part = slice(round(begin * truth.fs), round((begin + 3) * truth.fs))
        begins.append(begin)
        lost.append(wave.copy())
        lost[-1][part] = wave[part.start]
        hissing.append(lost[-1].copy())
        hissing[-1][part] += np.round(0.002 * height * rng.standard_normal(part.stop - part.start))
        middle = np.median(wave)
        far = np.abs(wave - middle).max()
        cut.append(np.clip(wave, middle - 0.5 * far, middle + 0.5 * far))
    lines = []
    plain = judged(truth.x[rows], rows)
    for name, waves, bit in (
        ("lost for 3 s, one value", lost, LOST),
        ("lost for 3 s, last digits", hissing, LOST),
        ("cut off at half its height", cut, CLIPPED),
    ):
        seen = judged(np.stack(waves), rows)
        flagged = seen.flags & bit > 0
        into = seen.seconds - np.array(begins)[seen.strip]
        away = (into < -0.3) | (into > 3.3)
        other = f"{100 * np.mean(flagged[away]):.2f}" if bit == LOST else ""
        lines.append(
            [
                name,
                f"{100 * np.mean(seen.strip_flags & bit > 0):.1f}",
                other,
                f"{100 * np.mean(plain.strip_flags & bit > 0):.2f}",
            ]
        )
    header = ["", "strips so flagged, %", "beats away from it, %", "strips as they are, %"]
    table("Rules", header, lines)


def cinc() -> None:
    strips = read_strips(REAL / "cinc2017_a.xlsx")
    x = np.stack([strips.wave(row) for row in range(len(strips))])
    found = [judge_plain(x[start : start + BLOCK], strips.fs) for start in range(0, len(x), BLOCK)]
    score = np.concatenate([one.strip_score for one in found])
    flags = np.concatenate([one.strip_flags for one in found])
    beat_share = np.concatenate(
        [
            [one.noisy[a:b].mean() if b > a else 1.0 for a, b in zip(one.bounds, one.bounds[1:], strict=False)]
            for one in found
        ]
    )
    noise = strips.label == -1
    rng = np.random.default_rng(0)
    rows = []
    for name, value in (
        ("strip score", score),
        ("share of its beats marked", beat_share),
        ("reference: mean quality score", reference_scores(x, strips.fs)),
    ):
        drawn = [auroc(value[some], noise[some]) for some in rng.integers(0, len(x), (DRAWS, len(x)))]
        low, high = np.percentile(drawn, [2.5, 97.5])
        rows.append([name, f"{auroc(value, noise):.4f} ({low:.4f}-{high:.4f})"])
    table(f"CinC 2017: {noise.sum()} Noise strips against {(~noise).sum()} others", ["", "AUROC"], rows)
    rows = []
    for name, label in (("Normal", 0), ("AFib", 5), ("other rhythm", -999), ("Noise", -1)):
        mine = strips.label == label
        bits = [f"{100 * np.mean(flags[mine] & bit > 0):.1f}" for bit in (CONTENT, BASELINE, CLIPPED, LOST)]
        rows.append(
            [
                name,
                str(mine.sum()),
                f"{100 * np.mean(score[mine] > 0.5):.1f}",
                *bits,
                f"{100 * beat_share[mine].mean():.1f}",
            ]
        )
    header = ["", "strips", "score over .5, %", "content, %", "baseline, %", "clipped, %", "lost, %", "beats marked, %"]
    table("CinC 2017, shipped weights and thresholds", header, rows)


def judge_plain(x: Waves, fs: float) -> Quality:
    found = find_rpeaks_of_block(x, fs)
    return quality(x, fs, found.peaks, probability=found.probability, doubt=found.doubt)


def reference_scores(x: Waves, fs: float) -> NDArray[np.float64]:
    """Mean over its beats of the reference's quality score; infinite for a strip without a beat."""
    conditioned = np.concatenate([zscore(bandpass(x[i : i + BLOCK], fs)) for i in range(0, len(x), BLOCK)])
    peaks = [one for i in range(0, len(x), BLOCK) for one in reference_rpeaks(conditioned[i : i + BLOCK], fs)]
    before, after = round(0.25 * fs), round(0.4 * fs)
    kept = [one[(one >= before) & (one + after < x.shape[1])] for one in peaks]
    strip = np.repeat(np.arange(len(x)), [len(one) for one in kept])
    beats = conditioned[strip[:, None], np.concatenate(kept)[:, None] + np.arange(-before, after + 1)]
    usual = np.full(len(beats), 0.8, dtype=np.float32)
    score = assess(beats, usual, usual, PreprocessConfig()).score
    counts = np.bincount(strip, minlength=len(x))
    return np.where(counts > 0, np.bincount(strip, weights=score, minlength=len(x)) / np.maximum(counts, 1), np.inf)


def clock(truth: Truth) -> None:
    found = [find_rpeaks_of_block(truth.x[start : start + BLOCK], truth.fs) for start in range(0, 4 * BLOCK, BLOCK)]
    begun = time.process_time()
    for number, one in enumerate(found):
        part = truth.x[number * BLOCK : (number + 1) * BLOCK]
        quality(part, truth.fs, one.peaks, probability=one.probability, doubt=one.doubt)
    print(f"\nProcessor time: {(time.process_time() - begun) / (4 * BLOCK) * 1e3:.2f} ms a strip, R-peaks not counted.")


def interval(flag: NDArray[np.bool_], patient: NDArray[np.int64]) -> str:
    """Share in % with its interval over patients."""
    number = np.unique(patient, return_inverse=True)[1]
    part, whole = np.bincount(number, weights=flag), np.bincount(number)
    drawn = np.random.default_rng(0).integers(0, len(whole), (DRAWS, len(whole)))
    low, high = np.percentile(100 * part[drawn].sum(axis=1) / whole[drawn].sum(axis=1), [2.5, 97.5])
    return f"{100 * part.sum() / whole.sum():.2f} ({low:.2f}-{high:.2f})"


if __name__ == "__main__":
    main()
