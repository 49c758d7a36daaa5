"""Preprocessing the way the old notebook scripts worked: strip by strip, number by number. The yardstick, not a tool.

Written from the spec for comparison within one run. It yields the same beats and clusters.
"""

from __future__ import annotations

from pathlib import Path

import neurokit2
import numpy as np
import pandas as pd
from scipy.signal import butter, filtfilt
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA


def read(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Waves and labels of a sheet."""
    sheet = pd.read_excel(path)
    waves = [np.array([float(token) for token in text.split(",") if token.strip()]) for text in sheet["ECG Wave"]]
    return waves, sheet["Label"].to_numpy()


def beats_of(waves: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Beats (n, L), RR intervals (n, 2) in seconds and the strip of each beat."""
    beats, intervals, rows = [], [], []
    for row, wave in enumerate(waves):
        fs = len(wave) / 10.0
        b, a = butter(4, [0.5 / (fs / 2), 45.0 / (fs / 2)], btype="band")
        x = filtfilt(b, a, wave)
        x = (x - x.mean()) / (x.std() + 1e-8)
        peaks = neurokit2.ecg_findpeaks(x, sampling_rate=fs, method="neurokit")["ECG_R_Peaks"]
        before, after = round(0.25 * fs), round(0.4 * fs)
        kept = [p for p in peaks if p - before >= 0 and p + after < len(x)]
        for i, peak in enumerate(kept):
            prev = (peak - kept[i - 1]) / fs if i else ((kept[1] - peak) / fs if len(kept) > 1 else 1.0)
            following = (kept[i + 1] - peak) / fs if i + 1 < len(kept) else prev
            beats.append(x[peak - before : peak + after + 1].astype(np.float32))
            intervals.append((prev, following))
            rows.append(row)
    return np.array(beats), np.array(intervals, dtype=np.float32), np.array(rows)


def noise_of(beats: np.ndarray, intervals: np.ndarray) -> np.ndarray:
    """Noise flags by RR and morphology, beat by beat."""
    found = []
    for beat in beats:
        edge = max(4, len(beat) // 10)
        ends = np.concatenate([beat[:edge], beat[-edge:]])
        found.append((np.ptp(beat), np.abs(np.diff(beat)).max(), ends.std()))
    values = np.array(found)
    middle = np.median(values, axis=0)
    z = 0.6745 * (values - middle) / (np.median(np.abs(values - middle), axis=0) + 1e-9)
    bad_rr = ((intervals < 0.2) | (intervals > 2.5)).any(axis=1)
    return bad_rr | (z[:, 0] < -3) | (z[:, 1] < -3) | (z[:, 2] > 3.5) | (z[:, 1] > 6)


def cluster(beats: np.ndarray, intervals: np.ndarray, labels: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Local clusters for the tiny-cluster rule, the feature space, and the global clusters of the usable beats."""
    noise = noise.copy()
    for label in np.unique(labels):
        mine = np.flatnonzero((labels == label) & ~noise)
        if len(mine) < 12:
            noise[mine] = True
            continue
        k = int(np.clip(round((len(mine) / 60) ** 0.5 + 1), 2, 4))
        found = KMeans(k, random_state=42, n_init=20).fit_predict(beats[mine])
        sizes = np.bincount(found)
        noise[mine[sizes[found] < 12]] = True
    scores = PCA(24, random_state=42).fit_transform(beats)
    ratio = (intervals[:, 0] + 1e-6) / (intervals[:, 1] + 1e-6)
    space = np.column_stack([scores, intervals, ratio])
    space = ((space - space.mean(axis=0)) / (space.std(axis=0) + 1e-6)).astype(np.float32)
    usable = np.flatnonzero(~noise)
    ids = np.full(len(beats), -1)
    ids[usable] = KMeans(20, random_state=42, n_init=20).fit_predict(space[usable])
    return ids
