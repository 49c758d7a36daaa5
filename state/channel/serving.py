"""What the channel answers: strips, items of a queue, shapes and leases."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from ecg_engine.config import PredictConfig
from ecg_engine.labels import UNKNOWN, label_id
from ecg_engine.prediction import BEATS_FILE, STRIPS_FILE
from state import kept
from state.channel.frames import FrameWriter
from state.channel.leases import Holder, Leases
from state.channel.refusals import Refusal, unclear
from state.channel.strip_frames import add_shapes, add_strips, beats_of, the_strips
from state.channel.tokens import Pass
from state.queue_candidates import Candidates, Prediction, find_candidates
from state.queue_groups import group_facts
from state.queue_items import QueueCounts, queue_counts, queue_items
from state.runs import PREDICT, PREPROCESS, RunRow
from state.store import Store
from state.targets import BEAT, GROUP, STRIP, beat_target, parse_target

MAX_FULL, MAX_SMALL, MAX_ITEMS, MAX_HELD = 200, 2000, 200, 2000
_KEY = re.compile(r"beat:[0-9a-f]{8,64}:\d{1,9}|strip:[0-9a-f]{8,64}|group:[0-9A-Za-z_-]{1,40}:\d{1,9}")
_TAB = re.compile(r"[0-9A-Za-z_.-]{1,64}")


class _Asked(NamedTuple):
    """A queue as a tab asks for it."""

    run: RunRow
    prediction: RunRow | None
    order: str
    reasons: tuple[str, ...]
    labels: tuple[int, ...]
    patients: tuple[str, ...]


class _Queue(NamedTuple):
    items: pd.DataFrame
    counts: QueueCounts


class Serving:
    """Answers the questions of one store's readers. Safe to share between threads.

    Parameters
    ----------
    store : Store
    leases : Leases, optional
        Tests give one with another clock.
    """

    def __init__(self, store: Store, *, leases: Leases | None = None) -> None:
        self._store = store
        self._leases = leases or Leases(store.engine)
        self._queues: kept.Kept[_Queue] = kept.Kept(12)
        self._candidates: kept.Kept[Candidates] = kept.Kept(4)

    def strips(self, who: Pass, message: Mapping[str, Any]) -> bytes:
        """``POST channel/strips``: strips by their place in the run.

        Raises
        ------
        Refusal
            400 on places that the run does not have, 403 if the run is another study's.
        """
        row = self._run(who, message.get("run"), PREPROCESS)
        small = message.get("detail", "full") == "small"
        most = MAX_SMALL if small else MAX_FULL
        places = _list(message, "strips", int, most)
        run = kept.run_of(self._store, row)
        count = len(the_strips(run))
        for place in places:
            if not 0 <= place < count:
                raise unclear(f"The run has no strip at place {place}; it has {count:,}, from 0 on.")
        version = self._store.decisions.version(who.study)
        effective = kept.effective_of(self._store, row, version)
        frame = FrameWriter()
        found = add_strips(
            frame, run, kept.index_of(self._store, row), effective, places, units_per_mv=self._gain(who), small=small
        )
        return frame.frame({"version": version, "strips": found})

    def shapes(self, who: Pass, message: Mapping[str, Any]) -> bytes:
        """``POST channel/shapes``: class templates and prototypes of a run."""
        row = self._run(who, message.get("run"), PREPROCESS)
        version = self._store.decisions.version(who.study)
        run, index = kept.run_of(self._store, row), kept.index_of(self._store, row)
        frame = FrameWriter()
        found = add_shapes(frame, run, index, kept.effective_of(self._store, row, version))
        return frame.frame({"version": version, "shapes": found})

    def items(self, who: Pass, message: Mapping[str, Any]) -> bytes:
        """``POST channel/items``: the next items of a queue that no other tab has, with the strips that they lie on."""
        asked = self._asked(who, message.get("queue"))
        holder = _holder(who, message)
        count = message.get("count", 100)
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MAX_ITEMS:
            raise unclear(f"count is {str(count)[:40]!r}; it must be a whole number from 0 to {MAX_ITEMS}.")
        have, known = _keys(message), set(_list(message, "strips", str, MAX_HELD))
        version = self._store.decisions.version(who.study)
        queue = self._queue(who, asked, version)
        keys = queue.items["key"].tolist()
        given, held = self._leases.take(who.study, holder, keys, count, have=have)
        chosen = set(given)
        rows = queue.items[queue.items["key"].isin(chosen)]
        frame = FrameWriter()
        items, strips = self._laid_out(frame, who, asked.run, version, rows, queue.counts.settled, known)
        counts = queue.counts
        return frame.frame(
            {
                "version": version,
                "total": counts.total,
                "left": counts.left,
                "held": held,
                "items": items,
                "strips": strips,
            }
        )

    def leases(self, who: Pass, message: Mapping[str, Any]) -> list[str]:
        """``POST channel/leases``: renew what a tab has, and let go of all its others; what is the tab's own now."""
        return self._leases.renew(who.study, _holder(who, message), _keys(message))

    def _laid_out(
        self,
        frame: FrameWriter,
        who: Pass,
        row: RunRow,
        version: int,
        rows: pd.DataFrame,
        settled: int,
        known: Collection[str],
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        run, index = kept.run_of(self._store, row), kept.index_of(self._store, row)
        effective = kept.effective_of(self._store, row, version)
        hashes = index.names
        blind = set(rows.loc[rows["blind"].astype(bool), "place"].tolist())
        # A strip that the tab knows may show what a blind item must not: that one is sent again.
        places = [place for place in rows["place"].tolist() if place in blind or hashes[place] not in known]
        strips = add_strips(
            frame, run, index, effective, places, units_per_mv=self._gain(who), reader=who.reader, blind=blind
        )
        shown = {place: strips[hashes[place]]["beats"] for place in places}
        shown |= beats_of(run, index, effective, sorted(set(rows["place"].tolist()) - set(places)))
        items = []
        records: list[dict[str, Any]] = [
            {str(name): value for name, value in one.items()} for one in rows.to_dict("records")
        ]
        for item in records:
            id = int(index.beat_ids[item["row"]]) if item["row"] >= 0 else None
            beats = shown.get(item["place"], [])
            at = -1 if item["kind"] == STRIP else _beat_at(beats, id, item["key"])
            items.append(
                {
                    "key": item["key"],
                    "kind": item["kind"],
                    # Among all, settled ones included: what comes later stands behind what the tab has already.
                    "position": int(item["position"]) + settled,
                    "strip": hashes[item["place"]],
                    "beat": at,
                    "reasons": list(item["reasons"]),
                    "why": list(item["why"]),
                    "suggestion": None if item["suggestion"] == UNKNOWN else int(item["suggestion"]),
                    "confidence": _finite(item["confidence"]),
                    "noise": _finite(item["noise"]),
                    "similarity": _finite(item["similarity"]),
                    "blind": bool(item["blind"]),
                    "findings": item["findings"],
                }
            )
            if item["kind"] == GROUP:
                seen = beat_target(hashes[item["place"]], beats[at]["anchor"]) if at >= 0 else ""
                facts, waves, step = group_facts(run, index, effective, item["group"], seen)
                items[-1] |= {**facts, "waves": {**frame.add(waves.ravel()), "each": waves.shape[1], "step": step}}
                if item["blind"]:
                    items[-1]["note"] = ""
        return items, strips

    def _queue(self, who: Pass, asked: _Asked, version: int) -> _Queue:
        store, run_row = self._store, asked.run
        name = (who.reader, version, run_row.id, str(run_row.finished_at), asked.prediction and asked.prediction.id)

        def make() -> _Queue:
            run, index = kept.run_of(store, run_row), kept.index_of(store, run_row)
            effective = kept.effective_of(store, run_row, version)
            prediction, config = self._prediction(asked.prediction)
            candidates = self._candidates.get(name[2:], lambda: find_candidates(run, index, prediction, config))
            given: tuple[Any, ...] = (run, index, effective, effective.decisions, prediction, config, who.reader)
            filters: dict[str, Any] = {
                "reasons": asked.reasons,
                "labels": asked.labels,
                "patients": asked.patients,
                "candidates": candidates,
            }
            return _Queue(queue_items(*given, order=asked.order, **filters), queue_counts(*given, **filters))

        return self._queues.get((*name, *asked[2:]), make)

    def _prediction(self, row: RunRow | None) -> tuple[Prediction | None, PredictConfig]:
        if row is None:
            return None, PredictConfig()
        folder = self._store.runs.path(row)
        beats, strips = kept.table_of(folder / BEATS_FILE), kept.table_of(folder / STRIPS_FILE)
        limits = {name: row.config[name] for name in PredictConfig().to_dict() if name in row.config}
        if beats is None or strips is None:
            raise unclear("The prediction's tables are gone from its folder; predict again.")
        return (beats, strips), PredictConfig.from_dict(limits)

    def _asked(self, who: Pass, queue: Any) -> _Asked:
        if not isinstance(queue, dict):
            raise unclear('The message has no object "queue".')
        run = self._run(who, queue.get("run"), PREPROCESS)
        prediction = None
        if queue.get("prediction") is not None:
            prediction = self._run(who, queue["prediction"], PREDICT)
            if run.id not in prediction.parents:
                raise unclear("The prediction is of another run.")
        order = queue.get("order", "uncertain")
        if not isinstance(order, str):
            raise unclear("The queue's order must be a name.")
        reasons = sorted(_list(queue, "reasons", str, 100))
        labels = sorted(
            one if isinstance(one, int) else label_id(one) for one in _list(queue, "labels", (int, str), 100)
        )
        patients = sorted(str(one) for one in _list(queue, "patients", (int, str)))
        return _Asked(run, prediction, order, tuple(reasons), tuple(labels), tuple(patients))

    def _run(self, who: Pass, run_id: Any, kind: str) -> RunRow:
        row = self._store.runs.find(run_id) if isinstance(run_id, str) else None
        if row is None or row.kind != kind or not row.done:
            raise unclear(f"There is no finished {kind} run {str(run_id)[:60]!r}.")
        if row.study_id != who.study:
            raise Refusal(403, "study", "The run belongs to another study than the page's pass.")
        return row

    def _gain(self, who: Pass) -> float:
        return self._store.studies.get(who.study).units_per_mv


def _beat_at(beats: Sequence[Mapping[str, Any]], id: int | None, key: str) -> int:
    """Place of an item's beat among those of its strip; -1 if it is not there."""
    target = parse_target(key)
    same = (at for at, beat in enumerate(beats) if beat["id"] == id if id is not None)
    return next(
        same, next((at for at, beat in enumerate(beats) if target.kind == BEAT and beat["anchor"] == target.number), -1)
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _holder(who: Pass, message: Mapping[str, Any]) -> Holder:
    tab = message.get("tab")
    if not isinstance(tab, str) or not _TAB.fullmatch(tab):
        raise unclear("The message needs the id of its tab: 1 to 64 letters, digits, _, . or -.")
    return Holder(who.reader, tab)


def _keys(message: Mapping[str, Any]) -> list[str]:
    """The items that a tab has in hand."""
    keys = _list(message, "have", str, MAX_HELD)
    for key in keys:
        if not _KEY.fullmatch(key):
            raise unclear(f"have names {key[:80]!r}, which is no item of a queue.")
    return keys


def _list(message: Mapping[str, Any], name: str, kind: type | tuple[type, ...], most: int = 10_000) -> list[Any]:
    given = message.get(name)
    given = [] if given is None else given
    if not isinstance(given, list) or not all(isinstance(one, kind) and not isinstance(one, bool) for one in given):
        raise unclear(f"{name} must be a list of {'numbers' if kind is int else 'names'}.")
    if len(given) > most:
        raise unclear(f"{name} has {len(given):,} entries; at most {most:,} are taken at once.")
    return given
