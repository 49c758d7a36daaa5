"""What the arrhythmia profile does otherwise in a preprocessing run: R-peaks, noise and groups (issue 4).

R-peaks are sought and noise is judged on strips as read: a bandpass hides a wandering baseline and a clipped top. Beats
at the edge of a strip are kept, though a part of their slice is missing: one beat in fifteen lies there, and an ectopic
beat that nobody counts is a wrong finding.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.arrhythmia.context import describe
from ecg_engine.arrhythmia.groups import find_groups
from ecg_engine.arrhythmia.quality import REASONS, quality_of_strips, reason_texts
from ecg_engine.arrhythmia.references import cut_beats, find_references
from ecg_engine.arrhythmia.rpeaks import find_rpeaks_of_block
from ecg_engine.beats import Beats, BeatWindow
from ecg_engine.clusters import local_clusters
from ecg_engine.conditioning import blocks, stacked
from ecg_engine.config import PreprocessConfig
from ecg_engine.noise import Noise
from ecg_engine.progress import Progress, part
from ecg_engine.strips import Strips

ANYWHERE = BeatWindow(0, 0)
"""Room that an R-peak needs around it: none but its own sample."""


class FoundPeaks(NamedTuple):
    """R-peaks of all strips as the finder gives them.

    Attributes
    ----------
    samples : list of int64 arrays
    probability : list of float32 arrays
        How likely each is one.
    doubt : float32 (s,)
        Of each strip.
    """

    samples: list[NDArray[np.int64]]
    probability: list[NDArray[np.float32]]
    doubt: NDArray[np.float32]


def find_peaks(strips: Strips, progress: Progress) -> FoundPeaks:
    """R-peaks of strips as read."""
    samples = [np.zeros(0, dtype=np.int64)] * len(strips)
    probability = [np.zeros(0, dtype=np.float32)] * len(strips)
    doubt, done = np.zeros(len(strips), dtype=np.float32), 0
    for rows in blocks(strips.offsets):
        found = find_rpeaks_of_block(stacked(strips.samples, strips.offsets, rows), strips.fs)
        for row, peaks, likely in zip(rows, found.peaks, found.probability, strict=True):
            samples[row], probability[row] = peaks, likely
        doubt[rows] = found.doubt
        done += len(rows)
        progress(f"R-peaks: strip {done:,} of {len(strips):,}", done / len(strips))
    return FoundPeaks(samples, probability, doubt)


def find_noise(
    strips: Strips,
    beats: Beats,
    window: BeatWindow,
    found: FoundPeaks,
    labels: NDArray[np.int32],
    config: PreprocessConfig,
    progress: Progress,
) -> Noise:
    """Noise of each strip and beat by itself, and the groups of look-alike beats of each patient.

    Parameters
    ----------
    strips : Strips
    beats : Beats
        R-peaks of readers among them.
    window : BeatWindow
        Of the beats' slices.
    found : FoundPeaks
        As they were found, before readers' edits.
    labels : int32 (n,)
        Label of each beat's strip.
    config : PreprocessConfig
    progress : Progress
    """
    progress("noise", 0.0)
    bounds = np.searchsorted(beats.strip, np.arange(len(strips) + 1))
    peaks = [beats.r_index[bounds[row] : bounds[row + 1]] for row in range(len(strips))]
    likely = [_likely(*one) for one in zip(peaks, found.samples, found.probability, strict=True)]
    judged = quality_of_strips(strips.samples, strips.offsets, strips.fs, peaks, probability=likely, doubt=found.doubt)
    lengths = strips.lengths[beats.strip]
    whole = (beats.r_index >= window.before) & (beats.r_index + window.after < lengths)
    usable = ~judged.noisy & whole
    progress("groups of look-alike beats", 0.2)
    cut = cut_beats(strips.samples, strips.offsets, strips.fs, peaks, strips.patient_id)
    group = find_groups(cut, describe(cut, find_references(cut)))
    cluster, size = local_clusters(beats.samples, labels, ~usable, config, part(progress, 0.5, 1.0))
    return Noise(
        score=judged.beat_score,
        flags=judged.noisy,
        usable=usable,
        reasons=reason_texts(judged.beat_flags),
        counts=dict(zip(REASONS, judged.reasons.sum(axis=0).tolist(), strict=True)),
        local_cluster=cluster,
        local_size=size,
        columns={
            "rpeak_prob": np.concatenate([*likely, np.zeros(0, dtype=np.float32)]),
            "whole": whole.astype(np.int32),
            "group_id": group,
        },
        strips=pd.DataFrame(
            {
                "noise_score": judged.strip_score,
                "noise_reason": reason_texts(judged.strip_flags),
                "noisy": judged.noisy_strips.astype(np.int32),
                "lost_part": judged.lost_part,
            }
        ),
    )


def _likely(
    peaks: NDArray[np.int64], found: NDArray[np.int64], probability: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How likely each R-peak is one; those that a reader has put there are certain."""
    place = np.minimum(np.searchsorted(found, peaks), max(len(found) - 1, 0))
    known = found[place] == peaks if len(found) else np.zeros(len(peaks), dtype=bool)
    likely = np.ones(len(peaks), dtype=np.float32)
    likely[known] = probability[place[known]]
    return likely
