"""Finding the beat that a decision speaks of: by its strip's hash and the time of its R-peak, not by row number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_engine.labels import UNLABELLED
from ecg_engine.peak_edits import TOLERANCE_MS
from ecg_engine.preprocess import PEAK_EDITS_KEY, Run

__all__ = [
    "FILE_LABELS_KEY",
    "TOLERANCE_MS",
    "BeatIndex",
    "Places",
    "TakenIn",
    "beat_index",
    "group_payload",
    "members_payload",
]

_STRIP = np.int64(1) << 32  # one strip's times never reach the next strip's

GROUP_COLUMN = "group_id"
"""Column of ``beat_metadata.csv`` in runs that know groups of look-alike beats."""

FILE_LABELS_KEY = "file_labels"
"""In a run's summary: the file's labels of strips that went into preprocessing under another, decided label."""


class TakenIn(NamedTuple):
    """What a run made of the edited R-peaks of one strip.

    ``computed_ms`` are the R-peaks before the edits, ``base`` the place among them of each beat of the strip (-1 for
    one that only a reader has seen), ``placed_ms`` where each beat was put, to the ms.
    """

    computed_ms: tuple[int, ...]
    base: tuple[int, ...]
    placed_ms: tuple[int, ...]


@dataclass(frozen=True)
class Places:
    """Times under which beats are known, for finding the beat that an anchor speaks of.

    Attributes
    ----------
    keys : int64 (k,)
        Ascending; made by :meth:`key`.
    beats : int64 (k,)
        The beat of each.
    """

    keys: NDArray[np.int64]
    beats: NDArray[np.int64]

    @staticmethod
    def key(strips: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.int64]:
        """One number for a strip's place and a time in ms; those of one strip lie far from those of the next."""
        return np.asarray(strips * _STRIP + times)

    @classmethod
    def of(cls, strips: NDArray[np.int64], times: NDArray[np.int64], beats: NDArray[np.int64]) -> Places:
        """From places in any order."""
        keys = cls.key(strips, times)
        order = np.argsort(keys, kind="stable")
        return cls(keys[order], beats[order])

    def match(self, strips: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.int64]:
        """The beat of each anchor, -1 where there is none; see :meth:`BeatIndex.match`."""
        found = np.full(len(strips), -1, dtype=np.int64)
        if not len(self.keys) or not len(strips):
            return found
        keys = self.key(strips, times)
        right = np.searchsorted(self.keys, keys)
        left = np.clip(right - 1, 0, None)
        right = np.clip(right, None, len(self.keys) - 1)
        to_left, to_right = np.abs(keys - self.keys[left]), np.abs(self.keys[right] - keys)
        peak = np.where(to_left <= to_right, left, right)
        distance = np.minimum(to_left, to_right)
        near = np.flatnonzero((strips >= 0) & (distance <= TOLERANCE_MS))
        # Per peak, the nearest anchor first; of two equally near ones, the earlier.
        near = near[np.lexsort((keys[near], distance[near], peak[near]))]
        peaks, first, group = np.unique(peak[near], return_index=True, return_inverse=True)
        winner = keys[near[first]][group] if len(peaks) else keys[near]
        same_beat = np.abs(keys[near] - winner) <= TOLERANCE_MS
        found[near[same_beat]] = self.beats[peak[near[same_beat]]]
        return found


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
    groups : int32 (n,)
        Group of look-alike beats of the patient; -1 for a beat flagged as noise, and throughout where the run knows no
        groups.
    taken_in : mapping of int to TakenIn
        By place of the strip: the edits of R-peaks that went into the run.
    refused : mapping of (int, int) to str
        (place of the strip, time in ms) to why an R-peak that a reader put there could not become a beat.
    strip_labels : int32 (number of strips,)
        The file's label of each strip, those without beats included; by their beats if it is not given.
    """

    run_id: str | None
    hashes: dict[str, int]
    strip_of_beat: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    beat_ids: NDArray[np.int64]
    file_labels: NDArray[np.int32]
    flags: NDArray[np.int32]
    prototypes: NDArray[np.int32]
    taken_in: Mapping[int, TakenIn] = field(default_factory=dict)
    refused: Mapping[tuple[int, int], str] = field(default_factory=dict)
    strip_labels: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    groups: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    places_of_rows: Places = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows = np.arange(len(self.time_ms), dtype=np.int64)
        object.__setattr__(self, "places_of_rows", Places.of(self.strip_of_beat, self.time_ms, rows))
        if len(self.groups) != len(rows):
            object.__setattr__(self, "groups", np.full(len(rows), -1, dtype=np.int32))
        if len(self.strip_labels) != len(self.hashes):
            labels = np.full(len(self.hashes), UNLABELLED, dtype=np.int32)
            known = self.strip_of_beat >= 0
            labels[self.strip_of_beat[known]] = self.file_labels[known]
            object.__setattr__(self, "strip_labels", labels)

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
        return self._known.match(strips, times)

    @cached_property
    def _known(self) -> Places:
        """A beat that went into the run moved is found where it was first, too."""
        moved = np.flatnonzero(self.first_ms != self.time_ms)
        if not len(moved):
            return self.places_of_rows
        rows = np.concatenate([np.arange(len(self), dtype=np.int64), moved])
        return Places.of(self.strip_of_beat[rows], np.concatenate([self.time_ms, self.first_ms[moved]]), rows)

    @cached_property
    def names(self) -> list[str]:
        """Strip hash by place."""
        return list(self.hashes)

    @cached_property
    def first_ms(self) -> NDArray[np.int64]:
        """Where each beat was first seen, int64 (n,): as computed, for one that was moved. What decisions anchor to."""
        if not self.taken_in:
            return self.time_ms
        first = self.time_ms.copy()
        for place, taken in self.taken_in.items():
            rows = self.rows_of_strip(place)
            if len(rows) == len(taken.base):
                known = zip(taken.base, taken.placed_ms, strict=True)
                first[rows] = [taken.computed_ms[base] if base >= 0 else placed for base, placed in known]
        return first

    def rows_of_strip(self, place: int) -> NDArray[np.int64]:
        """Rows of a strip's beats, in order of time."""
        keys = self.places_of_rows.keys
        low, high = np.searchsorted(keys, [place * _STRIP, (place + 1) * _STRIP])
        return self.places_of_rows.beats[low:high]

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
    by_name = {name: place for place, name in enumerate(hashes)}
    by_strip = np.array([] if run.strips is None or not n else run.strips.label, dtype=np.int32)
    changed = np.zeros(len(hashes), dtype=bool)
    for name, label in (run.summary.get(FILE_LABELS_KEY) or {}).items():
        if name in by_name:
            by_strip[by_name[name]], changed[by_name[name]] = int(label), True
    if changed.any():
        labels = np.where(changed[places], by_strip[places], labels).astype(np.int32)
    edits = run.summary.get(PEAK_EDITS_KEY) or {}
    return BeatIndex(
        run_id=run_id,
        hashes=by_name,
        strip_of_beat=places,
        time_ms=np.rint(times * 1000).astype(np.int64),
        beat_ids=table["beat_global_id"].to_numpy(dtype=np.int64),
        file_labels=labels,
        flags=np.array(run.noise_flags, dtype=np.int32),
        prototypes=np.array(run.cluster_ids, dtype=np.int32),
        taken_in={
            by_name[name]: TakenIn(*(tuple(made[part]) for part in TakenIn._fields))
            for name, made in (edits.get("strips") or {}).items()
            if name in by_name
        },
        refused={
            (by_name[one["strip_hash"]], int(one["time_ms"])): str(one["reason"])
            for one in edits.get("refused") or ()
            if one["strip_hash"] in by_name
        },
        strip_labels=by_strip,
        groups=_groups(run),
    )


def _groups(run: Run) -> NDArray[np.int32]:
    """A beat flagged as noise is in no group, as it is in no cluster: nobody looks at it with the others."""
    if GROUP_COLUMN not in run.metadata:
        return np.full(len(run.metadata), -1, dtype=np.int32)
    groups = run.metadata[GROUP_COLUMN].to_numpy(dtype=np.int32)
    return np.where(np.asarray(run.noise_flags) == 1, -1, groups).astype(np.int32)


def members_payload(index: BeatIndex, prototype_id: int) -> dict[str, Any]:
    """Payload for a decision on a prototype: the anchors of its members, by which it survives preprocessing again."""
    return {"members": members_of(index, np.flatnonzero(index.prototypes == prototype_id))}


def group_payload(index: BeatIndex, group_id: int, shown: str) -> dict[str, Any]:
    """Payload for a decision on a group: the anchors of its members, and the target of the beat that the reader saw."""
    return {"members": members_of(index, np.flatnonzero(index.groups == group_id)), "shown": shown}


def members_of(
    index: BeatIndex, rows: NDArray[np.int64], anchors: NDArray[np.int64] | None = None
) -> dict[str, list[int]]:
    """Anchors of some beats: strip hash to times in ms, by which another run of the same file finds them again.

    ``anchors`` of all beats of the run may be those that readers' edits of R-peaks have led to.
    """
    names, times = index.names, index.first_ms if anchors is None else anchors
    members: dict[str, list[int]] = {}
    for place, time in zip(index.strip_of_beat[rows].tolist(), times[rows].tolist(), strict=True):
        if place >= 0:
            members.setdefault(names[place], []).append(time)
    return members
