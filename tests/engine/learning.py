"""Small runs for the tests of training and prediction: beats made of a few noisy templates, and the golden folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ecg_engine.config import PreprocessConfig
from ecg_engine.labels import label_name
from ecg_engine.preprocess import Run
from ecg_engine.windows import context_windows

LENGTH = 40
SHAPES = {0: (20, 3), 1: (14, 5), 2: (26, 8), 5: (20, 12), -1: (8, 1)}
"""Place and width of the one wave of each label's beats."""


def make_run(
    strips: list[tuple[object, int]],
    *,
    beats_per_strip: int = 6,
    length: int = LENGTH,
    fs: float = 61.5,
    noise_every: int = 0,
    seed: int = 0,
) -> Run:
    """A run of strips given as (patient, label): each beat is its label's wave plus noise.

    Every ``noise_every``-th beat carries a noise flag. Clusters are the labels' numbers in ascending order.
    """
    rng = np.random.default_rng(seed)
    grid = np.arange(length)
    rows, beats = [], []
    kinds = sorted({label for _, label in strips})
    for row, (patient, label) in enumerate(strips):
        for index in range(beats_per_strip):
            place, width = SHAPES.get(label, (20, 3))
            beats.append(np.exp(-(((grid - place) / width) ** 2)) + 0.15 * rng.normal(size=length))
            rows.append((len(rows), row, patient, label, label_name(label), index, 60 * (index + 1), 60 / fs, 60 / fs))
    names = ["beat_global_id", "source_row", "patient_id", "record_label", "record_label_name"]
    names += ["beat_index_in_record", "r_index", "rr_prev_sec", "rr_next_sec"]
    metadata = pd.DataFrame(rows, columns=names)
    labels = metadata["record_label"].to_numpy(np.int32)
    noise = np.zeros(len(rows), dtype=np.int32)
    if noise_every:
        noise[noise_every - 1 :: noise_every] = 1
    metadata["noise_flag"] = noise
    clusters = np.where(noise == 1, -1, np.searchsorted(kinds, labels)).astype(np.int32)
    config = PreprocessConfig()
    return Run(
        config=config,
        summary={"fs": fs},
        metadata=metadata,
        beats=np.array(beats, dtype=np.float32),
        features=np.zeros((len(rows), 3), dtype=np.float32),
        labels=labels,
        noise_flags=noise,
        cluster_ids=clusters,
        windows=context_windows(metadata["source_row"], noise == 0, config.context_radius),
        class_templates={},
        library=pd.DataFrame(),
        prototype_waves={},
        candidates=None,
        skipped=pd.DataFrame(),
    )


def many_patients(n: int = 12, labels: tuple[int, ...] = (0, 1, 2, -1), **options: object) -> Run:
    """Each of n patients with one strip of each label."""
    return make_run([(100 + p, label) for p in range(n) for label in labels], **options)  # type: ignore[arg-type]


def golden_run(folder: Path) -> Run:
    """The golden preprocessing folder as a run."""
    at = folder / "preprocess"
    metadata = pd.read_csv(at / "beat_metadata.csv")
    noise = np.load(at / "noise_flags.npy")
    with np.load(at / "prototype_library_waves.npz") as stored:
        waves = {int(name.removeprefix("prototype_")): stored[name] for name in stored}
    return Run(
        config=PreprocessConfig(),
        summary={},
        metadata=metadata,
        beats=np.load(at / "beats.npy"),
        features=np.load(at / "features.npy"),
        labels=np.load(at / "labels.npy"),
        noise_flags=noise,
        cluster_ids=np.load(at / "global_cluster_ids.npy"),
        windows=context_windows(metadata["source_row"], noise == 0, 2),
        class_templates={},
        library=pd.read_csv(at / "prototype_library.csv"),
        prototype_waves=waves,
        candidates=None,
        skipped=pd.DataFrame(),
    )
