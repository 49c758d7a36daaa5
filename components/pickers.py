"""Lists to choose from: entries that can be told apart, and rows taken by a click."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st


def distinct(words: Mapping[str, str]) -> dict[str, str]:
    """The same words by id, those that come more than once with a number behind them.

    Streamlit tells the entries of a selectbox apart by their words: two alike would be taken for one another.

    Examples
    --------
    >>> distinct({"a": "Model 1", "b": "Model 2", "c": "Model 1"})
    {'a': 'Model 1, no. 1', 'b': 'Model 2', 'c': 'Model 1, no. 2'}
    """
    often, met = Counter(words.values()), Counter[str]()
    told = {}
    for id, text in words.items():
        met[text] += 1
        told[id] = f"{text}, no. {met[text]}" if often[text] > 1 else text
    return told


def pick_newest_first(
    label: str, oldest_first: Mapping[str, str], chosen: str, *, key: str, on_pick: Callable[[str], object]
) -> None:
    """A list without a label on the screen, newest at the top, that shows what is chosen; a pick is handed on by id."""
    words = distinct(oldest_first)
    known = list(words)[::-1]
    key = f"{key}_{len(known)}"

    def picked() -> None:
        on_pick(st.session_state[key])

    st.selectbox(
        label,
        known,
        index=known.index(chosen),
        format_func=lambda id: words.get(id, "?"),
        key=key,
        on_change=picked,
        label_visibility="collapsed",
    )


def rows_taken(selection: Mapping[str, Any]) -> Sequence[int]:
    """Rows that a click in an ``st.dataframe`` takes, where both rows and cells can be selected.

    A click on a cell takes its row alone; the boxes at the left take one after the other.
    """
    return [row for row, _ in selection["cells"]] or list(selection["rows"])
