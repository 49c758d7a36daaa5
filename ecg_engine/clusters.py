"""Clusters of beats: small ones within a label, and global ones in the feature space (spec sections 4 and 5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecg_engine.config import PreprocessConfig
from ecg_engine.kmeans import kmeans
from ecg_engine.labels import UNLABELLED
from ecg_engine.progress import Progress, silent

_RATIO_GUARD = 1e-6


def local_clusters(
    beats: NDArray[np.float32],
    labels: NDArray[np.int32],
    noise: NDArray[np.bool_],
    config: PreprocessConfig,
    progress: Progress = silent,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Group the beats of each label that are not noise (spec section 4).

    Parameters
    ----------
    beats : float32 (n, L)
    labels : int32 (n,)
        Label of each beat's strip. Unlabelled beats are left out.
    noise : bool (n,)
    config : PreprocessConfig
        ``min_local_cluster`` and ``seed``.

    Returns
    -------
    cluster, size : int32 (n,)
        Number of the cluster within its label and its size; -1 and 0 for beats that were left out. What lies in
        clusters smaller than ``min_local_cluster`` is noise too.
    """
    cluster = np.full(len(beats), -1, dtype=np.int32)
    size = np.zeros(len(beats), dtype=np.int32)
    names = [label for label in np.unique(labels) if label != UNLABELLED]
    for done, label in enumerate(names):
        progress(f"grouping the beats of label {label}", done / len(names))
        rows = np.flatnonzero((labels == label) & ~noise)
        if len(rows) < config.min_local_cluster:
            cluster[rows] = 0
        else:
            k = int(np.clip(round(np.sqrt(len(rows) / 60) + 1), 2, 4))
            cluster[rows] = kmeans(beats[rows], k, config.seed)
        size[rows] = np.bincount(cluster[rows])[cluster[rows]] if len(rows) else 0
    return cluster, size


def feature_space(
    beats: NDArray[np.float32], rr_prev: NDArray[np.float32], rr_next: NDArray[np.float32], config: PreprocessConfig
) -> NDArray[np.float32]:
    """Principal components of the shape beside the rhythm, each column standardised (spec section 5).

    Parameters
    ----------
    beats : float32 (n, L)
        All beats, noise included.
    rr_prev, rr_next : float32 (n,)
        Seconds.
    config : PreprocessConfig
        ``pca_components`` and ``seed``.

    Returns
    -------
    float32 (n, components + 3)
        With fewer than 3 beats the components are zeros.
    """
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    components = max(1, min(config.pca_components, beats.shape[1], len(beats) - 1))
    if len(beats) < 3:
        shape = np.zeros((len(beats), components), dtype=np.float32)
    else:
        # One thread for the sake of the last digits, see kmeans. Beats that are all alike have no variance to share.
        with np.errstate(divide="ignore", invalid="ignore"), threadpool_limits(1):
            shape = PCA(n_components=components, random_state=config.seed).fit_transform(beats)
    guard = np.float32(_RATIO_GUARD)
    rhythm = np.stack([rr_prev, rr_next, (rr_prev + guard) / (rr_next + guard)], axis=1)
    features = np.concatenate([shape, rhythm], axis=1, dtype=np.float32)
    return (features - features.mean(axis=0)) / (features.std(axis=0) + guard)


def global_clusters(
    features: NDArray[np.float32], usable: NDArray[np.bool_], config: PreprocessConfig
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Cluster the usable beats in the feature space, without looking at labels (spec section 5).

    Parameters
    ----------
    features : float32 (n, D)
    usable : bool (n,)
    config : PreprocessConfig
        ``n_global_clusters`` and ``seed``.

    Returns
    -------
    cluster, size : int32 (n,)
        -1 and 0 for noise; all of them if fewer than 2 beats are usable.
    """
    cluster = np.full(len(features), -1, dtype=np.int32)
    size = np.zeros(len(features), dtype=np.int32)
    rows = np.flatnonzero(usable)
    if len(rows) >= 2:
        cluster[rows] = kmeans(features[rows], max(2, config.n_global_clusters), config.seed)
        size[rows] = np.bincount(cluster[rows])[cluster[rows]]
    return cluster, size
