"""Keys to one's liking: a panel that lists every key, on which pressing another one changes it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.keymap import ACTION_NAMES, FIXED_KEYS, STANDARD_KEYS, all_keys
from components.scripts import script, style
from ecg_engine.labels import label_name
from state import session
from state.errors import StoreError
from state.reader_keys import ACTION, LABEL, KeyTakenError, change, shown

_KEY, _SAID = "own_keys", "own_keys_said"
_HTML = '<div class="said" role="status" aria-live="polite"></div><div class="keys"></div>'


def _component() -> Any:
    return st.components.v2.component("ecg_review.own_keys", html=_HTML, css=style("own_keys"), js=script("own_keys"))


def own_keys_button() -> None:
    """The way to the panel."""
    if st.button("Change keys", key="change_keys", icon=":material/keyboard:", width="stretch"):
        st.session_state.pop(_SAID, None)
        _panel()


@st.dialog("Change keys", width="large", on_dismiss="rerun")
def _panel() -> None:
    st.caption(
        f"Kept for {session.reader()}. Labels have these keys on every page; actions have them on Strips and Review."
    )
    words = _words()
    keys = all_keys()
    rows = [
        {"name": name, "words": words[name], "key": key, "standard": STANDARD_KEYS[name]} for name, key in keys.items()
    ]
    groups = [
        ["Labels", [row for row in rows if row["name"].startswith(LABEL)]],
        ["Actions", [row for row in rows if row["name"].startswith(ACTION)]],
    ]
    said = st.session_state.get(_SAID)
    _component()(key=_KEY, data={"groups": groups, "said": said}, on_asked_change=_asked)
    st.button(
        "All keys as they come",
        key="own_keys_reset",
        icon=":material/restart_alt:",
        disabled=keys == dict(STANDARD_KEYS),
        on_click=_reset,
    )


def _words() -> dict[str, str]:
    labels = {name: label_name(int(name[len(LABEL) :])) for name in STANDARD_KEYS if name.startswith(LABEL)}
    actions = {f"{ACTION}{name}": words for name, words in ACTION_NAMES.items()}
    return labels | actions


def _asked() -> None:
    asked = st.session_state[_KEY].get("asked")
    if isinstance(asked, dict):
        set_key(str(asked.get("name")), str(asked.get("key")), swap=bool(asked.get("swap")))


def set_key(name: str, key: str, *, swap: bool = False) -> None:
    """Give what is called ``name`` another key, if it may have it; the panel tells what came of it."""
    words = _words()
    try:
        kept = change(STANDARD_KEYS, session.reader_keys(), name, key, words, fixed=FIXED_KEYS, swap=swap)
    except KeyTakenError as error:
        offered = {"name": name, "key": key} if error.by else None
        st.session_state[_SAID] = {"kind": "refused", "text": str(error), "swap": offered}
    except StoreError as error:
        st.session_state[_SAID] = {"kind": "refused", "text": str(error)}
    else:
        session.keep_keys(kept)
        st.session_state[_SAID] = {"kind": "done", "text": f"{words[name]}: {shown(key)}."}


def _reset() -> None:
    session.keep_keys({})
    st.session_state[_SAID] = {"kind": "done", "text": "All keys are as they come."}
