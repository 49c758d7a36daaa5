"""From the body of a message to decisions, each checked by itself: what makes no sense is named, the rest goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from state.channel.refusals import Refusal, unclear
from state.channel.tokens import Pass
from state.deciding import Decision, decide
from state.errors import DecisionError
from state.plain import now
from state.targets import clean_text

MAX_BYTES = 1 << 20
MAX_DECISIONS = 2000
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_HASH = re.compile(r"[0-9a-f]{8,64}")
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=1)
_MAX_MS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Refused(NamedTuple):
    """One decision that is not stored, and why."""

    id: str
    why: str


class Taken(NamedTuple):
    """What a message holds."""

    decisions: list[Decision]
    refused: list[Refused]


def read_message(body: bytes) -> dict[str, Any]:
    """The JSON object that a body holds.

    Raises
    ------
    Refusal
        400 if it holds something else, or numbers that are none.
    """
    try:
        message = json.loads(body.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise unclear("The message is not JSON in UTF-8.") from None
    if not isinstance(message, dict):
        raise unclear("The message is not a JSON object.")
    return message


def _no_number(word: str) -> Any:
    raise ValueError(word)


def check_study(message: Mapping[str, Any], who: Pass) -> None:
    """Where a message names its study or its reader, they must be the token's.

    Raises
    ------
    Refusal
        403 with code ``study``.
    """
    if message.get("study", who.study) != who.study or message.get("reader", who.reader) != who.reader:
        raise Refusal(403, "study", "The message is another study's or another reader's than the page's pass.")


def take_decisions(message: Mapping[str, Any], who: Pass) -> Taken:
    """The decisions of a message, as the token's reader made them in the token's study.

    Raises
    ------
    Refusal
        400 if there is no list of decisions, it is too long, or one of them has no id that it could be refused by.
    """
    sent = message.get("decisions")
    if not isinstance(sent, list):
        raise unclear('The message has no list "decisions".')
    if len(sent) > MAX_DECISIONS:
        raise unclear(f"The message has {len(sent)} decisions; at most {MAX_DECISIONS} are taken at once.")
    taken = Taken([], [])
    latest = now() + _AHEAD
    for item in sent:
        id = item.get("id") if isinstance(item, dict) else None
        if not isinstance(id, str) or not _ID.fullmatch(id):
            raise unclear("Each decision needs an id of 1 to 64 letters, digits, _ or -.")
        try:
            taken.decisions.append(_decision(item, id, who, latest))
        except DecisionError as error:
            taken.refused.append(Refused(id, str(error)))
    return taken


def _decision(item: Mapping[str, Any], id: str, who: Pass, latest: datetime) -> Decision:
    undoes = item.get("undoes")
    if undoes is not None and not (isinstance(undoes, str) and _ID.fullmatch(undoes) and undoes != id):
        raise DecisionError(f"undoes is {str(undoes)[:80]!r}; it must be the id of another decision.")
    new, old = _value(item, "new"), _value(item, "old")
    made = decide(
        who.study,
        who.reader,
        _text(item, "target"),
        _text(item, "field"),
        None if undoes else new,
        old=None if undoes else old,
        reason=_text(item, "reason", ""),
        payload=_payload(item.get("payload")),
        id=id,
        at=_moment(item.get("at"), latest),
    )
    if undoes is None:
        return made
    # What an undo leads from and to is told as it was; it need not be something that one could decide.
    return Decision(**{**vars(made), "new": _told(new), "old": _told(old), "undoes": undoes})


def _told(value: str | int | bool | None) -> str | None:
    return None if value is None else clean_text(str(int(value) if isinstance(value, bool) else value), "value")


def _text(item: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = item.get(name)
    value = default if value is None else value
    if not isinstance(value, str):
        raise DecisionError(f"{name} is {str(value)[:80]!r}; it must be text.")
    return value


def _value(item: Mapping[str, Any], name: str) -> str | int | bool | None:
    value = item.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is not None and not isinstance(value, (str, int)):
        raise DecisionError(f"{name} is {str(value)[:80]!r}; it must be text, a whole number or nothing.")
    return value


def _moment(at: Any, latest: datetime) -> datetime:
    if isinstance(at, bool) or not isinstance(at, int):
        raise DecisionError(f"at is {str(at)[:80]!r}; it must be whole microseconds since 1970 (UTC).")
    try:
        moment = _EPOCH + timedelta(microseconds=at)
    except OverflowError:
        moment = datetime.max.replace(tzinfo=UTC)
    if moment > latest:
        # A word from the future would stand above all that is said until then.
        raise DecisionError("It was made more than a day from now: check the date and time of this computer.")
    if moment < _EARLIEST:
        raise DecisionError("It was made before the year 2000: check the date and time of this computer.")
    return moment


def _payload(payload: Any) -> dict[str, Any]:
    if payload is None:
        return {}
    if not isinstance(payload, dict):
        raise DecisionError("payload must be an object.")
    members = payload.get("members")
    if members is not None and not (isinstance(members, dict) and all(map(_anchors, members.items()))):
        raise DecisionError("The members of a payload must be {strip hash: [time of the R-peak in ms, ...]}.")
    batch = payload.get("batch")
    if batch is not None and not (isinstance(batch, str) and _ID.fullmatch(batch)):
        raise DecisionError("The batch of a payload must be an id.")
    return {str(_clean(key)): _clean(value) for key, value in payload.items()}


def _anchors(member: tuple[str, Any]) -> bool:
    name, times = member
    return bool(_HASH.fullmatch(name)) and isinstance(times, list) and all(_is_time(time) for time in times)


def _is_time(time: Any) -> bool:
    return isinstance(time, int) and not isinstance(time, bool) and 0 <= time <= _MAX_MS


def _clean(value: Any) -> Any:
    """Text that both databases hold: no broken surrogates, no NUL."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value
