"""What the keys of a page do, on a panel that ``?`` opens (in the browser, without a rerun)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from components.keymap import LABEL_KEYS, label_keys
from ecg_engine.labels import label_name

_HERE = Path(__file__).parent
_HTML = """
<button class="opener" type="button" aria-haspopup="dialog" aria-expanded="false">? Keys</button>
<div class="panel" hidden>
  <div class="sheet" role="dialog" aria-modal="true" aria-label="Keys of this page">
    <h2>Keys of this page <button class="opener closer" type="button">Close</button></h2>
    <dl></dl>
  </div>
</div>
"""


@cache
def _component() -> Any:
    return st.components.v2.component(
        "ecg_review.keys",
        html=_HTML,
        css=(_HERE / "keys.css").read_text(),
        js=(_HERE / "keys.js").read_text(),
    )


def keys_panel(keys: Sequence[tuple[str, str]]) -> None:
    """Draw the small "? Keys" button and the panel behind it.

    Parameters
    ----------
    keys : sequence of (key, what it does)
        In the order in which they are listed; labels are shown with the key that the reader in hand has for them.
    """
    now = label_keys()
    own = {(key, label_name(label)): now[label] for label, key in LABEL_KEYS.items()}
    shown = [[_spoken(own.get((key, what), key)), what] for key, what in (*keys, ("?", "Show or hide this list"))]
    _component()(key="keys", data={"keys": shown})


def _spoken(key: str) -> str:
    return {"Right": "→", "Left": "←", "Up": "↑", "Down": "↓"}.get(key, key)
