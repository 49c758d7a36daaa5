"""Seed similarity mining: beats that look like those a reader has chosen (spec sections 7 and 10.6)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.config import PreprocessConfig
from ecg_engine.errors import InputError

SEED_COLUMNS = ("beat_global_id", "label_name")
CANDIDATE_COLUMNS = (
    "seed_label",
    "seed_beat_global_id",
    "candidate_beat_global_id",
    "similarity",
    "source_row",
    "patient_id",
    "rr_prev_sec",
    "rr_next_sec",
)


class MiningResult(NamedTuple):
    """Candidates of all seeds, and the seeds that could not be used.

    Attributes
    ----------
    candidates : DataFrame
        ``CANDIDATE_COLUMNS``, by seed label, then most similar first.
    dropped : DataFrame
        seed_row (0-based), beat_global_id and label_name as given, reason.
    """

    candidates: pd.DataFrame
    dropped: pd.DataFrame


def mine_candidates(
    seeds: pd.DataFrame, metadata: pd.DataFrame, features: NDArray[np.float32], config: PreprocessConfig
) -> MiningResult:
    """Find the beats most like each seed, by cosine in the feature space.

    Parameters
    ----------
    seeds : DataFrame
        Columns beat_global_id and label_name. A seed may be a noise-flagged beat.
    metadata : DataFrame
        One row a beat, as in beat_metadata.csv.
    features : float32 (n, D)
    config : PreprocessConfig
        Candidates are the usable beats of the first ``search_rows`` source rows; each seed gets ``top_k_candidates``.

    Returns
    -------
    MiningResult
        A seed is never its own candidate (correction 6).

    Raises
    ------
    InputError
        If a column is missing.
    """
    for column in SEED_COLUMNS:
        if column not in seeds.columns:
            there = ", ".join(map(repr, seeds.columns))
            raise InputError(f"the table of seeds has no column {column!r}", remedy=f"Its columns are: {there}.")
    ids = metadata["beat_global_id"].to_numpy()
    row_of = {int(beat): row for row, beat in enumerate(ids)}
    source_row = metadata["source_row"].to_numpy()
    usable = metadata["noise_flag"].to_numpy() == 0
    first_row = source_row.min() if len(source_row) else 0
    pool = np.flatnonzero(usable & (source_row < first_row + config.search_rows))
    unit = _normalised(features)
    found, dropped = [], []
    for number, (beat, name) in enumerate(zip(seeds["beat_global_id"], seeds["label_name"], strict=True)):
        seed, reason = _seed_row(beat, name, row_of)
        if seed is None:
            dropped.append((number, beat, name, reason))
            continue
        others = pool[pool != seed]
        similarity = unit[others] @ unit[seed]
        best = np.argsort(-similarity, kind="stable")[: config.top_k_candidates]
        table = metadata.iloc[others[best]][["source_row", "patient_id", "rr_prev_sec", "rr_next_sec"]].copy()
        table.insert(0, "seed_label", str(name).strip())
        table.insert(1, "seed_beat_global_id", int(ids[seed]))
        table.insert(2, "candidate_beat_global_id", ids[others[best]])
        table.insert(3, "similarity", similarity[best])
        found.append(table)
    candidates = pd.concat(found) if found else pd.DataFrame(columns=list(CANDIDATE_COLUMNS))
    candidates = candidates.sort_values(
        ["seed_label", "similarity"], ascending=[True, False], kind="stable", ignore_index=True
    )
    columns = ["seed_row", *SEED_COLUMNS, "reason"]
    return MiningResult(candidates, pd.DataFrame(dropped, columns=columns))


def _seed_row(beat: object, name: object, row_of: dict[int, int]) -> tuple[int | None, str]:
    if pd.isna(beat) or not str(beat).strip():  # type: ignore[call-overload]
        return None, "no beat id"
    if pd.isna(name) or not str(name).strip():  # type: ignore[call-overload]
        return None, "no label name"
    try:
        number = float(str(beat))
    except ValueError:
        return None, f"{beat!r} is no beat id"
    row = row_of.get(int(number)) if number.is_integer() else None
    return (row, "") if row is not None else (None, f"there is no beat {beat}")


def _normalised(features: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(length, np.float32(1e-12))
