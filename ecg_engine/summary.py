"""What a preprocessing run says about itself: summary.json (spec sections 7 and 10)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ecg_engine import __version__
from ecg_engine.beats import Beats
from ecg_engine.config import ARRHYTHMIA, PreprocessConfig
from ecg_engine.labels import UNLABELLED, label_name
from ecg_engine.mining import MiningResult
from ecg_engine.noise import Noise
from ecg_engine.strips import Strips
from ecg_engine.windows import Windows


def config_hash(config: PreprocessConfig) -> str:
    """Hex SHA-256 over the settings."""
    return hashlib.sha256(json.dumps(config.to_dict(), sort_keys=True).encode()).hexdigest()


def summarise(
    strips: Strips,
    config: PreprocessConfig,
    beats: Beats,
    noise: Noise,
    windows: Windows,
    library: pd.DataFrame,
    skipped: pd.DataFrame,
    mined: MiningResult | None,
) -> dict[str, Any]:
    """Put a run into plain numbers: the keys of the old scripts first, then what they did not say.

    ``warnings`` holds in sentences what a person should know before trusting the run.
    """
    flags, labels, report = noise.flags, strips.label[beats.strip], strips.report
    raw = {int(label): int(count) for label, count in zip(*np.unique(labels, return_counts=True), strict=True)}
    usable = {label: int(np.count_nonzero((labels == label) & ~flags)) for label in raw}
    summary: dict[str, Any] = {
        "input_rows": report.rows_total,
        "rows_skipped": len(skipped),
        "beats_extracted": len(labels),
        "beat_length": int(beats.samples.shape[1]),
        "noise_beats": int(np.count_nonzero(flags)),
        "usable_beats": int(np.count_nonzero(~flags)),
        "class_counts_raw": {str(label): count for label, count in raw.items()},
        "class_counts_usable": {str(label): count for label, count in usable.items()},
        "context_samples": len(windows.centre),
        "context_window_size": config.window_size,
        "global_clusters": len(library),
        "prototype_count": len(library),
        "seed_mining_enabled": mined is not None,
        "profile": config.profile,
        "engine_version": __version__,
        "config_hash": config_hash(config),
        "fs": strips.fs,
        "strips": len(strips),
        "patients": len({one for one in strips.patient_id.tolist() if one != -1}),
        "unknown_patient_rows": report.unknown_patients,
        "files": list(report.files),
        "columns": {name: dict(found) for name, found in report.columns.items()},
        "columns_missing": list(report.columns_missing),
        "rates": {f"{rate:.10g}": count for rate, count in report.rates.items()},
        "resampled_rows": report.resampled,
        "unlabelled_rows": report.unlabelled,
        "unreadable_labels": dict(report.unreadable_labels),
        "labels_emptied": {
            str(label): {"name": label_name(label), "beats": raw[label]}
            for label, count in usable.items()
            if count == 0 and label != UNLABELLED
        },
        "skipped_reasons": {str(kind): int(count) for kind, count in skipped["kind"].value_counts().items()},
        "noise_reasons": dict(noise.counts),
        "seeds_dropped": [] if mined is None else mined.dropped.astype(str).to_dict("records"),
    }
    if noise.strips is not None:
        summary["noisy_strips"] = int(noise.strips["noisy"].sum())
    if "whole" in noise.columns:
        summary["beats_cut_by_edges"] = int(np.count_nonzero(noise.columns["whole"] == 0))
    if "group_id" in noise.columns:
        summary["groups"] = len(np.unique(noise.columns["group_id"]))
    summary["warnings"] = _warnings(summary, config)
    return summary


def _warnings(summary: Mapping[str, Any], config: PreprocessConfig) -> list[str]:
    texts = []
    if summary["usable_beats"] == 0:
        reasons = _counts({name: count for name, count in summary["noise_reasons"].items() if count})
        texts.append(f"None of the {summary['beats_extracted']} beats is usable ({reasons}).")
    rule = f": clusters of fewer than {config.min_local_cluster} beats count as noise"
    rule = "" if config.profile == ARRHYTHMIA else rule
    texts += [
        f"{emptied['name']} lost all of its {emptied['beats']} beats to the noise flags{rule}."
        for emptied in summary["labels_emptied"].values()
    ]
    for column in summary["columns_missing"]:
        meaning = "its rows are unlabelled" if column == "label" else "its patients are unknown"
        files = ", ".join(name for name, found in summary["columns"].items() if found[column] is None)
        texts.append(f"{files} has no {column} column: {meaning}.")
    if summary["unreadable_labels"]:
        texts.append(f"Labels that are none of the list count as unlabelled ({_counts(summary['unreadable_labels'])}).")
    if summary["rows_skipped"]:
        texts.append(f"{summary['rows_skipped']} rows were skipped ({_counts(summary['skipped_reasons'])}).")
    if summary["resampled_rows"]:
        texts.append(f"{summary['resampled_rows']} strips were resampled to {summary['fs']:g} Hz.")
    if summary["seeds_dropped"]:
        texts.append(f"{len(summary['seeds_dropped'])} seeds could not be used.")
    return texts


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items())
