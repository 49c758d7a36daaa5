"""What the review queue draws from: a run, with or without a model's prediction, and how much waits in it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import streamlit as st

from components.review_view import View
from ecg_engine.config import PredictConfig
from ecg_engine.preprocess import Run
from state import session
from state.anchors import GROUP_COLUMN, BeatIndex
from state.batches import BATCH
from state.deciding import Decision
from state.queue_candidates import Candidates, find_candidates
from state.queue_items import QueueCounts, queue_counts
from state.reviewing import rows_of_ids
from state.runs import RunRow
from state.seeding import target_of

STEPS = 30
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Desk:
    """A preprocessing run whose queue is worked on, and the prediction that it is worked on with, if there is one."""

    source: RunRow
    view: View | None

    @property
    def row(self) -> RunRow | None:
        """The prediction."""
        return self.view.row if self.view else None

    @property
    def run(self) -> Run:
        """Arrays and tables of the preprocessing run."""
        return session.load(self.source)

    @property
    def index(self) -> BeatIndex:
        """What decisions are matched with."""
        return session.index(self.source)

    @property
    def config(self) -> PredictConfig:
        """The limits of the prediction."""
        return self.view.config if self.view else PredictConfig()

    @property
    def has_groups(self) -> bool:
        """Whether the run knows groups of look-alike beats: runs of the arrhythmia profile do."""
        return GROUP_COLUMN in self.run.metadata

    @property
    def model_name(self) -> str:
        """Name of the model that predicted; empty without one."""
        return self.view.model_name if self.view else ""


class Counts(NamedTuple):
    """How much stands in the queue, as of a version of the study's decisions."""

    reasons: dict[str, int]
    total: int
    left: int
    version: int


def counts_of(desk: Desk, reasons: Collection[str], labels: Collection[int], patients: Collection[str]) -> Counts:
    """How much of what the filters keep is there, and how much of it is open."""
    version = session.store().decisions.version(desk.source.study_id)
    filters = (tuple(reasons), tuple(labels), tuple(patients))
    found = _counts(*_names(desk), version, session.reader(), *filters, desk)
    return Counts(found.reasons, found.total, found.left, version)


def _names(desk: Desk) -> tuple[str, str, str, str]:
    return (desk.source.id, str(desk.source.finished_at), desk.row.id if desk.row else "", str(session.store().folder))


@st.cache_resource(show_spinner=False, max_entries=12)
def _counts(
    source_id: str,
    finished: str,
    row_id: str,
    data: str,
    version: int,
    reader: str,
    reasons: tuple[str, ...],
    labels: tuple[int, ...],
    patients: tuple[str, ...],
    _desk: Desk,
) -> QueueCounts:
    return queue_counts(
        _desk.run,
        _desk.index,
        session.effective(_desk.source),
        session.active_decisions(),
        _prediction(_desk),
        _desk.config,
        reader,
        reasons=reasons,
        labels=labels,
        patients=patients,
        candidates=_candidates(source_id, finished, row_id, data, _desk),
    )


@st.cache_resource(show_spinner="Looking for what is in doubt", max_entries=4)
def _candidates(source_id: str, finished: str, row_id: str, data: str, _desk: Desk) -> Candidates:
    return find_candidates(_desk.run, _desk.index, _prediction(_desk), _desk.config)


def _prediction(desk: Desk) -> Any:
    return (desk.view.beats, desk.view.strips) if desk.view else None


def patients_of(desk: Desk) -> list[str]:
    """All patients of the run, in the order of "by patient"."""
    columns = _candidates(*_names(desk), desk).items.columns
    order = dict(zip(columns["patient"].tolist(), columns["patient_order"].tolist(), strict=True))
    return sorted(order, key=lambda name: order[name])


def item_of(desk: Desk, chosen: str | None) -> str | None:
    """The item that the address names: its target, or the number of a beat."""
    if chosen is None or not chosen.isdecimal():
        return chosen
    row = int(rows_of_ids(desk.index, [int(chosen)])[0])
    return target_of(desk.run, desk.index, row) if row >= 0 else None


def steps_of(decisions: Sequence[Decision], reader: str) -> list[list[dict[str, Any]]]:
    """The reader's newest steps that hold, oldest first: what undo goes through. A batch is one step.

    Parameters
    ----------
    decisions : sequence of Decision
        Those that hold, oldest first.
    """
    steps: dict[str, list[Decision]] = {}
    for made in reversed(decisions):
        if made.reader == reader:
            name = str(made.payload.get(BATCH) or made.id)
            if len(steps) == STEPS and name not in steps:
                break
            steps.setdefault(name, []).append(made)
    return [[_told(made) for made in reversed(step)] for step in reversed(steps.values())]


def _told(made: Decision) -> dict[str, Any]:
    return {
        "id": made.id,
        "at": (made.at - _EPOCH) // timedelta(microseconds=1),
        "target": made.target,
        "field": made.field,
        "new": made.new,
        "old": made.old,
    }
