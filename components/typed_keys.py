"""Keys that are never lost: the browser takes them down in order, and each is done once, in that order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__).parent
_NAMES = {"Left": "ArrowLeft", "Right": "ArrowRight", "Up": "ArrowUp", "Down": "ArrowDown"}


@cache
def _component() -> Any:
    return st.components.v2.component(
        "ecg_review.typed_keys",
        html='<span class="typed" hidden></span>',
        js=(_HERE / "typed_keys.js").read_text(),
    )


def typed_keys(keys: Sequence[str], on_key: Callable[[str], None], *, key: str, held: Sequence[str] = ()) -> None:
    """Listen to keys wherever no field has the focus.

    The buttons of the same keys keep their ``shortcut``: it shows on them, and works where this is not drawn yet.
    Draw it last: the browser sends the next keys when it sees the answer to those before, so that every few keys the
    screen catches up, however quickly somebody types.

    Parameters
    ----------
    keys : sequence of str
        As ``st.button(shortcut=...)`` spells them, without modifiers.
    on_key : callable
        Called before the page is drawn again, once for each key typed, in order. It must look at the state of that
        moment, not at what was on the screen when it was made.
    key : str
    held : sequence of str
        Those that go on while they are held down.
    """
    watched = [[_NAMES.get(name, name), name in held] for name in keys]
    named = {_NAMES.get(name, name): name for name in keys}
    done = st.session_state.get(_done(key))

    def typed() -> None:
        _answer(key, named, on_key)

    _component()(key=key, data={"keys": watched, "done": done}, on_typed_change=typed)


def _done(key: str) -> str:
    return f"{key}_done"


def _answer(key: str, named: dict[str, str], on_key: Callable[[str], None]) -> None:
    sent = st.session_state[key].get("typed")
    if not isinstance(sent, dict):
        return
    life, last = st.session_state.get(_done(key)) or ("", 0)
    if sent.get("life") != life:
        life, last = str(sent.get("life")), 0
    for number, name in sent.get("keys", ()):
        if number > last and name in named:
            # Before it is done: should it fail, it is told and not tried for ever.
            last = number
            st.session_state[_done(key)] = (life, last)
            on_key(named[name])
