"""What the scripts of the strip reader and the queue are told by Python: who may speak, and what things look like."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from components.keymap import action_keys, label_keys
from ecg_engine.figures import label_colour, label_letter
from ecg_engine.figures.paper import INKS
from ecg_engine.labels import LABEL_NAMES, aami_class
from state import session


def channel_data() -> dict[str, Any]:
    """Base, token, study, reader and version: what ``openChannel`` of ``channel.js`` takes."""
    return dict(session.channel())


def look_data() -> dict[str, Any]:
    """Labels, inks and keys.

    Returns
    -------
    dict
        ``labels``: a list of {id, name, letter, colour, key, aami}; the ones that a reader can give have a key, the
        others "". ``inks``: {light, dark} of {paper, small, large, trace, text}. ``keys``: {action: key}.
    """
    keys = label_keys()
    shown = [*keys, *(label for label in LABEL_NAMES if label not in keys)]
    return {
        "labels": [
            {
                "id": label,
                "name": LABEL_NAMES[label],
                "letter": label_letter(label),
                "colour": label_colour(label),
                "key": keys.get(label, ""),
                "aami": aami_class(label) or "",
            }
            for label in shown
        ],
        "inks": {theme: asdict(ink) for theme, ink in INKS.items()},
        "keys": action_keys(),
    }
