"""Cards in a grid, each with a small picture, that can be clicked: galleries of prototypes, seeds and candidates.

Drawn in the browser from one list, so that a hundred of them cost one element and a click one rerun. Cards and their
actions are buttons: they are reached with Tab, and the selected one scrolls into view.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

_HERE = Path(__file__).parent


class CardAction(NamedTuple):
    """A button on a card. ``done`` draws it as already chosen."""

    name: str
    text: str
    done: bool = False


@dataclass(frozen=True)
class Card:
    """One card.

    Parameters
    ----------
    id : int
        What is handed on when it is clicked; no two cards of a grid share it.
    title : str
        Set in bold above the picture.
    svg : str
        The picture, made by the engine (it is trusted: no text of a person may stand in it unescaped).
    lines : sequence of str
        Under the picture.
    badge : str
        A word in the corner such as "small, mixed"; the card then has an alarm's border.
    note : str
        A word in the corner without alarm.
    colour : str
        Of the letter before the title.
    letter : str
        Stands before the title, in ``colour``.
    actions : sequence of CardAction
    faded : bool
        Drawn paler: dealt with.
    """

    id: int
    title: str
    svg: str
    lines: Sequence[str] = ()
    badge: str = ""
    note: str = ""
    colour: str = ""
    letter: str = ""
    actions: Sequence[CardAction] = ()
    faded: bool = False


@dataclass(frozen=True)
class CardGroup:
    """Cards under one heading; no heading if the title is empty."""

    cards: Sequence[Card]
    title: str = ""
    note: str = ""
    letter: str = ""
    colour: str = ""


def _component() -> Any:
    return st.components.v2.component(
        "ecg_review.cards",
        html='<div class="groups"></div>',
        css=(_HERE / "cards.css").read_text(),
        js=(_HERE / "cards.js").read_text(),
    )


def card_grid(
    groups: Sequence[CardGroup],
    *,
    key: str,
    on_pick: Callable[[int, str], None],
    selected: int | None = None,
    card_width: int = 168,
    label: str = "Gallery",
) -> None:
    """Draw the cards.

    Parameters
    ----------
    groups : sequence of CardGroup
    key : str
    on_pick : callable
        Called before the page is drawn again, with a card's id and the name of the action, "" for the card itself.
    selected : int, optional
        The card that is marked.
    card_width : int
        Least width of a card in pixels.
    label : str
        What the grid is, for who cannot see it.
    """
    data = {
        "groups": [asdict(group) for group in groups],
        "selected": selected,
        "width": card_width,
        "label": label,
    }
    _component()(key=key, data=data, on_picked_change=partial(_picked, key, on_pick))


def _picked(key: str, on_pick: Callable[[int, str], None]) -> None:
    picked = st.session_state[key].get("picked")
    if isinstance(picked, dict) and isinstance(picked.get("id"), int):
        on_pick(picked["id"], str(picked.get("action") or ""))
