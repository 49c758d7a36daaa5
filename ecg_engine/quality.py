"""Noise flags with their reasons, and a quality score, over all beats of a file at once (spec section 4)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_engine.config import PreprocessConfig

REASONS = ("rr", "flat", "slope", "edge", "small_cluster")
"""Why a beat is noise: RR out of range; hardly any height or slope; too steep a step; unrest at the edges; a tiny
cluster among the beats of its label."""


class Quality(NamedTuple):
    """Robust scores of each beat and what follows from them.

    Attributes
    ----------
    z_ptp, z_slope, z_edge : float32 (n,)
        Robust z of peak-to-peak, steepest step and edge noise.
    score : float32 (n,)
        Mean of the three magnitudes; higher is worse.
    reasons : bool (n, 5)
        One column for each of ``REASONS``; the last one is still False here.
    """

    z_ptp: NDArray[np.float32]
    z_slope: NDArray[np.float32]
    z_edge: NDArray[np.float32]
    score: NDArray[np.float32]
    reasons: NDArray[np.bool_]

    @property
    def noise(self) -> NDArray[np.bool_]:
        """Beats with any reason."""
        return np.asarray(self.reasons.any(axis=1))


def beat_features(beats: NDArray[np.float32]) -> NDArray[np.float32]:
    """Peak-to-peak, steepest step and edge noise of each beat, float32 (n, 3)."""
    edge = max(4, beats.shape[1] // 10)
    steepest = np.zeros(len(beats), dtype=np.float32)
    for start in range(0, len(beats), 8192):
        steepest[start : start + 8192] = np.abs(np.diff(beats[start : start + 8192], axis=1)).max(axis=1, initial=0)
    edges = np.concatenate([beats[:, :edge], beats[:, -edge:]], axis=1)
    return np.stack([np.ptp(beats, axis=1), steepest, edges.std(axis=1)], axis=1)


def robust_z(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """0.6745 (x - median) / (MAD + 1e-9) down each column, MAD = median of the distances from the median."""
    distance = values - np.median(values, axis=0)
    z = np.float32(0.6745) * distance / (np.median(np.abs(distance), axis=0) + np.float32(1e-9))
    return z.astype(np.float32, copy=False)


def assess(
    beats: NDArray[np.float32], rr_prev: NDArray[np.float32], rr_next: NDArray[np.float32], config: PreprocessConfig
) -> Quality:
    """Score all beats and say which are noise, and why.

    Parameters
    ----------
    beats : float32 (n, L)
        At least one.
    rr_prev, rr_next : float32 (n,)
        Seconds.
    config : PreprocessConfig
        The limits.
    """
    z = robust_z(beat_features(beats))
    z_ptp, z_slope, z_edge = z.T
    rr = np.stack([rr_prev, rr_next])
    reasons = np.zeros((len(beats), len(REASONS)), dtype=bool)
    reasons[:, 0] = ((rr < config.rr_min_sec) | (rr > config.rr_max_sec)).any(axis=0)
    reasons[:, 1] = (z_ptp < config.ptp_z_min) | (z_slope < config.slope_z_min)
    reasons[:, 2] = z_slope > config.slope_z_max
    reasons[:, 3] = z_edge > config.edge_z_max
    return Quality(z_ptp, z_slope, z_edge, np.abs(z).mean(axis=1), reasons)


def reason_texts(reasons: NDArray[np.bool_]) -> list[str]:
    """Reasons of each beat as "rr;slope", "" where there is none."""
    codes = reasons @ (1 << np.arange(len(REASONS)))
    texts = [";".join(name for bit, name in enumerate(REASONS) if code >> bit & 1) for code in range(1 << len(REASONS))]
    return [texts[code] for code in codes.tolist()]
