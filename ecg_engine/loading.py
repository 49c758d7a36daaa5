"""A run read back from its folder: this engine's, or one of the old scripts (spec section 7)."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.config import PreprocessConfig
from ecg_engine.errors import ConfigError, InputError
from ecg_engine.preprocess import Run
from ecg_engine.quality import REASONS, assess, reason_texts
from ecg_engine.strips import SKIPPED_COLUMNS, ReadReport, Strips
from ecg_engine.tables import read_patient
from ecg_engine.windows import context_windows

_TEXT = [
    *("patient_id", "record_label_name", "noise_reason", "label_mix_top3", "example_beat_ids", "seed_label"),
    *("reason", "source_file", "kind", "strip_hash"),
]
_FLOAT32 = ["rr_prev_sec", "rr_next_sec", "quality_score", "z_ptp", "z_slope", "z_edge", "rpeak_prob", "similarity"]
_INT32 = [
    *("record_label", "noise_flag", "local_cluster_id", "local_cluster_size"),
    *("global_cluster_id", "global_cluster_size", "whole", "label"),
]


def load_run(folder: str | os.PathLike[str]) -> Run:
    """Read a run; the large arrays are memory-mapped, so that it costs little until they are used.

    Parameters
    ----------
    folder : path
        Written by ``save_run`` or by the old scripts. Of the latter, windows, noise reasons, scores and sampling rate
        are worked out anew, and there are no strips.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If the folder is missing or incomplete, or a file of it is damaged; the message names the file.
    """
    place = Path(folder)
    if not (place / "summary.json").is_file():
        raise InputError(
            "this is no complete preprocessing run (there is no summary.json)",
            where=str(place),
            remedy="Preprocess again, or give the folder that preprocessing wrote.",
        )
    current = "summary.json"
    try:
        summary = json.loads((place / current).read_text(encoding="utf-8"))
        current = "config.json"
        config = _config(place / current, summary)
        arrays: dict[str, NDArray[Any]] = {}
        for name in ("beats", "features", "labels", "noise_flags", "global_cluster_ids"):
            current = f"{name}.npy"
            arrays[name] = np.load(place / current, mmap_mode="r" if name in ("beats", "features") else None)
        tables: dict[str, pd.DataFrame | None] = {}
        for current in ("beat_metadata.csv", "prototype_library.csv"):
            tables[current] = _table(place / current)
        for current in ("seed_mined_candidates.csv", "skipped_rows.csv", "strip_index.csv"):
            tables[current] = _table(place / current) if (place / current).is_file() else None
        current = "class_templates.npz"
        templates = _waves(place / current)
        current = "prototype_library_waves.npz"
        prototypes = _waves(place / current)
        strips, conditioned = None, None
        if tables["strip_index.csv"] is not None:
            current = "strips.npy"
            samples = np.load(place / current, mmap_mode="r")
            current = "conditioned.npy"
            conditioned = np.load(place / current, mmap_mode="r")
            current = "strip_index.csv"
            strips = _strips(tables["strip_index.csv"], samples, tables["skipped_rows.csv"], summary)
    except FileNotFoundError as error:
        raise InputError(f"{current} is missing", where=str(place), remedy="Preprocess again.") from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, pd.errors.ParserError) as error:
        if isinstance(error, ConfigError):
            raise
        raise InputError(f"{current} is damaged ({error})", where=str(place), remedy="Preprocess again.") from error
    metadata, library = tables["beat_metadata.csv"], tables["prototype_library.csv"]
    assert metadata is not None and library is not None
    beats, noise = arrays["beats"], arrays["noise_flags"]
    lengths = {len(metadata), *(len(array) for array in arrays.values())}
    if len(lengths) != 1:
        raise InputError("its files hold different numbers of beats", where=str(place), remedy="Preprocess again.")
    summary.setdefault("fs", _rate_of_beats(metadata))
    if "noise_reason" not in metadata:
        metadata = _with_reasons(metadata, beats, config, summary["fs"])
    skipped = tables["skipped_rows.csv"]
    return Run(
        config=config,
        summary=summary,
        metadata=metadata,
        beats=beats,
        features=arrays["features"],
        labels=arrays["labels"],
        noise_flags=noise,
        cluster_ids=arrays["global_cluster_ids"],
        windows=context_windows(metadata["source_row"].to_numpy(), noise == 0, config.context_radius),
        class_templates=templates,
        library=library,
        prototype_waves=prototypes,
        candidates=tables["seed_mined_candidates.csv"],
        skipped=pd.DataFrame(columns=list(SKIPPED_COLUMNS)) if skipped is None else skipped,
        strips=strips,
        conditioned=conditioned,
        strip_quality=_strip_quality(tables["strip_index.csv"]),
    )


def _strip_quality(index: pd.DataFrame | None) -> pd.DataFrame | None:
    if index is None or "noise_score" not in index:
        return None
    kinds = {"noise_score": np.float32, "noisy": np.int32, "lost_part": np.float32}
    return index[["noise_score", "noise_reason", "noisy", "lost_part"]].astype(kinds)


def _config(path: Path, summary: Mapping[str, Any]) -> PreprocessConfig:
    if path.is_file():
        return PreprocessConfig.from_dict(json.loads(path.read_text(encoding="utf-8")))
    return PreprocessConfig(context_radius=int(summary.get("context_window_size", 5)) // 2)


def _table(path: Path) -> pd.DataFrame:
    # Without the list of words that stand for "missing": a file may well be named NA, a label mix may be empty.
    table = pd.read_csv(path, dtype=dict.fromkeys(_TEXT, str), keep_default_na=False)
    kinds = {**dict.fromkeys(_FLOAT32, np.float32), **dict.fromkeys(_INT32, np.int32)}
    table = table.astype({name: kind for name, kind in kinds.items() if name in table})
    if "patient_id" in table:
        patients = {text: read_patient(text) for text in table["patient_id"].unique()}
        table["patient_id"] = pd.Series([patients[text] for text in table["patient_id"]], dtype=object)
    return table


def _waves(path: Path) -> dict[int, NDArray[np.float32]]:
    # opened here, because numpy leaves a damaged archive open
    with path.open("rb") as file, np.load(file) as archive:
        return {int(name.split("_", 1)[1]): archive[name] for name in archive.files}


def _strips(
    index: pd.DataFrame | None, samples: NDArray[np.float32], skipped: pd.DataFrame | None, summary: Mapping[str, Any]
) -> Strips:
    assert index is not None
    table = pd.DataFrame(columns=list(SKIPPED_COLUMNS)) if skipped is None else skipped
    offsets = np.append(index["offset"].to_numpy(dtype=np.int64), len(samples))
    if (np.diff(offsets) != index["length"].to_numpy()).any():
        raise ValueError("it does not fit strips.npy")
    return Strips(
        samples=samples,
        offsets=offsets,
        fs=float(summary["fs"]),
        source_row=index["source_row"].to_numpy(dtype=np.int64),
        patient_id=index["patient_id"].to_numpy(dtype=object),
        label=index["label"].to_numpy(dtype=np.int32),
        strip_hash=index["strip_hash"].to_numpy(dtype=object),
        source_file=index["source_file"].to_numpy(dtype=object),
        file_row=index["file_row"].to_numpy(dtype=np.int64),
        # strips without beats are listed among the run's skipped rows, not among those that reading skipped
        skipped=table[~table["source_row"].isin(index["source_row"])].reset_index(drop=True),
        report=ReadReport(
            files=tuple(summary["files"]),
            rows_total=int(summary["input_rows"]),
            columns=summary["columns"],
            columns_missing=tuple(summary["columns_missing"]),
            rates={float(rate): int(count) for rate, count in summary["rates"].items()},
            resampled=int(summary["resampled_rows"]),
            unlabelled=int(summary["unlabelled_rows"]),
            unreadable_labels=summary["unreadable_labels"],
            unknown_patients=int(summary["unknown_patient_rows"]),
        ),
    )


def _rate_of_beats(metadata: pd.DataFrame) -> float:
    """Sampling rate in Hz from R-peaks and RR intervals; NaN if no strip has two beats."""
    step = np.diff(metadata["r_index"].to_numpy())
    same = (np.diff(metadata["source_row"].to_numpy()) == 0) & (step > 0)
    if not same.any():
        return float("nan")
    rates = step[same] / metadata["rr_prev_sec"].to_numpy(dtype=np.float64)[1:][same]
    return float(np.round(np.median(rates), 3))


def _with_reasons(
    metadata: pd.DataFrame, beats: NDArray[np.float32], config: PreprocessConfig, fs: float
) -> pd.DataFrame:
    """The columns that the old scripts did not write; beats that they did not flag get no reason."""
    quality = assess(np.asarray(beats), metadata["rr_prev_sec"].to_numpy(), metadata["rr_next_sec"].to_numpy(), config)
    grouped = metadata["local_cluster_id"] >= 0
    quality.reasons[:, REASONS.index("small_cluster")] = grouped & (
        metadata["local_cluster_size"] < config.min_local_cluster
    )
    quality.reasons[metadata["noise_flag"].to_numpy() == 0] = False
    return metadata.assign(
        noise_reason=reason_texts(quality.reasons),
        r_time_sec=np.round(metadata["r_index"] / fs, 4),
        z_ptp=quality.z_ptp,
        z_slope=quality.z_slope,
        z_edge=quality.z_edge,
    )
