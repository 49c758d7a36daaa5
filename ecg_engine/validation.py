"""Which prototypes can be trusted: size, purity and noise of every global cluster (spec section 9)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ecg_engine.artifacts import save_json, save_table
from ecg_engine.config import ValidateConfig
from ecg_engine.errors import InputError
from ecg_engine.labels import UNLABELLED, label_name

GOLDEN_COLUMNS = ("purity", "noise_ratio", "dominant_label_name", "suspicious")
"""What validation adds to the library's columns, in the order of the reference scripts."""

DETAIL_FILE = "prototype_validation_detail.csv"
BY_LABEL_FILE = "prototype_validation_by_label.csv"
SUSPICIOUS_FILE = "prototype_suspicious.csv"
SUMMARY_FILE = "prototype_validation_summary.json"

_NEEDED = ("prototype_id", "size", "dominant_label", "label_mix_top3")


class ValidationResult(NamedTuple):
    """What :func:`validate_library` found.

    Attributes
    ----------
    detail : DataFrame
        The library with purity, noise_ratio, dominant_label_name, suspicious, reasons (words joined by ``;``:
        small, mixed, noisy, unlabelled) and, where members were given, purity_all. Suspicious ones first.
    by_label : DataFrame
        One row a dominant label.
    suspicious : DataFrame
        The suspicious rows of ``detail``.
    summary : dict
        Counts, labels seen and the thresholds used.
    """

    detail: pd.DataFrame
    by_label: pd.DataFrame
    suspicious: pd.DataFrame
    summary: dict[str, Any]


def parse_mix(mix: object) -> dict[int, int]:
    """Label counts of a ``label_mix_top3`` cell, such as ``"2:3090;0:1893;-1:158"``.

    A blank cell (a prototype without labelled members) gives an empty mapping.

    Raises
    ------
    InputError
        If the cell is not of this form; the message shows it.
    """
    if mix is None or mix is pd.NA or (isinstance(mix, float) and np.isnan(mix)):
        return {}
    counts: dict[int, int] = {}
    for item in filter(None, (piece.strip() for piece in str(mix).split(";"))):
        label, colon, count = item.partition(":")
        try:
            if not colon:
                raise ValueError
            counts[int(label)] = int(count)
        except ValueError:
            raise InputError(
                f"the label mix {str(mix)!r} cannot be read",
                remedy='It must look like "2:3090;0:1893;-1:158" (label:count, separated by semicolons).',
            ) from None
    return counts


def mix_purity(mix: object) -> float:
    """Purity as the spec defines it: largest count over the sum of ``label_mix_top3``; 0 for an empty mix."""
    counts = parse_mix(mix)
    total = sum(counts.values())
    return max(counts.values()) / total if total else 0.0


def mix_noise_ratio(mix: object) -> float:
    """Share of labels below 0 in ``label_mix_top3``; 0 for an empty mix."""
    counts = parse_mix(mix)
    total = sum(counts.values())
    return sum(count for label, count in counts.items() if label < 0) / total if total else 0.0


def purity_of_all(
    prototype_ids: npt.ArrayLike, labels: npt.NDArray[np.integer], cluster_ids: npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]:
    """Purity over all labelled members of each prototype, not only the three most frequent labels.

    Parameters
    ----------
    prototype_ids : array_like of int, shape (p,)
    labels, cluster_ids : int arrays, shape (n,)
        Label and global cluster of every beat; unlabelled beats (-999) are left out.

    Returns
    -------
    float64 array, shape (p,)
        0 where a prototype has no labelled members.
    """
    labelled = labels != UNLABELLED
    table = pd.crosstab(cluster_ids[labelled], labels[labelled])
    total = table.sum(axis=1)
    shares = (table.max(axis=1) / total) if len(table) else pd.Series(dtype=float)
    return shares.reindex(np.asarray(prototype_ids)).fillna(0.0).to_numpy(dtype=np.float64)


def validate_library(
    library: pd.DataFrame,
    config: ValidateConfig | None = None,
    *,
    labels: npt.NDArray[np.integer] | None = None,
    cluster_ids: npt.NDArray[np.integer] | None = None,
) -> ValidationResult:
    """Judge every prototype of a library (spec section 9, correction 9 of section 10).

    A prototype is suspicious if its size is under ``min_size``, its purity under ``min_purity`` or its noise
    ratio over ``max_noise_ratio``. A prototype without labelled members has purity 0, so it is suspicious too.

    Parameters
    ----------
    library : DataFrame
        ``prototype_library.csv``: at least prototype_id, size, dominant_label, label_mix_top3.
    config : ValidateConfig, optional
    labels, cluster_ids : int arrays, shape (n,), optional
        Label and global cluster of every beat; with both, ``purity_all`` is added.

    Raises
    ------
    InputError
        If a column is missing, a label mix cannot be read or the two arrays differ in length.
    """
    config = config or ValidateConfig()
    absent = [name for name in _NEEDED if name not in library.columns]
    if absent:
        raise InputError(
            f"the prototype library lacks the column {', '.join(absent)}",
            remedy="It must be the prototype_library.csv of a preprocessing run.",
        )
    detail = library.drop(columns=[c for c in (*GOLDEN_COLUMNS, "reasons", "purity_all") if c in library]).copy()
    mixes = [parse_mix(mix) for mix in detail["label_mix_top3"]]
    detail["label_mix_top3"] = detail["label_mix_top3"].fillna("")
    detail["purity"] = np.array([mix_purity(mix) for mix in detail["label_mix_top3"]], dtype=float)
    detail["noise_ratio"] = np.array([mix_noise_ratio(mix) for mix in detail["label_mix_top3"]], dtype=float)
    detail["dominant_label_name"] = [label_name(label) for label in detail["dominant_label"]]
    small = detail["size"].to_numpy() < config.min_size
    mixed = detail["purity"].to_numpy() < config.min_purity
    noisy = detail["noise_ratio"].to_numpy() > config.max_noise_ratio
    detail["suspicious"] = small | mixed | noisy
    blank = np.array([not mix for mix in mixes], dtype=bool)
    words = {"small": small, "mixed": mixed & ~blank, "unlabelled": mixed & blank, "noisy": noisy}
    detail["reasons"] = [";".join(word for word, hits in words.items() if hits[row]) for row in range(len(detail))]
    if labels is not None and cluster_ids is not None:
        if len(labels) != len(cluster_ids):
            raise InputError(f"there are {len(labels)} labels but {len(cluster_ids)} cluster ids")
        detail["purity_all"] = purity_of_all(detail["prototype_id"], np.asarray(labels), np.asarray(cluster_ids))
    detail = detail.sort_values(["suspicious", "size"], ascending=False, kind="stable").reset_index(drop=True)
    suspicious = detail[detail["suspicious"]].reset_index(drop=True)
    summary = {
        "num_prototypes": len(detail),
        "num_suspicious": len(suspicious),
        "labels_seen": sorted({int(label) for label in detail["dominant_label"]}),
        "thresholds": {
            "min_size": config.min_size,
            "min_purity": config.min_purity,
            "max_noise_ratio": config.max_noise_ratio,
        },
    }
    return ValidationResult(detail, _by_label(detail), suspicious, summary)


def _by_label(detail: pd.DataFrame) -> pd.DataFrame:
    grouped = detail.groupby("dominant_label", sort=True)
    table = grouped.agg(
        num_prototypes=("prototype_id", "size"),
        total_members=("size", "sum"),
        mean_purity=("purity", "mean"),
        num_suspicious=("suspicious", "sum"),
    ).reset_index(names="label")
    table.insert(1, "label_name", [label_name(label) for label in table["label"]])
    return table.sort_values("total_members", ascending=False, kind="stable").reset_index(drop=True)


def save_validation(result: ValidationResult, folder: str | Path) -> list[Path]:
    """Write the three tables and the summary under the names of spec section 9; returns the paths written."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    tables = {DETAIL_FILE: result.detail, BY_LABEL_FILE: result.by_label, SUSPICIOUS_FILE: result.suspicious}
    for name, table in tables.items():
        save_table(table, target / name)
    save_json(result.summary, target / SUMMARY_FILE)
    return [target / name for name in (*tables, SUMMARY_FILE)]
