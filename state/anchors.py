"""Finding the beat that a decision speaks of: by its strip's hash and the time of its R-peak, not by row number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_engine.preprocess import Run

TOLERANCE_MS = 75
"""How far the R-peak may have moved between two runs."""

_STRIP = np.int64(1) << 32  # one strip's times never reach the next strip's

FILE_LABELS_KEY = "file_labels"
"""In a run's summary: the file's labels of strips that went into preprocessing under another, decided label."""


@dataclass(frozen=True)
class BeatIndex:
    """What decisions are matched with: the beats of one preprocessing run, without their arrays.

    Attributes
    ----------
    run_id : str or None
        The store's id of the run; decisions on prototypes of this run need no matching.
    hashes : dict of str to int
        Strip hash to its place.
    strip_of_beat : int64 (n,)
        Place of each beat's strip, -1 where the run knows no strips (folders of the old scripts).
    time_ms : int64 (n,)
        R-peak from the start of the strip.
    beat_ids : int64 (n,)
        ``beat_global_id``.
    file_labels, flags, prototypes : int32 (n,)
        The file's label, the run's noise flag and its global cluster (-1: none) of each beat.
    """

    run_id: str | None
    hashes: dict[str, int]
    strip_of_beat: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    beat_ids: NDArray[np.int64]
    file_labels: NDArray[np.int32]
    flags: NDArray[np.int32]
    prototypes: NDArray[np.int32]
    _order: NDArray[np.int64] = field(init=False, repr=False)
    _keys: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        keys = self.strip_of_beat * _STRIP + self.time_ms
        order = np.argsort(keys, kind="stable")
        object.__setattr__(self, "_order", order)
        object.__setattr__(self, "_keys", keys[order])

    def __len__(self) -> int:
        return len(self.time_ms)

    def match(self, strips: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Row of the beat for each anchor, -1 where there is none.

        An anchor belongs to the nearest R-peak of its strip within 75 ms. A peak serves one heartbeat: if anchors of
        two beats (more than 75 ms apart) are nearest to the same peak, it goes to the nearer one. Anchors within
        75 ms of each other speak of the same beat, seen by different runs.

        Parameters
        ----------
        strips : int64 (k,)
            Places from ``hashes``, -1 for an unknown strip.
        times : int64 (k,)
            ms from the start of the strip.
        """
        rows = np.full(len(strips), -1, dtype=np.int64)
        if not len(self._keys) or not len(strips):
            return rows
        keys = strips * _STRIP + times
        right = np.searchsorted(self._keys, keys)
        left = np.clip(right - 1, 0, None)
        right = np.clip(right, None, len(self._keys) - 1)
        to_left, to_right = np.abs(keys - self._keys[left]), np.abs(self._keys[right] - keys)
        peak = np.where(to_left <= to_right, left, right)
        distance = np.minimum(to_left, to_right)
        near = np.flatnonzero((strips >= 0) & (distance <= TOLERANCE_MS))
        # Per peak, the nearest anchor first; of two equally near ones, the earlier.
        near = near[np.lexsort((keys[near], distance[near], peak[near]))]
        peaks, first, group = np.unique(peak[near], return_index=True, return_inverse=True)
        winner = keys[near[first]][group] if len(peaks) else keys[near]
        same_beat = np.abs(keys[near] - winner) <= TOLERANCE_MS
        rows[near[same_beat]] = self._order[peak[near[same_beat]]]
        return rows

    def places(self, hashes: Iterable[str]) -> NDArray[np.int64]:
        """Place of each strip hash, -1 for one that is not in the run."""
        return np.fromiter((self.hashes.get(name, -1) for name in hashes), dtype=np.int64)


def beat_index(run: Run, run_id: str | None = None) -> BeatIndex:
    """What decisions are matched with, taken from a preprocessing run. Worth keeping: 45,000 beats take some 20 ms.

    Parameters
    ----------
    run : Run
    run_id : str, optional
        The store's id of this run.
    """
    table, n = run.metadata, len(run.metadata)
    hashes: list[str] = []
    places = np.full(n, -1, dtype=np.int64)
    if run.strips is not None and n:
        rows = np.asarray(run.strips.source_row, dtype=np.int64)
        order = np.argsort(rows, kind="stable")
        found = np.searchsorted(rows, table["source_row"].to_numpy(), sorter=order)
        places = order[np.clip(found, None, len(rows) - 1)]
        hashes = [str(name) for name in run.strips.strip_hash]
    times = table["r_time_sec"].to_numpy(dtype=float) if "r_time_sec" in table else np.zeros(n)
    labels = np.array(run.labels, dtype=np.int32)
    kept = run.summary.get(FILE_LABELS_KEY) or {}
    if kept:
        by_strip = np.full(len(hashes), 0, dtype=np.int32)
        changed = np.zeros(len(hashes), dtype=bool)
        for place, name in enumerate(hashes):
            if name in kept:
                by_strip[place], changed[place] = int(kept[name]), True
        labels = np.where(changed[places], by_strip[places], labels).astype(np.int32)
    return BeatIndex(
        run_id=run_id,
        hashes={name: place for place, name in enumerate(hashes)},
        strip_of_beat=places,
        time_ms=np.rint(times * 1000).astype(np.int64),
        beat_ids=table["beat_global_id"].to_numpy(dtype=np.int64),
        file_labels=labels,
        flags=np.array(run.noise_flags, dtype=np.int32),
        prototypes=np.array(run.cluster_ids, dtype=np.int32),
    )


def members_payload(index: BeatIndex, prototype_id: int) -> dict[str, Any]:
    """Payload for a decision on a prototype: the anchors of its members, by which it survives preprocessing again."""
    rows = np.flatnonzero(index.prototypes == prototype_id)
    names = list(index.hashes)
    members: dict[str, list[int]] = {}
    for place, time in zip(index.strip_of_beat[rows].tolist(), index.time_ms[rows].tolist(), strict=True):
        if place >= 0:
            members.setdefault(names[place], []).append(time)
    return {"members": members}
