"""What is trained on: beats of one or more preprocessing runs with their effective labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg_engine.config import PreprocessConfig
from ecg_engine.errors import InputError
from ecg_engine.labels import UNLABELLED
from ecg_engine.preprocess import Run
from ecg_engine.windows import Windows, context_windows

FS_TOLERANCE = 0.01
"""Sampling rates that differ by less than this share count as equal: 2,600 and 2,604 samples in 10 s."""


BY_STRIP = "strip"
"""Source of a label that nobody gave to the beat itself: it is its strip's."""

BY_HASH = "strip:"
"""How the names of strips begin, which no name of a patient does."""

_WEIGHT = {"group": 0.3, "prototype": 0.3}
"""What a beat's label counts that was given to its look-alikes: a thousand of them are one decision."""


class RunPart(NamedTuple):
    """One run among training data, with what is said of its strips and beats: what the arrhythmia profile learns from.

    Attributes
    ----------
    run : Run
    name : str
    strip_labels : int64 (s,)
        Effective label of each strip of the run, those without beats included.
    patient_group : object (str) (s,)
    known : int64 (n,)
        Label that a reader gave to a beat, -999 elsewhere.
    weight : float32 (n,)
        What each of them counts.
    present : bool (n,)
        False for a beat whose R-peak a reader deleted.
    """

    run: Run
    name: str
    strip_labels: NDArray[np.int64]
    patient_group: NDArray[Any]
    known: NDArray[np.int64]
    weight: NDArray[np.float32]
    present: NDArray[np.bool_]


@dataclass(frozen=True)
class TrainingData:
    """The beats of one run (or, after :func:`combine`, of several) as the nets see them.

    Attributes
    ----------
    name : str
        What messages call it.
    beats : float32 (n, L)
    windows : Windows
        Over the beats whose noise flag is 0.
    labels : int32 (n,)
        Effective labels; -999 is never trained on, -1 only teaches the gate.
    noise : bool (n,)
        Effective noise flags.
    patient_group : object (str) (n,)
        The patient, or ``strip:...`` where none is known.
    strip : object (str) (n,)
        The strip, unique over all data.
    source_row : int64 (n,)
    cluster_ids : int32 (n,)
        Global clusters, -1 for none; clusters of different runs are different ones.
    fs : float
        Hz.
    config : PreprocessConfig
    parts : tuple of RunPart
        The runs that they were taken from.
    """

    name: str
    beats: NDArray[np.float32]
    windows: Windows
    labels: NDArray[np.int32]
    noise: NDArray[np.bool_]
    patient_group: NDArray[Any]
    strip: NDArray[Any]
    source_row: NDArray[np.int64]
    cluster_ids: NDArray[np.int32]
    fs: float
    config: PreprocessConfig
    parts: tuple[RunPart, ...] = ()

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.windows.centre)

    @property
    def beat_len(self) -> int:
        """Samples of one beat."""
        return int(self.beats.shape[1])

    @property
    def window_size(self) -> int:
        """Beats in one window."""
        return int(self.windows.beat.shape[1])

    @property
    def window_labels(self) -> NDArray[np.int32]:
        """Label of each window's centre beat."""
        return self.labels[self.windows.centre]


def sampling_rate(run: Run) -> float:
    """Sampling rate of a run in Hz; for folders of the old scripts it follows from R positions and RR intervals."""
    if run.summary.get("fs"):
        return float(run.summary["fs"])
    if run.strips is not None:
        return run.strips.fs
    table = run.metadata
    steps = table["r_index"].diff().to_numpy()[1:]
    same = (table["source_row"].diff().to_numpy()[1:] == 0) & (steps > 0)
    if not same.any():
        return float(run.config.fs or np.nan)
    rates = steps[same] / table["rr_prev_sec"].to_numpy()[1:][same]
    return float(np.round(np.median(rates), 3))


def training_data(
    run: Run,
    *,
    labels: ArrayLike | None = None,
    noise_flags: ArrayLike | None = None,
    source: ArrayLike | None = None,
    deleted: ArrayLike | None = None,
    name: str = "data set",
) -> TrainingData:
    """Take a run as training data.

    Parameters
    ----------
    run : Run
    labels : array_like of int, shape (n,), optional
        Effective labels of all beats, in place of the run's.
    noise_flags : array_like, shape (n,), optional
        Effective noise flags. Windows are built anew over the beats with flag 0; a beat flagged as noise is neither
        trained on nor a neighbour. (To teach the gate, a beat needs label -1 and flag 0.)
    source : array_like of str, shape (n,), optional
        Where each label comes from. "strip" (of all by default) is the strip's label; "beat", "group", "prototype" and
        "model" were given to the beat by a reader. Of use to the arrhythmia profile alone.
    deleted : array_like of bool, shape (n,), optional
        Beats whose R-peak a reader deleted.
    name : str

    Raises
    ------
    InputError
        If their lengths are not the run's number of beats.
    """
    n = len(run.metadata)
    label = np.asarray(run.labels if labels is None else labels).astype(np.int32)
    noise = np.asarray(run.noise_flags if noise_flags is None else noise_flags).astype(bool)
    came = np.full(n, BY_STRIP) if source is None else np.asarray(source).astype(str)
    gone = np.zeros(n, dtype=bool) if deleted is None else np.asarray(deleted).astype(bool)
    for what, values in (("labels", label), ("noise flags", noise), ("sources", came), ("deletions", gone)):
        if values.shape != (n,):
            raise InputError(f"{len(values)} {what} were given for {n} beats", where=name)
    rows = run.metadata["source_row"].to_numpy().astype(np.int64)
    windows = run.windows if noise_flags is None else context_windows(rows, ~noise, run.config.context_radius)
    strip, patient = _groups(run, rows, name)
    return TrainingData(
        name, run.beats, windows, label, noise, patient, strip, rows, np.asarray(run.cluster_ids), sampling_rate(run),
        run.config, () if run.strips is None else (_part(run, label, came, gone, name),),
    )  # fmt: skip


def _part(run: Run, label: NDArray[np.int32], source: NDArray[np.str_], gone: NDArray[np.bool_], name: str) -> RunPart:
    assert run.strips is not None
    by_strip = (source == BY_STRIP) & ~gone
    of_strip = run.strips.label.astype(np.int64)  # holds where every beat of a strip was labelled by itself
    of_strip[run.strip_of_beat[by_strip]] = label[by_strip]
    group = [_patient(one) for one in run.strips.patient_id.tolist()]
    group = [who or _strip_name(digest) for who, digest in zip(group, run.strips.strip_hash, strict=True)]
    known = np.where(by_strip | gone, UNLABELLED, label).astype(np.int64)
    weight = np.array([_WEIGHT.get(word, 1.0) for word in source.tolist()], dtype=np.float32)
    return RunPart(run, name, of_strip, np.array(group, dtype=object), known, weight, ~gone)


def _groups(run: Run, rows: NDArray[np.int64], name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    known, place = np.unique(rows, return_inverse=True)
    keys = {row: f"strip:{name}:{row}" for row in known.tolist()}
    if run.strips is not None:
        strip_rows = run.strips.source_row.tolist()
        keys |= {row: _strip_name(digest) for row, digest in zip(strip_rows, run.strips.strip_hash, strict=True)}
    strip = np.array([keys[row] for row in known.tolist()], dtype=object)[place]
    patients = run.metadata["patient_id"].to_numpy()
    names = {value: _patient(value) for value in dict.fromkeys(patients.tolist())}
    given = [names[value] for value in patients.tolist()]
    group = np.array([who or key for who, key in zip(given, strip, strict=True)], dtype=object)
    return strip, group


def strip_names(parts: Sequence[RunPart]) -> NDArray[Any]:
    """Name of each strip, one part after the other: the same one as a training's split has for it; object (s,)."""
    every = [part.run.strips.strip_hash for part in parts if part.run.strips is not None]
    return np.array([_strip_name(digest) for hashes in every for digest in hashes], dtype=object)


def _strip_name(digest: str) -> str:
    # the hash is the same in another run of the same file, so that a strip never meets itself across the split
    return f"{BY_HASH}{digest[:16]}"


def _patient(value: object) -> str:
    # 7, 7.0 and "7" are one patient, whatever column type a spreadsheet made of them
    text = str(value).strip()
    if isinstance(value, float):
        text = "" if np.isnan(value) else str(int(value)) if value.is_integer() else text
    return "" if text in {"-1", "", "nan", "None"} else text


def combine(datasets: Sequence[TrainingData]) -> TrainingData:
    """Join data sets of several runs.

    Patients with the same id are the same patient. Clusters stay apart.

    Raises
    ------
    InputError
        If there are none, or beat length, window size or sampling rate differ; both values are named.
    """
    if not datasets:
        raise InputError("there is nothing to train on", remedy="Give at least one preprocessed data set.")
    first = datasets[0]
    if len(datasets) == 1:
        return first
    beat_at = cluster_at = 0
    windows, centres, clusters = [], [], []
    for data in datasets:
        _must_agree(first, data)
        windows.append(np.where(data.windows.beat >= 0, data.windows.beat + beat_at, -1))
        centres.append(data.windows.centre + beat_at)
        clusters.append(np.where(data.cluster_ids >= 0, data.cluster_ids + cluster_at, -1))
        beat_at += len(data.labels)
        cluster_at += int(data.cluster_ids.max(initial=-1)) + 1
    return TrainingData(
        name=", ".join(data.name for data in datasets),
        beats=np.concatenate([data.beats for data in datasets]),
        windows=Windows(np.concatenate(windows).astype(np.int32), np.concatenate(centres).astype(np.int32)),
        labels=np.concatenate([data.labels for data in datasets]),
        noise=np.concatenate([data.noise for data in datasets]),
        patient_group=np.concatenate([_apart(data.patient_group, data, i) for i, data in enumerate(datasets)]),
        strip=np.concatenate([_apart(data.strip, data, i) for i, data in enumerate(datasets)]),
        source_row=np.concatenate([data.source_row for data in datasets]),
        cluster_ids=np.concatenate(clusters).astype(np.int32),
        fs=first.fs,
        config=first.config,
        parts=tuple(part for data in datasets for part in data.parts),
    )


def _apart(keys: NDArray[Any], data: TrainingData, number: int) -> NDArray[Any]:
    # keys made of a name and a row could meet those of another data set; keys made of hashes should
    own = f"strip:{data.name}:"
    return np.array([f"{own}{number}:{key[len(own) :]}" if key.startswith(own) else key for key in keys], dtype=object)


def _must_agree(first: TrainingData, other: TrainingData) -> None:
    remedy = "Preprocess the data sets with the same settings."
    for what, unit, a, b in (
        ("beat length", "samples", first.beat_len, other.beat_len),
        ("window size", "beats", first.window_size, other.window_size),
    ):
        if a != b:
            raise InputError(
                f"{what} differs: {a} {unit} in {first.name}, {b} in {other.name}", where="training data", remedy=remedy
            )
    if abs(first.fs - other.fs) > FS_TOLERANCE * first.fs:
        raise InputError(
            f"sampling rate differs: {first.fs:g} Hz in {first.name}, {other.fs:g} Hz in {other.name}",
            where="training data",
            remedy=remedy,
        )


def data_hash(data: TrainingData) -> str:
    """Hex SHA-256 over beats, labels, noise flags and grouping: what a model was trained on, to the last bit."""
    digest = hashlib.sha256()
    arrays = (data.beats, data.labels, data.noise, data.windows.beat, data.cluster_ids)
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    digest.update("\n".join(data.patient_group.tolist()).encode())
    return digest.hexdigest()
