"""What a task is given and what it hands back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecg_engine.errors import Cancelled

if TYPE_CHECKING:
    from state.jobs import Job
    from state.store import Store


@dataclass(frozen=True)
class NewModel:
    """A model that a task trained; ``bundle`` is its file, relative to the run's folder."""

    kind: str
    bundle: str
    metrics: Mapping[str, Any]
    comparison: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Outcome:
    """What a task made, besides the files in its folder."""

    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    parents: Sequence[str] = ()
    files: Sequence[str] = ()
    model: NewModel | None = None
    alerts: Sequence[Mapping[str, Any]] = ()


@dataclass
class Work:
    """A job under way, as its task sees it.

    Attributes
    ----------
    store : Store
    job : Job
    folder : Path
        Where the run's files are written; it becomes the run's folder once the work is done.
    resume : bool
        Whether an earlier attempt was interrupted and left its files in ``folder``.
    decisions_until : datetime
        Decisions stored later are not looked at, so that an attempt that is resumed sees the same ones.
    """

    store: Store
    job: Job
    folder: Path
    resume: bool
    decisions_until: datetime
    stop: threading.Event = field(default_factory=threading.Event)
    message: str = ""
    share: float = 0.0
    detail: dict[str, Any] = field(default_factory=dict)
    told: int = 0

    @property
    def params(self) -> Mapping[str, Any]:
        """What the task was asked for."""
        return self.job.params

    def progress(self, message: str, share: float) -> None:
        """Say how far the work is. Cheap: a thread beside writes the latest to the store, four times a second.

        Raises
        ------
        Cancelled
            When the job is to stop.
        """
        self.message, self.share = message, min(max(float(share), 0.0), 1.0)
        self.told += 1
        if self.stop.is_set():
            raise Cancelled

    def tell(self, **detail: Any) -> None:
        """Tell more than progress: values by name, such as ``history``; each replaces what was told under its name."""
        self.detail = {**self.detail, **detail}
        self.told += 1


Task = Callable[[Work], Outcome]
