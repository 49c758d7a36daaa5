"""The seed basket and what becomes of its candidates: accepted, rejected, or not decided. Pure functions.

A seed is a decision with the field ``seed``; accepting a candidate labels that beat; rejecting it is a decision
with the field ``not_like``, whose value is the seed's label: "this beat is none of these".
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ecg_engine.config import PreprocessConfig
from ecg_engine.errors import EngineError
from ecg_engine.labels import label_id, label_name
from ecg_engine.mining import mine_candidates
from ecg_engine.preprocess import Run
from state.anchors import BeatIndex
from state.deciding import Decision
from state.effective import Effective
from state.peaks import peaks_of
from state.targets import BEAT, beat_target, parse_target

REJECTED_FIELD = "not_like"

OPEN, ACCEPTED, REJECTED, OTHERWISE = "open", "accepted", "rejected", "otherwise"
"""What became of a candidate: ``otherwise`` is one that a reader gave another label."""

PLACE_COLUMNS = ("source_row", "patient_id", "beat_index_in_record", "r_time_sec", "record_label_name")


def target_of(run: Run, index: BeatIndex, row: int) -> str:
    """Target of decisions on the beat of one row.

    Raises
    ------
    EngineError
        If the run knows no strips, so that nothing would find the beat again.
    """
    place = int(index.strip_of_beat[row])
    if place < 0 or run.strips is None:
        raise EngineError(
            "This run holds no strips, so decisions on its beats cannot be kept. Preprocess the file here."
        )
    return beat_target(str(run.strips.strip_hash[place]), int(index.first_ms[row]))


def basket(run: Run, effective: Effective) -> pd.DataFrame:
    """The seeds with where they lie: beat_global_id, label_name, label, row, ``PLACE_COLUMNS``; by label, then beat."""
    seeds = effective.seeds.copy()
    ids = run.metadata["beat_global_id"].to_numpy()
    order = np.argsort(ids, kind="stable")
    seeds["row"] = order[np.searchsorted(ids, seeds["beat_global_id"].to_numpy(dtype=np.int64), sorter=order)]
    seeds["label"] = [label_id(name) for name in seeds["label_name"]]
    places = run.metadata.iloc[seeds["row"].to_numpy(dtype=np.int64)][list(PLACE_COLUMNS)].reset_index(drop=True)
    seeds = pd.concat([seeds.reset_index(drop=True), places], axis=1)
    return seeds.sort_values(["label", "beat_global_id"], ignore_index=True)


def mine(run: Run, effective: Effective, search_rows: int, top_k: int) -> pd.DataFrame:
    """Candidates of the basket's seeds among the beats that are no noise by effective flags.

    Returns
    -------
    DataFrame
        As :func:`ecg_engine.mining.mine_candidates` gives it, and ``row``: the candidate's row in the run.
    """
    config = PreprocessConfig.from_dict({**run.config.to_dict(), "search_rows": search_rows, "top_k_candidates": top_k})
    metadata = run.metadata.assign(noise_flag=effective.noisy.astype(np.int32))
    candidates = mine_candidates(effective.seeds, metadata, np.asarray(run.features), config).candidates
    ids = run.metadata["beat_global_id"].to_numpy()
    order = np.argsort(ids, kind="stable")
    wanted = candidates["candidate_beat_global_id"].to_numpy(dtype=np.int64)
    candidates["row"] = order[np.searchsorted(ids, wanted, sorter=order)]
    return candidates


def rejections(index: BeatIndex, decisions: Iterable[Decision]) -> dict[tuple[int, str], Decision]:
    """(row, label name) to the newest decision that rejects the beat as one of that label.

    Parameters
    ----------
    decisions : iterable of Decision
        Those that hold, oldest first.
    """
    found: dict[tuple[int, str], Decision] = {}
    decisions = list(decisions)
    said = [decision for decision in decisions if decision.field == REJECTED_FIELD and decision.new]
    targets = [parse_target(decision.target) for decision in said]
    keep = [i for i, target in enumerate(targets) if target.kind == BEAT]
    places = index.places(targets[i].name for i in keep)
    rows = peaks_of(index, decisions).places.match(places, np.array([targets[i].number for i in keep], dtype=np.int64))
    for i, row in zip(keep, rows.tolist(), strict=True):
        if 0 <= row < len(index):
            found[row, str(said[i].new)] = said[i]
    return found


def with_outcome(
    candidates: pd.DataFrame, effective: Effective, rejected: dict[tuple[int, str], Decision]
) -> pd.DataFrame:
    """Candidates with ``outcome`` (open, accepted, rejected, otherwise) and ``label_now``, their effective label."""
    rows = candidates["row"].to_numpy(dtype=np.int64)
    names = [label_name(label) for label in effective.labels[rows].tolist()]
    said = effective.source[rows] == BEAT
    outcome = []
    for row, seed_label, name, by_reader in zip(rows.tolist(), candidates["seed_label"], names, said, strict=True):
        if by_reader:
            outcome.append(ACCEPTED if name == seed_label else OTHERWISE)
        else:
            outcome.append(REJECTED if (row, seed_label) in rejected else OPEN)
    return candidates.assign(label_now=names, outcome=outcome)
