"""The prototype bank of a model, and how like a beat is to it (spec section 8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ecg_engine.config import TrainConfig
from ecg_engine.errors import InputError
from ecg_engine.labels import UNLABELLED


@dataclass(frozen=True)
class PrototypeBank:
    """The prototypes that a model compares beats with, largest first.

    Attributes
    ----------
    waves : float32, shape (P, L)
    labels : int64, shape (P,)
        Dominant label of each.
    ids, sizes : int64, shape (P,)
        Prototype id in the run, and the number of members it was made of.
    mixes : tuple of str
        ``label_mix_top3`` of each, such as ``"2:3090;0:1893;-1:158"``.
    top_k : int
        How many of the highest cosines are features.
    """

    waves: NDArray[np.float32]
    labels: NDArray[np.int64]
    ids: NDArray[np.int64]
    sizes: NDArray[np.int64]
    mixes: tuple[str, ...]
    top_k: int = 8

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def feature_dim(self) -> int:
        """Number of prototype features of a beat."""
        if not len(self):
            return self.top_k
        return min(self.top_k, len(self)) + len(np.unique(self.labels))

    def features(self, beats: ArrayLike) -> NDArray[np.float32]:
        """Prototype features of beats.

        The highest ``top_k`` cosines, descending, then the maximum per prototype label in ascending label
        order; zeros where the bank is empty.

        Parameters
        ----------
        beats : array_like, shape (N, L)

        Returns
        -------
        float32, shape (N, feature_dim)
            The first column is the largest cosine of all.
        """
        x = np.asarray(beats, dtype=np.float32)
        if not len(self):
            return np.zeros((len(x), self.top_k), dtype=np.float32)
        cosine = _unit(x) @ _unit(self.waves).T
        order = -np.sort(-cosine, axis=1)[:, : self.top_k]
        per_label = [cosine[:, self.labels == label].max(axis=1, keepdims=True) for label in np.unique(self.labels)]
        return np.concatenate([order, *per_label], axis=1).astype(np.float32, copy=False)


def empty_bank(beat_len: int, top_k: int = 8) -> PrototypeBank:
    """A bank without prototypes: its features are ``top_k`` zeros."""
    none = np.zeros(0, dtype=np.int64)
    return PrototypeBank(np.zeros((0, beat_len), dtype=np.float32), none, none.copy(), none.copy(), (), top_k)


def build_bank(
    beats: NDArray[np.float32],
    labels: NDArray[np.int32],
    cluster_ids: NDArray[np.int32],
    members: NDArray[np.bool_],
    config: TrainConfig,
) -> PrototypeBank:
    """Build the bank from the beats that may be learned from.

    Size, mix and waveform are computed over ``members`` alone, so that nothing of held-out patients gets into
    the bank (spec section 10, item 3).

    Parameters
    ----------
    beats : float32, shape (N, L)
    labels : int32, shape (N,)
        Effective labels; -999 counts for a prototype's size and waveform, not for its mix.
    cluster_ids : int32, shape (N,)
        Global cluster of each beat, -1 for none.
    members : bool, shape (N,)
        The usable beats of the training part.
    config : TrainConfig
        ``min_proto_size``, ``min_proto_purity``, ``max_prototypes`` (the largest are kept), ``top_k_sim``.
    """
    rows: list[tuple[int, int, int, str]] = []
    for cluster in np.unique(cluster_ids[members & (cluster_ids >= 0)]):
        inside = np.flatnonzero(members & (cluster_ids == cluster))
        values, counts = np.unique(labels[inside], return_counts=True)
        known = values != UNLABELLED
        values, counts = values[known], counts[known]
        top = np.lexsort((values, -counts))[:3]
        purity = counts[top[0]] / counts[top].sum() if len(top) else 0.0
        if len(inside) >= config.min_proto_size and purity >= config.min_proto_purity:
            mix = ";".join(f"{values[i]}:{counts[i]}" for i in top)
            rows.append((len(inside), int(cluster), int(values[top[0]]) if len(top) else UNLABELLED, mix))
    rows.sort(key=lambda row: (-row[0], row[1]))
    del rows[config.max_prototypes :]
    waves = {row[1]: np.median(beats[members & (cluster_ids == row[1])], axis=0) for row in rows}
    return _bank(rows, waves, beats.shape[1], config.top_k_sim)


def bank_from_library(
    library: pd.DataFrame, waves: Mapping[int, NDArray[np.float32]], config: TrainConfig
) -> PrototypeBank:
    """Build the bank from a run's ``prototype_library.csv`` as it stands, as the old scripts did.

    Parameters
    ----------
    library : DataFrame
        Columns prototype_id, size, dominant_label, label_mix_top3.
    waves : mapping of prototype id to waveform
    config : TrainConfig
        The same criteria as in :func:`build_bank`.

    Raises
    ------
    InputError
        If a prototype has no waveform.
    """
    rows: list[tuple[int, int, int, str]] = []
    columns = [library[name].tolist() for name in ("prototype_id", "size", "dominant_label", "label_mix_top3")]
    for number, size, label, mix in zip(*columns, strict=True):
        mix = mix if isinstance(mix, str) else ""
        counts = [int(part.split(":")[1]) for part in mix.split(";") if part]
        purity = max(counts) / sum(counts) if counts else 0.0
        if size >= config.min_proto_size and purity >= config.min_proto_purity:
            if int(number) not in waves:
                raise InputError(
                    f"prototype {number} has no waveform",
                    where="prototype_library_waves.npz",
                    remedy="Table and waves must come from the same preprocessing run.",
                )
            rows.append((int(size), int(number), int(label), mix))
    rows.sort(key=lambda item: (-item[0], item[1]))
    del rows[config.max_prototypes :]
    beat_len = len(next(iter(waves.values()))) if waves else 0
    return _bank(rows, waves, beat_len, config.top_k_sim)


def _bank(
    rows: list[tuple[int, int, int, str]], waves: Mapping[int, NDArray[np.float32]], beat_len: int, top_k: int
) -> PrototypeBank:
    if not rows:
        return empty_bank(beat_len, top_k)
    return PrototypeBank(
        waves=np.stack([waves[row[1]] for row in rows]).astype(np.float32),
        labels=np.array([row[2] for row in rows], dtype=np.int64),
        ids=np.array([row[1] for row in rows], dtype=np.int64),
        sizes=np.array([row[0] for row in rows], dtype=np.int64),
        mixes=tuple(row[3] for row in rows),
        top_k=top_k,
    )


def _unit(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return x / (np.linalg.norm(x, axis=1, keepdims=True) + np.float32(1e-8))
