"""The keys of the app, in one place: what the buttons listen to and what `?` shows.

Streamlit keeps ``c`` and ``r`` for itself, so no action has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ecg_engine.labels import NOISE
from state import session
from state.reader_keys import ACTION, LABEL, merged

LABEL_KEYS: Mapping[int, str] = MappingProxyType(
    {
        0: "n",
        1: "s",
        2: "v",
        3: "b",
        4: "t",
        5: "a",
        6: "f",
        7: "w",
        8: "z",
        9: "e",
        10: "d",
        11: "i",
        12: "p",
        NOISE: "x",
    }
)
"""Label id to key: n, s and v as in the AAMI classes, d for a couplet (doublet), x for noise."""

VALID = "o"
UNDO = "u"
REDO = "y"
SEED = "m"
UNSURE = "l"
NOTE = "."
NEXT_STRIP = "j"
PREVIOUS_STRIP = "k"
NEXT_BEAT = "Right"
PREVIOUS_BEAT = "Left"
NEXT_ITEM = "j"
PREVIOUS_ITEM = "k"
START = "Ctrl+Enter"
RETRAIN = "t"
STOP = "q"
ACCEPT = "y"
ACCEPT_STRIP = "h"
OPEN_STRIP = "g"

ACTION_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "accept": ACCEPT,
        "accept_strip": ACCEPT_STRIP,
        "valid": VALID,
        "unsure": UNSURE,
        "seed": SEED,
        "note": NOTE,
        "undo": UNDO,
        "next": NEXT_ITEM,
        "previous": PREVIOUS_ITEM,
        "open_strip": OPEN_STRIP,
    }
)
"""What is done to a beat or an item, by name: the keys of the queue and of the strip reader."""


ACTION_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "accept": "Accept the suggestion",
        "accept_strip": "Accept it for all alike on the strip",
        "valid": "It is a beat, not noise",
        "unsure": "Unsure, for a second reader",
        "seed": "Seed",
        "note": "Note",
        "undo": "Undo",
        "next": "Next strip, or skip",
        "previous": "Previous strip, or back",
        "open_strip": "Open the strip",
    }
)
"""The same in a reader's words."""

STANDARD_KEYS: Mapping[str, str] = MappingProxyType(
    {
        **{f"{LABEL}{label}": key for label, key in LABEL_KEYS.items()},
        **{f"{ACTION}{name}": key for name, key in ACTION_KEYS.items()},
    }
)
"""All keys that a reader can change, under the names of ``state/reader_keys.py``."""

FIXED_KEYS: Mapping[str, str] = MappingProxyType(
    {STOP: "to stop a job", **{key: f"“{ACTION_NAMES[name]}”" for name, key in ACTION_KEYS.items()}}
)
"""What label buttons stand beside on pages whose own keys do not change."""


def all_keys() -> dict[str, str]:
    """The keys of :data:`STANDARD_KEYS` as the reader in hand has them."""
    return merged(STANDARD_KEYS, session.reader_keys(), FIXED_KEYS)


def label_keys() -> dict[int, str]:
    """Label id to key, as the reader in hand has them."""
    keys = all_keys()
    return {label: keys[f"{LABEL}{label}"] for label in LABEL_KEYS}


def action_keys() -> dict[str, str]:
    """Name of an action (see :data:`ACTION_KEYS`) to key, as the reader in hand has them."""
    keys = all_keys()
    return {name: keys[f"{ACTION}{name}"] for name in ACTION_KEYS}


def keys_shown(keys: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """A page's list of keys with those that the reader in hand has: for pages whose actions follow her keys."""
    own = {STANDARD_KEYS[name]: key for name, key in all_keys().items()}
    return [(own.get(key, key), what) for key, what in keys]
