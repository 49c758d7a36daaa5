"""What a decision is about, and what may be said of it: targets, fields and their values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from ecg_engine.errors import InputError
from ecg_engine.labels import FILE_LABELS, LABEL_NAMES, UNLABELLED, label_id, label_name
from ecg_engine.peak_edits import ADDED, DELETED
from state.errors import DecisionError

BEAT, STRIP, GROUP, PROTOTYPE, ALERT = "beat", "strip", "group", "prototype", "alert"

FIELDS = MappingProxyType(
    {
        BEAT: ("label", "noise", "seed", "note", "unsure", "refined", "not_like", "peak"),
        STRIP: ("label", "note", "unsure"),
        GROUP: ("label", "noise", "note", "unsure"),
        PROTOTYPE: ("label", "noise", "note", "unsure"),
        ALERT: ("acknowledged", "note"),
    }
)
"""Per kind of target, what a reader can decide.

``refined`` is a model's label that the reader accepted; ``not_like`` the label of a seed that the beat is not like.
What is said of a group or a prototype is one decision about all of its beats.
``peak`` is what a reader says of the R-peak itself: "added", "deleted", or its new time in whole ms.
"""

_LABELS, _SWITCHES = {"label", "seed", "refined", "not_like"}, {"noise", "unsure", "acknowledged"}
_SWITCH_WORDS = {"1": "1", "true": "1", "0": "0", "false": "0"}
MAX_TEXT = 4000
PEAK_ADDED, PEAK_DELETED = ADDED, DELETED

_PATTERNS = {
    BEAT: re.compile(r"beat:([0-9a-f]{8,64}):([0-9]{1,9})\Z"),
    STRIP: re.compile(r"strip:([0-9a-f]{8,64})\Z"),
    GROUP: re.compile(r"group:([0-9A-Za-z_-]{1,40}):([0-9]{1,9})\Z"),
    PROTOTYPE: re.compile(r"prototype:([0-9A-Za-z_-]{1,40}):([0-9]{1,6})\Z"),
    ALERT: re.compile(r"alert:([0-9A-Za-z_-]{1,40}):([0-9]{1,6})\Z"),
}


@dataclass(frozen=True, slots=True)
class Target:
    """What a decision is about.

    ``name`` is the strip's hash for beats and strips, the run's id for groups, prototypes and alerts; ``number`` is
    the time of the R-peak in ms from the strip's start, the group's or prototype's id, or the cluster's id (0 for a
    strip).
    """

    kind: str
    name: str
    number: int = 0

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.kind == STRIP else f"{self.kind}:{self.name}:{self.number}"


def beat_target(strip_hash: str, time_ms: float) -> str:
    """Target of a beat: its strip's hash and the time of its R-peak in ms from the strip's start."""
    return f"{BEAT}:{strip_hash}:{round(float(time_ms))}"


def strip_target(strip_hash: str) -> str:
    """Target of a whole strip."""
    return f"{STRIP}:{strip_hash}"


def group_target(run_id: str, group_id: int) -> str:
    """Target of a group of look-alike beats of one patient in one preprocessing run."""
    return f"{GROUP}:{run_id}:{int(group_id)}"


def prototype_target(run_id: str, prototype_id: int) -> str:
    """Target of a prototype of one preprocessing run."""
    return f"{PROTOTYPE}:{run_id}:{int(prototype_id)}"


def alert_target(run_id: str, cluster_id: int) -> str:
    """Target of a cluster of one alerts run."""
    return f"{ALERT}:{run_id}:{int(cluster_id)}"


@lru_cache(maxsize=1 << 16)  # the same targets are read again with every decision
def parse_target(target: str) -> Target:
    """Read a target's text.

    Raises
    ------
    DecisionError
        If it is none of ``beat:<hash>:<ms>``, ``strip:<hash>``, ``group:<run>:<id>``, ``prototype:<run>:<id>``,
        ``alert:<run>:<cluster>``.
    """
    kind = target.partition(":")[0]
    pattern = _PATTERNS.get(kind)
    match = pattern.match(target) if pattern else None
    if match is None:
        raise DecisionError(
            f"A decision cannot be about {target[:80]!r}; it is about beat:<strip hash>:<ms>, strip:<strip hash>, "
            "group:<run>:<id>, prototype:<run>:<id> or alert:<run>:<cluster>."
        )
    groups = match.groups()
    return Target(kind, groups[0], int(groups[1]) if len(groups) > 1 else 0)


def clean_text(text: str, what: str) -> str:
    """Text that both databases hold: no NUL, no broken surrogates, at most ``MAX_TEXT`` characters."""
    text = text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8").strip()
    if len(text) > MAX_TEXT:
        raise DecisionError(f"The {what} has {len(text):,} characters; at most {MAX_TEXT:,} are kept.")
    return text


def known_field(target: Target, field: str) -> None:
    """Raise DecisionError on a field that this kind of target does not have."""
    fields = FIELDS[target.kind]
    if field not in fields:
        raise DecisionError(f"A {target.kind} has no {field[:40]!r} to decide; it has: {', '.join(fields)}.")


def normal_value(target: Target, field: str, value: str | int | bool | None) -> str | None:
    """The one spelling in which a value is kept: labels by name, switches as "1" and "0", times in whole ms.

    None and "" both mean "nothing said": whatever comes next in order of precedence holds again.

    Raises
    ------
    DecisionError
        On a field that this kind of target does not have, or a value that the field cannot have.
    """
    known_field(target, field)
    if value is None or value == "":
        return None
    if field in _SWITCHES:
        word = _SWITCH_WORDS.get(str(value).strip().lower())
        if word is None:
            raise DecisionError(f"{field} is {value!r}; it must be 1 or 0.")
        return word
    if field in _LABELS:
        return label_name(_label(target, field, value))
    if field == "peak":
        return _peak(value)
    return clean_text(str(value), field)


def _peak(value: str | int | bool) -> str:
    text = str(value).strip().lower()
    if text in (PEAK_ADDED, PEAK_DELETED):
        return text
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,9}(\.0+)?", text):
        raise DecisionError(
            f"peak is {str(value)[:40]!r}; it must be {PEAK_ADDED}, {PEAK_DELETED} or the new time of the R-peak in "
            "whole ms from the start of the strip."
        )
    return str(int(text.partition(".")[0]))


def _label(target: Target, field: str, value: str | int) -> int:
    text = str(value).strip()
    try:
        label = int(text) if re.fullmatch(r"-?\d+", text) else label_id(text)
    except InputError as error:
        raise DecisionError(str(error)) from None
    allowed = (*FILE_LABELS, UNLABELLED) if target.kind == STRIP else FILE_LABELS
    if label not in allowed:
        names = ", ".join(LABEL_NAMES[known] for known in allowed)
        raise DecisionError(f"{label_name(label)!r} is not a label that a {target.kind} can be given: {names}.")
    return label
