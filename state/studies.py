"""Studies and readers: what belongs together, and who decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row, select, update
from sqlalchemy.dialects import postgresql, sqlite

from state import schema
from state.db import reading, writing
from state.errors import NotFoundError, StoreError
from state.plain import new_id, now
from state.targets import clean_text

DEFAULT_SETTINGS: Mapping[str, Any] = {"units_per_mv": 200.0, "units_assumed": True}
MAX_NAME = 200


@dataclass(frozen=True)
class Study:
    """A collection of files, runs, decisions and models.

    ``settings`` holds ``units_per_mv``, ``units_assumed`` (True until a person sets the gain) and what pages keep.
    """

    id: str
    name: str
    settings: Mapping[str, Any]
    created_at: datetime
    archived_at: datetime | None = None
    key: str | None = None

    @property
    def archived(self) -> bool:
        """Put away: no longer listed, nothing of it deleted."""
        return self.archived_at is not None

    @property
    def units_per_mv(self) -> float:
        """Gain: units of the file in one millivolt."""
        return float(self.settings["units_per_mv"])

    @property
    def units_assumed(self) -> bool:
        """Whether the gain is only assumed; screens must say so."""
        return bool(self.settings["units_assumed"])


@dataclass(frozen=True)
class Reader:
    """Who decides. The name is the identity and never changes; ``settings`` is what she has set to her liking."""

    name: str
    created_at: datetime
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)


def _name(text: str, what: str) -> str:
    name = " ".join(clean_text(text, what).split())
    if not name:
        raise StoreError(f"The {what} is empty.")
    if len(name) > MAX_NAME:
        raise StoreError(f"The {what} has {len(name)} characters; at most {MAX_NAME} are kept.")
    return name


class Studies:
    """The studies in the store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(self, name: str, settings: Mapping[str, Any] | None = None) -> Study:
        """Make a study."""
        row = self._row(name, settings)
        with writing(self._engine) as connection:
            connection.execute(schema.studies.insert(), row)
        return self.get(row["id"])

    def ensure(self, key: str, name: str, settings: Mapping[str, Any] | None = None) -> tuple[Study, bool]:
        """The study that the app makes itself under this key, and whether it was made just now; once per store."""
        dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        row = {**self._row(name, settings), "key": key}
        insert = dialect.insert(schema.studies).on_conflict_do_nothing(index_elements=["key"])
        with writing(self._engine) as connection:
            made = connection.execute(insert.returning(schema.studies.c.id), row).first() is not None
        with reading(self._engine) as connection:
            return _study(connection.execute(select(schema.studies).where(schema.studies.c.key == key)).one()), made

    def _row(self, name: str, settings: Mapping[str, Any] | None) -> dict[str, Any]:
        return {
            "id": new_id(),
            "name": _name(name, "name of a study"),
            "settings": {**DEFAULT_SETTINGS, **(settings or {})},
            "created_at": now(),
        }

    def all(self, *, archived: bool = False) -> list[Study]:
        """Studies by the time they were made; archived ones only when asked for."""
        query = select(schema.studies).order_by(schema.studies.c.created_at, schema.studies.c.id)
        if not archived:
            query = query.where(schema.studies.c.archived_at.is_(None))
        with reading(self._engine) as connection:
            return [_study(row) for row in connection.execute(query)]

    def find(self, study_id: str | None) -> Study | None:
        """A study by id (say, from the page's address), or None."""
        with reading(self._engine) as connection:
            row = connection.execute(select(schema.studies).where(schema.studies.c.id == study_id)).first()
        return _study(row) if row else None

    def get(self, study_id: str) -> Study:
        """A study by id.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        study = self.find(study_id)
        if study is None:
            raise NotFoundError(f"There is no study {study_id!r}.")
        return study

    def rename(self, study_id: str, name: str) -> Study:
        """Give a study another name."""
        return self._update(study_id, name=_name(name, "name of a study"))

    def set_units(self, study_id: str, units_per_mv: float) -> Study:
        """Set the gain; from now on it is no longer "assumed"."""
        if not 0 < units_per_mv < float("inf"):
            raise StoreError(f"units_per_mv is {units_per_mv!r}; it must be a number above 0.")
        return self.set(study_id, units_per_mv=float(units_per_mv), units_assumed=False)

    def set(self, study_id: str, **settings: Any) -> Study:
        """Change some settings and keep the others."""
        table = schema.studies
        with writing(self._engine) as connection:
            query = select(table.c.settings).where(table.c.id == study_id).with_for_update()
            kept = connection.execute(query).scalar()
            if kept is None:
                raise NotFoundError(f"There is no study {study_id!r}.")
            connection.execute(update(table).where(table.c.id == study_id).values(settings={**kept, **settings}))
        return self.get(study_id)

    def archive(self, study_id: str) -> Study:
        """Put a study away; nothing of it is deleted."""
        return self._update(study_id, archived_at=now())

    def restore(self, study_id: str) -> Study:
        """Take an archived study out again."""
        return self._update(study_id, archived_at=None)

    def _update(self, study_id: str, **values: Any) -> Study:
        with writing(self._engine) as connection:
            connection.execute(update(schema.studies).where(schema.studies.c.id == study_id).values(**values))
        return self.get(study_id)


class Readers:
    """Who has read in this store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._insert = (postgresql if engine.dialect.name == "postgresql" else sqlite).insert

    def add(self, name: str) -> Reader:
        """The reader of this name, made if new."""
        name = _name(name, "reader's name")
        table = schema.readers
        with writing(self._engine) as connection:
            connection.execute(self._insert(table).on_conflict_do_nothing(), {"name": name, "created_at": now()})
            row = connection.execute(select(table).where(table.c.name == name)).one()
        return Reader(**row._mapping)

    def all(self) -> list[Reader]:
        """Readers by name."""
        with reading(self._engine) as connection:
            return [Reader(**row._mapping) for row in connection.execute(select(schema.readers).order_by("name"))]

    def settings(self, name: str) -> Mapping[str, Any]:
        """What a reader has set to her liking; empty for a reader who has set nothing or is not known yet."""
        query = select(schema.readers.c.settings).where(schema.readers.c.name == name)
        with reading(self._engine) as connection:
            return dict(connection.execute(query).scalar() or {})

    def set(self, name: str, **settings: Any) -> Reader:
        """Change some settings of a reader and keep the others; a reader who is new is made."""
        name, table = self.add(name).name, schema.readers
        with writing(self._engine) as connection:
            query = select(table.c.settings).where(table.c.name == name).with_for_update()
            kept = connection.execute(query).scalar() or {}
            connection.execute(update(table).where(table.c.name == name).values(settings={**kept, **settings}))
            row = connection.execute(select(table).where(table.c.name == name)).one()
        return Reader(**row._mapping)


def _study(row: Row[Any]) -> Study:
    return Study(**row._mapping)
