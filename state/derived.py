"""Numbers that follow from effective labels: counts, shares of noise, purity. Pure functions."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.labels import NOISE, UNLABELLED, label_name
from state.anchors import BeatIndex
from state.effective import Effective


def label_counts(effective: Effective) -> dict[int, int]:
    """Usable beats (flag 0) per effective label, in ascending order; -1 are those marked as noise, flag 0 too.

    Beats that a reader added count, those that a reader deleted do not.
    """
    added = np.array([beat.label for beat in effective.added], dtype=np.int32)
    usable = np.concatenate([effective.labels[effective.noise_flags == 0], added])
    labels, counts = np.unique(usable, return_counts=True)
    return {int(label): int(count) for label, count in zip(labels, counts, strict=True)}


def noise_share(index: BeatIndex, effective: Effective) -> NDArray[np.float64]:
    """Share of noise among each strip's beats, in the order of ``index.hashes``; NaN for a strip without beats."""
    places, labels = shown_labels(index, effective)
    beats = np.bincount(places, minlength=len(index.hashes))
    noisy = np.bincount(places, weights=labels == NOISE, minlength=len(index.hashes))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(beats > 0, noisy / beats, np.nan))


def shown_labels(index: BeatIndex, effective: Effective) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Place of the strip and label of every beat that there is by now; noise, computed or said, is -1.

    Added beats come last; deleted ones, and those of unknown strips, are left out.
    """
    there = ~effective.deleted & (index.strip_of_beat >= 0)
    labels = np.where(effective.noisy, NOISE, effective.labels)[there]
    added = [(beat.place, beat.label) for beat in effective.added]
    more = np.array(added, dtype=np.int64).reshape(-1, 2)
    return (
        np.concatenate([index.strip_of_beat[there], more[:, 0]]),
        np.concatenate([labels, more[:, 1]]).astype(np.int32),
    )


def prototype_mix(index: BeatIndex, effective: Effective) -> pd.DataFrame:
    """Size, label mix and purity of each prototype by effective labels, largest first.

    Beats whose R-peak was deleted are members no more.

    Returns
    -------
    DataFrame
        prototype_id, size, dominant_label, dominant_name, label_mix_top3 ("2:3090;0:1893;-1:158"), purity (largest
        of the three most frequent labels over their sum, as the pipeline has it), purity_all (over all labelled
        members), noise_ratio (noise over the sum of those three). A prototype without labelled members has
        dominant_label -999 and purities of 0.
    """
    rows = []
    for prototype in np.unique(index.prototypes[index.prototypes >= 0]).tolist():
        labels = effective.labels[(index.prototypes == prototype) & ~effective.deleted]
        counts = Counter(labels[labels != UNLABELLED].tolist())
        top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]
        total = sum(count for _, count in top)
        dominant = top[0][0] if top else UNLABELLED
        rows.append(
            {
                "prototype_id": prototype,
                "size": len(labels),
                "dominant_label": dominant,
                "dominant_name": label_name(dominant),
                "label_mix_top3": ";".join(f"{label}:{count}" for label, count in top),
                "purity": top[0][1] / total if top else 0.0,
                "purity_all": top[0][1] / counts.total() if top else 0.0,
                "noise_ratio": sum(count for label, count in top if label < 0) / total if top else 0.0,
            }
        )
    names = ["prototype_id", "size", "dominant_label", "dominant_name", "label_mix_top3"]
    table = pd.DataFrame(rows, columns=[*names, "purity", "purity_all", "noise_ratio"])
    return table.sort_values(["size", "prototype_id"], ascending=[False, True], ignore_index=True)
