"""Decisions in a reader's words: what they are about, what they changed, and whether they hold. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd

from ecg_engine.strips import Strips
from ecg_engine.tables import NO_PATIENT
from state.anchors import BeatIndex
from state.deciding import Decision, activity
from state.peaks import PEAK
from state.targets import ALERT, BEAT, GROUP, PEAK_ADDED, PEAK_DELETED, PROTOTYPE, STRIP, parse_target

KIND_NAMES = MappingProxyType(
    {BEAT: "Beat", STRIP: "Strip", GROUP: "Group", PROTOTYPE: "Prototype", ALERT: "New pattern"}
)
FIELD_NAMES = MappingProxyType(
    {
        "label": "Label",
        "noise": "Noise",
        "seed": "Seed",
        "note": "Note",
        "unsure": "Unsure",
        "refined": "Suggestion accepted",
        "not_like": "Not like the seed",
        "acknowledged": "Acknowledged",
        PEAK: "R-peak",
    }
)
_SWITCHES: Mapping[str, Mapping[str | None, str]] = {
    "noise": {"1": "noise", "0": "no noise", None: "as computed"},
    "unsure": {"1": "unsure", "0": "sure", None: "not said"},
    "acknowledged": {"1": "seen", "0": "not seen", None: "not seen"},
}
_NOTHING = {"label": "not said", "seed": "no seed", "note": "no note", PEAK: "as computed"}

DECISION, UNDO, REDO = "Decision", "Undo", "Redo"
HOLDS, UNDONE = "Holds", "Undone"


class Told(NamedTuple):
    """A decision's target in words, and where to look it up.

    ``place`` is the strip's place in the run, None where the run in hand does not have it; of a group, the strip of its
    first beat.
    """

    words: str
    kind: str
    place: int | None
    seconds: float | None


def patient_words(patient: object) -> str:
    """``"patient 101"``, or that nobody knows."""
    return "patient unknown" if patient == NO_PATIENT else f"patient {patient}"


def told_target(target: str, strips: Strips | None, index: BeatIndex | None) -> Told:
    """What a decision is about: ``"Beat at 3.42 s of strip 17 (patient 101)"``."""
    parsed = parse_target(target)
    if parsed.kind in (BEAT, STRIP):
        place = None if index is None else index.hashes.get(parsed.name)
        if place is None or strips is None:
            strip, place = "a strip that is not in this run", None
        else:
            strip = f"strip {int(strips.source_row[place])} ({patient_words(strips.patient_id[place])})"
        if parsed.kind == STRIP:
            return Told(strip[0].upper() + strip[1:], STRIP, place, None)
        return Told(f"Beat at {parsed.number / 1000:.2f} s of {strip}", BEAT, place, parsed.number / 1000)
    here = index is not None and parsed.name == index.run_id
    if parsed.kind == GROUP:
        return _told_group(parsed.number, strips, index if here else None)
    if parsed.kind == PROTOTYPE:
        return Told(f"Prototype {parsed.number}{'' if here else ' of an earlier run'}", PROTOTYPE, None, None)
    return Told(f"New pattern {parsed.number}", ALERT, None, None)


def _told_group(group: int, strips: Strips | None, index: BeatIndex | None) -> Told:
    rows = np.empty(0, dtype=np.int64) if index is None else np.flatnonzero(index.groups == group)
    if index is None or strips is None or not len(rows):
        earlier = "" if index is not None else " of an earlier run"
        return Told(f"Group {group} of look-alike beats{earlier}", GROUP, None, None)
    place = int(index.strip_of_beat[rows[0]])
    return Told(f"{len(rows):,} look-alike beats of {patient_words(strips.patient_id[place])}", GROUP, place, None)


def beat_of(target: str, index: BeatIndex) -> int | None:
    """Row of the beat that a decision is about; None for another kind of target, or where the run has no such beat."""
    parsed = parse_target(target)
    if parsed.kind != BEAT:
        return None
    row = int(index.match(index.places([parsed.name]), np.array([parsed.number]))[0])
    return row if row >= 0 else None


def told_value(field: str, value: str | None) -> str:
    """A decision's value in words."""
    if field in _SWITCHES:
        return _SWITCHES[field].get(value, str(value))
    if field == PEAK and value is not None and value.isdecimal():
        return f"at {_at(int(value))}"
    return _NOTHING.get(field, "not said") if value is None else value


def told_change(decision: Decision) -> str:
    """``"Normal → PVC"``: from what was there before to what holds with it.

    Of R-peaks: ``"R-peak added at 3.42 s"``, ``"R-peak moved from 3.42 s to 3.50 s"``, ``"R-peak deleted"``.
    """
    field = decision.field
    new = told_value(field, decision.new)
    if field == PEAK:
        return _peak_change(decision)
    if field == "noise" and decision.new == "0" and not decision.undoes:
        return "is valid after all"
    if field == "not_like":
        return f"not like {new}" if decision.new else f"like {decision.old} again"
    if decision.old is None and field in ("noise", "unsure", "note", "acknowledged"):
        return new
    if decision.old == decision.new and not decision.undoes:
        return f"{new}, confirmed"
    return f"{told_value(field, decision.old)} → {new}"


def _peak_change(decision: Decision) -> str:
    new, old, anchor = decision.new, decision.old, parse_target(decision.target).number
    if decision.undoes:
        return f"R-peak {told_value(PEAK, old)} → {told_value(PEAK, new)}"
    if new is None:
        return "R-peak as computed again"
    if new == PEAK_ADDED:
        return f"R-peak added at {_at(anchor)}"
    if new == PEAK_DELETED:
        return "R-peak deleted"
    return f"R-peak moved from {_at(int(old) if old and old.isdecimal() else anchor)} to {_at(int(new))}"


def _at(ms: int) -> str:
    return f"{ms / 1000:.2f} s"


def told_decision(decision: Decision, strips: Strips | None, index: BeatIndex | None) -> str:
    """One line for a message: what it is about, and the change."""
    return f"{told_target(decision.target, strips, index).words}: {told_change(decision)}"


def standing_undos(decisions: Iterable[Decision], holds: Mapping[str, bool]) -> dict[str, Decision]:
    """For each decision that is undone, the newest undo of it that holds."""
    return {made.undoes: made for made in sorted(decisions, key=lambda d: d.order) if made.undoes and holds[made.id]}


HISTORY_COLUMNS = (
    "id",
    "at",
    "reader",
    "what",
    "kind",
    "field",
    "old",
    "new",
    "change",
    "reason",
    "action",
    "state",
    "undone_by",
    "undone_at",
    "strip",
    "patient",
    "file",
    "file_row",
    "beat_time_sec",
    "undoes",
    "target",
    "stored_at",
)


def history_table(decisions: Sequence[Decision], strips: Strips | None, index: BeatIndex | None) -> pd.DataFrame:
    """Every decision in words, newest first.

    Parameters
    ----------
    decisions : sequence of Decision
        All of a study's (``Decisions.listing``), undos and undone ones included.
    strips, index : optional
        Of the run in hand, by which strips have numbers and patients.

    Returns
    -------
    DataFrame
        ``HISTORY_COLUMNS``. ``action`` is Decision, Undo or Redo (the undo of an undo); ``state`` Holds or Undone;
        times are UTC; strip, patient, file and file_row (1-based) are missing where the run does not have the strip.
    """
    holds = activity(decisions)
    undone = standing_undos(decisions, holds)
    by_id = {made.id: made for made in decisions}
    rows = []
    for made in sorted(decisions, key=lambda d: d.order, reverse=True):
        told = told_target(made.target, strips, index)
        first = by_id.get(made.undoes) if made.undoes else None
        by = undone.get(made.id)
        here = told.place if strips is not None else None
        strip = None if told.kind == GROUP else here  # a group lies on many, of one patient
        rows.append(
            (
                made.id,
                made.at,
                made.reader,
                told.words,
                KIND_NAMES[told.kind],
                FIELD_NAMES.get(made.field, made.field),
                told_value(made.field, made.old),
                told_value(made.field, made.new),
                told_change(made),
                made.reason,
                DECISION if first is None else REDO if first.undoes else UNDO,
                HOLDS if holds[made.id] else UNDONE,
                by.reader if by else "",
                by.at if by else None,
                None if strip is None or strips is None else int(strips.source_row[strip]),
                "" if here is None or strips is None else _patient(strips.patient_id[here]),
                "" if here is None or strips is None else str(strips.source_file[here]),
                None if strip is None or strips is None else int(strips.file_row[strip]) + 1,
                told.seconds,
                made.undoes or "",
                made.target,
                made.stored_at,
            )
        )
    table = pd.DataFrame(rows, columns=list(HISTORY_COLUMNS))
    for name in ("at", "undone_at", "stored_at"):
        table[name] = pd.to_datetime(table[name], utc=True)
    for name in ("strip", "file_row"):
        table[name] = table[name].astype("Int64")
    table["beat_time_sec"] = table["beat_time_sec"].astype("Float64")
    return table


def _patient(patient: object) -> str:
    return "" if patient == NO_PATIENT else str(patient)


def local(times: pd.Series, zone: str | None) -> pd.Series:
    """Times of a time zone, without saying so: what a clock on the wall showed."""
    return times.dt.tz_convert(zone or "UTC").dt.tz_localize(None)


def clock(at: datetime, zone: str | None) -> str:
    """``"24 Nov, 09:14"`` by the clock of a time zone."""
    moment = pd.Timestamp(at).tz_convert(zone or "UTC")
    return f"{moment.day} {moment:%b, %H:%M}"
