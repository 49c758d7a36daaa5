"""Trained models and the clusters of unknown beats: what runs leave behind besides files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, Row, select, update

from ecg_engine.errors import BundleError
from state import schema
from state.db import reading, writing
from state.errors import NotFoundError
from state.plain import new_id, now
from state.studies import _name

if TYPE_CHECKING:  # torch takes a second or two to load, which opening the store need not spend
    from ecg_engine.bundle import Bundle

CURRENT, CANDIDATE, FORMER = "current", "candidate", "former"


@dataclass(frozen=True)
class ModelRow:
    """A trained model.

    ``metrics`` are those of its own held-out patients; ``comparison`` (after a retrain) holds the figures of this
    model ("new") and the one that was current then ("current") on the same held-out patients.
    """

    id: str
    study_id: str
    run_id: str
    name: str
    kind: str
    bundle: str
    metrics: Mapping[str, Any]
    comparison: Mapping[str, Any] | None
    status: str
    created_at: datetime

    @property
    def current(self) -> bool:
        """The one that predicts unless another is chosen."""
        return self.status == CURRENT


@dataclass(frozen=True)
class AlertRow:
    """One cluster of an alerts run; ``alert`` if it reached the size that calls for attention."""

    id: str
    study_id: str
    run_id: str
    cluster_id: int
    size: int
    size_ratio: float
    alert: bool
    example_beats: Sequence[int]
    created_at: datetime


class Models:
    """The models of all studies."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._data = folder

    def all(self, study_id: str) -> list[ModelRow]:
        """Models of a study, newest first."""
        table = schema.models
        query = select(table).where(table.c.study_id == study_id)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(table.c.created_at.desc(), table.c.id.desc()))
            return [_model(row) for row in rows]

    def current(self, study_id: str) -> ModelRow | None:
        """The study's current model, or None before the first training."""
        return next((model for model in self.all(study_id) if model.current), None)

    def find(self, model_id: str | None) -> ModelRow | None:
        """A model by id, or None."""
        with reading(self._engine) as connection:
            row = connection.execute(select(schema.models).where(schema.models.c.id == model_id)).first()
        return _model(row) if row else None

    def get(self, model_id: str) -> ModelRow:
        """A model by id.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        model = self.find(model_id)
        if model is None:
            raise NotFoundError(f"There is no model {model_id!r}.")
        return model

    def path(self, model: ModelRow) -> Path:
        """The model's bundle."""
        return self._data / model.bundle

    def open(self, model: ModelRow) -> Bundle:
        """Load the model's bundle.

        Raises
        ------
        BundleError
            If its file is damaged or gone; the message begins with the model's name, as it stands on the screen.
        """
        from ecg_engine.bundle import load

        try:
            return load(self.path(model))
        except BundleError as error:
            raise BundleError(f"{model.name}: {error}") from error

    def make_current(self, model_id: str) -> ModelRow:
        """Let a model predict from now on; the one before becomes a former one."""
        model = self.get(model_id)
        table = schema.models
        with writing(self._engine) as connection:
            here = table.c.study_id == model.study_id
            connection.execute(update(table).where(here, table.c.status == CURRENT).values(status=FORMER))
            connection.execute(update(table).where(table.c.id == model_id).values(status=CURRENT))
        return self.get(model_id)

    def rename(self, model_id: str, name: str) -> ModelRow:
        """Give a model another name."""
        with writing(self._engine) as connection:
            values = {"name": _name(name, "name of a model")}
            connection.execute(update(schema.models).where(schema.models.c.id == model_id).values(**values))
        return self.get(model_id)


def add_model(
    connection: Connection,
    *,
    study_id: str,
    run_id: str,
    kind: str,
    bundle: str,
    metrics: Mapping[str, Any],
    comparison: Mapping[str, Any] | None = None,
    name: str = "",
) -> str:
    """Enter a model: the first of a study is its current one, later ones are candidates. Returns its id."""
    table = schema.models
    # The lock on the study keeps two trainings that end together from both being first.
    connection.execute(select(schema.studies.c.id).where(schema.studies.c.id == study_id).with_for_update())
    earlier = connection.execute(select(table.c.status).where(table.c.study_id == study_id)).scalars().all()
    row = {
        "id": new_id(),
        "study_id": study_id,
        "run_id": run_id,
        "name": name or f"Model {len(earlier) + 1}",
        "kind": kind,
        "bundle": bundle,
        "metrics": dict(metrics),
        "comparison": None if comparison is None else dict(comparison),
        "status": CANDIDATE if CURRENT in earlier else CURRENT,
        "created_at": now(),
    }
    connection.execute(table.insert(), row)
    return str(row["id"])


class Alerts:
    """The clusters of unknown beats, by run. A reader acknowledges one by a decision (``targets.alert_target``)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self, run_id: str) -> list[AlertRow]:
        """Clusters of one alerts run, largest first."""
        table = schema.alerts
        query = select(table).where(table.c.run_id == run_id).order_by(table.c.size.desc(), table.c.cluster_id)
        with reading(self._engine) as connection:
            return [AlertRow(**row._mapping) for row in connection.execute(query)]


def add_alerts(connection: Connection, study_id: str, run_id: str, clusters: Sequence[Mapping[str, Any]]) -> None:
    """Enter the clusters of an alerts run: cluster_id, size, size_ratio, alert, example_beats."""
    if not clusters:
        return
    made = now()
    rows = [
        {**cluster, "id": new_id(), "study_id": study_id, "run_id": run_id, "created_at": made} for cluster in clusters
    ]
    connection.execute(schema.alerts.insert(), rows)


def _model(row: Row[Any]) -> ModelRow:
    return ModelRow(**row._mapping)
