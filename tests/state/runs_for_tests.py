"""Preprocessing runs made by hand: as many beats as wanted, where wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from ecg_engine.labels import UNLABELLED
from state.anchors import BeatIndex
from state.decisions import Decision, decide

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def strip_hash(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def index_of(
    times: Sequence[Sequence[int]],
    *,
    labels: Sequence[int] | None = None,
    flags: Sequence[int] | None = None,
    prototypes: Sequence[int] | None = None,
    groups: Sequence[int] | None = None,
    run_id: str | None = "run1",
    first: int = 0,
) -> BeatIndex:
    """One strip per list of R-peak times (ms); labels per strip, flags, prototypes and groups per beat."""
    counts = [len(strip) for strip in times]
    n = sum(counts)
    per_strip = np.array([UNLABELLED] * len(times) if labels is None else labels, dtype=np.int32)
    return BeatIndex(
        run_id=run_id,
        hashes={strip_hash(first + number): number for number in range(len(times))},
        strip_of_beat=np.repeat(np.arange(len(times)), counts).astype(np.int64),
        time_ms=np.array([time for strip in times for time in strip], dtype=np.int64),
        beat_ids=np.arange(n, dtype=np.int64),
        file_labels=np.repeat(per_strip, counts).astype(np.int32),
        flags=np.array([0] * n if flags is None else flags, dtype=np.int32),
        prototypes=np.array([-1] * n if prototypes is None else prototypes, dtype=np.int32),
        groups=np.array([-1] * n if groups is None else groups, dtype=np.int32),
    )


class Reading:
    """Decisions one second apart, for a study that needs no store."""

    def __init__(self, study_id: str = "study", reader: str = "Ada") -> None:
        self.study_id, self.reader, self.count = study_id, reader, 0

    def __call__(self, target: str, field: str, new: Any, **more: Any) -> Decision:
        self.count += 1
        at = START + timedelta(seconds=self.count)
        return decide(self.study_id, self.reader, target, field, new, at=at, **more)
