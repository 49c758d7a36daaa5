"""Keys to a reader's liking: what she has changed, laid over the standard. Pure functions.

A key is known by what it does: ``label:2`` or ``action:undo``. Only what differs from the standard is remembered, so
that a standard that changes later reaches everyone who has not said otherwise.
"""

from __future__ import annotations

import string
from collections.abc import Mapping

from state.errors import StoreError

SETTING = "keys"
"""Name under which a reader's settings hold them."""
ALLOWED = frozenset(string.ascii_lowercase + string.digits) - {"c", "r"}
KEPT_BY_THE_APP = ("c", "r")
LABEL, ACTION = "label:", "action:"


class KeyTakenError(StoreError):
    """A key that does something else already.

    Attributes
    ----------
    by : str
        What it does; "" for a use that cannot be moved.
    """

    def __init__(self, message: str, by: str = "") -> None:
        super().__init__(message)
        self.by = by


def merged(
    standard: Mapping[str, str], changes: Mapping[str, str], fixed: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The keys that hold, in the standard's order.

    Changes that make no sense (any more) do not count: no two things ever share a key.

    Parameters
    ----------
    standard : mapping
        What a key does to the key.
    changes : mapping
        The same, as kept for the reader.
    fixed : mapping, optional
        As :func:`change` takes it.
    """
    keys = dict(standard)
    usable = {
        name: str(key)
        for name, key in changes.items()
        if name in standard and not _refused(name, str(key), fixed or {})
    }
    keys.update(usable)
    while clashing := _clashing(keys, usable):
        # Back to the standard, which may clash with another change in turn: that one goes back, too.
        for name in clashing:
            keys[name] = standard[name]
            del usable[name]
    return keys


def _clashing(keys: Mapping[str, str], changed: Mapping[str, str]) -> list[str]:
    owners: dict[str, list[str]] = {}
    for name, key in keys.items():
        owners.setdefault(key, []).append(name)
    return [name for names in owners.values() if len(names) > 1 for name in names if name in changed]


def change(
    standard: Mapping[str, str],
    changes: Mapping[str, str],
    name: str,
    key: str,
    words: Mapping[str, str],
    *,
    fixed: Mapping[str, str] | None = None,
    swap: bool = False,
) -> dict[str, str]:
    """What is to be kept after a key was changed.

    Parameters
    ----------
    standard, changes : mapping
        As for :func:`merged`.
    name : str
        What the key is to do.
    key : str
        A letter or a digit.
    words : mapping
        Each name as the reader calls it.
    fixed : mapping, optional
        Keys that labels cannot have, because buttons beside theirs answer to them, with what they do.
    swap : bool
        Where another one has the key, it gets the key that this one had.

    Returns
    -------
    dict
        Changes alone; what is standard again is left out.

    Raises
    ------
    KeyTakenError
        If another one has the key; the message names it.
    StoreError
        If the key cannot be used at all.
    """
    if name not in standard:
        raise StoreError(f"There is no action {name!r} to give a key to.")
    key = key.lower() if len(key) == 1 else key
    if key != standard[name] and (why := _refused(name, key, fixed or {})):
        raise KeyTakenError(why)
    keys = merged(standard, changes, fixed)
    other = next((one for one, has in keys.items() if has == key and one != name), None)
    if other is not None:
        taken = f"{shown(key)} is the key of {words.get(other, other)} already."
        if not swap:
            raise KeyTakenError(taken, other)
        if keys[name] != standard[other] and (why := _refused(other, keys[name], fixed or {})):
            raise KeyTakenError(f"{taken} The two cannot be swapped. {why}")
        keys[other] = keys[name]
    keys[name] = key
    return {one: has for one, has in keys.items() if has != standard[one]}


def _refused(name: str, key: str, fixed: Mapping[str, str]) -> str:
    if key in KEPT_BY_THE_APP:
        return f"{shown(key)} is kept by the app itself and cannot be used."
    if key not in ALLOWED:
        return f"{shown(key)} cannot be used; use a letter or a digit."
    if name.startswith(LABEL) and key in fixed:
        return f"{shown(key)} cannot label: on other pages it is {fixed[key]}."
    return ""


def shown(key: str) -> str:
    """A key as it stands on a keyboard: ``V``; named keys as they are."""
    return key.upper() if len(key) == 1 else key or "This key"
