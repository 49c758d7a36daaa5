"""What takes long to read or to work out, kept in this process: runs, and what holds for their beats.

Pages and the channel ask for the same runs; each is read once. Everything here is to be treated as read-only.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, Generic, TypeVar

import pandas as pd

from ecg_engine.artifacts import load_run
from ecg_engine.preprocess import Run
from state.anchors import BeatIndex, beat_index
from state.deciding import Decision, active
from state.effective import Effective, effective_labels
from state.runs import RunRow
from state.store import Store

T = TypeVar("T")


class Kept(Generic[T]):
    """The newest few of things that are made by name; threads that ask for the same one wait for it to be made once."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._places: OrderedDict[Hashable, _Place[T]] = OrderedDict()

    def get(self, name: Hashable, make: Callable[[], T]) -> T:
        """The thing of this name, made if it is not kept; what fails to be made is not kept, and raises."""
        with self._lock:
            place = self._places.setdefault(name, _Place())
            self._places.move_to_end(name)
            while len(self._places) > self._size:
                self._places.popitem(last=False)
        with place.lock:
            if not place.made:
                place.thing, place.made = make(), True
            return place.thing


class _Place(Generic[T]):
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.made = False
        self.thing: Any = None


_runs: Kept[Run] = Kept(6)
_indexes: Kept[BeatIndex] = Kept(6)
_active: Kept[list[Decision]] = Kept(6)
_listings: Kept[_Listing] = Kept(4)
_effective: Kept[Effective] = Kept(6)
_tables: Kept[pd.DataFrame] = Kept(24)


def _name(store: Store, run: RunRow) -> tuple[str, str, str]:
    return (run.id, str(store.runs.path(run)), str(run.finished_at))


def run_of(store: Store, run: RunRow) -> Run:
    """The arrays and tables of a preprocessing run, memory-mapped and kept open."""
    return _runs.get(_name(store, run), lambda: load_run(store.runs.path(run)))


def index_of(store: Store, run: RunRow) -> BeatIndex:
    """What decisions on a run's beats are matched with."""
    return _indexes.get(_name(store, run), lambda: beat_index(run_of(store, run), run.id))


def active_of(store: Store, study_id: str, version: int) -> list[Decision]:
    """The decisions of a study that hold, oldest first; ``version`` is ``Decisions.version``."""
    name = (str(store.folder), str(store.engine.url), study_id, version)
    return _active.get(name, lambda: active(listing_of(store, study_id, version)))


def listing_of(store: Store, study_id: str, version: int) -> list[Decision]:
    """All decisions of a study, undos and undone ones included, in the order of storing."""
    listing = _listings.get((str(store.folder), str(store.engine.url), study_id), _Listing)
    return listing.until(store, study_id, version)


class _Listing:
    """All decisions of a study: only new ones are read, since a study of a few days has tens of thousands."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._decisions: list[Decision] = []
        self._version = 0

    def until(self, store: Store, study_id: str, version: int) -> list[Decision]:
        """The decisions up to a version, or newer ones."""
        with self._lock:
            if version < self._version and store.decisions.version(study_id) < self._version:
                self._decisions, self._version = [], 0  # an older copy of the database was put in place
            if version > self._version:
                newer, self._version = store.decisions.newer(study_id, self._version)
                self._decisions = [*self._decisions, *newer]
            return self._decisions


def effective_of(store: Store, run: RunRow, version: int) -> Effective:
    """What holds for the beats of a run, as the decisions up to a version (or newer ones) have it."""

    def make() -> Effective:
        return effective_labels(index_of(store, run), active_of(store, run.study_id, version))

    return _effective.get((*_name(store, run), str(store.engine.url), version), make)


def table_of(path: Path) -> pd.DataFrame | None:
    """A table that a run wrote (say ``beat_predictions_v2.csv``); None if there is no such file."""
    try:
        changed = path.stat().st_mtime
    except FileNotFoundError:
        return None
    return _tables.get((str(path), changed), lambda: pd.read_csv(path, low_memory=False))
