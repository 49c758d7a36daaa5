"""One button for each label, with its key: the same row wherever something is labelled."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from components.keymap import LABEL_KEYS, label_keys
from ecg_engine.labels import label_name

LABEL_KEYS_SHOWN: Sequence[tuple[str, str]] = tuple((key, label_name(label)) for label, key in LABEL_KEYS.items())
"""For the page's list of keys, which shows them as the reader in hand has them."""


def label_buttons(on_label: Callable[[int], None], *, key: str, now: int | None = None, disabled: bool = False) -> None:
    """Draw the buttons.

    Parameters
    ----------
    on_label : callable
        Called with the label's id before the page is drawn again.
    key : str
    now : int, optional
        The label that holds: its button is filled.
    """
    with st.container(horizontal=True, gap="xsmall"):
        for label, shortcut in label_keys().items():
            st.button(
                label_name(label),
                key=f"{key}_{label}",
                shortcut=shortcut,
                type="primary" if label == now else "secondary",
                on_click=on_label,
                args=(label,),
                disabled=disabled,
            )
