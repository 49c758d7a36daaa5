"""The two profiles on the screen: what each of them is, the figures that tell them apart, which is offered first."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from types import MappingProxyType

import streamlit as st

from ecg_engine.config import ARRHYTHMIA, REFERENCE
from ecg_engine.profiles import FIGURES, FIGURES_OF, SENTENCES
from state.runs import RunRow

OFFERED_FIRST = ARRHYTHMIA
"""What a study begins with in the app, by the figures; the engine's own default stays the reference."""

NAMES: Mapping[str, str] = MappingProxyType({ARRHYTHMIA: "Arrhythmia", REFERENCE: "Reference"})
_ORDER = (OFFERED_FIRST, *(name for name in NAMES if name != OFFERED_FIRST))
_TABLE = "width:100%;border-collapse:collapse;font-size:14px;line-height:1.35;font-variant-numeric:tabular-nums"
_CELL = "text-align:left;padding:3px 10px 3px 0;border-bottom:1px solid rgba(125,130,138,.3)"


def profile_of(row: RunRow) -> str:
    """The profile that a run was made with; runs of before there were two are the reference's."""
    return str(row.config.get("profile", REFERENCE))


def profile_words(profile: str) -> str:
    """What a profile is, in two sentences."""
    return " ".join(SENTENCES[profile])


def choose_profile(now: str, key: str) -> str:
    """Let a person choose between the profiles, with the figures to choose by beside them.

    Parameters
    ----------
    now : str
        What stands there until it is changed.
    key : str
        Of the widget.

    Returns
    -------
    str
        "arrhythmia" or "reference".
    """
    left, right = st.columns([0.44, 0.56], gap="medium")
    with left:
        chosen = st.radio(
            "Profile",
            _ORDER,
            index=_ORDER.index(now),
            format_func=lambda name: f"**{NAMES[name]}**",
            captions=[profile_words(name) for name in _ORDER],
            key=key,
            persist_state="session",
        )
    with right:
        figures_table()
    return str(chosen)


def figures_table() -> None:
    """What the benchmarks found of either profile, as a table that wraps where there is little room."""
    names = "".join(f'<th scope="col" style="{_CELL}">{NAMES[profile]}</th>' for profile in _ORDER)
    rows = "".join(
        f'<tr><th scope="row" style="{_CELL};font-weight:400">{escape(one.name)}</th>'
        + "".join(f'<td style="{_CELL};white-space:nowrap">{escape(getattr(one, name))}</td>' for name in _ORDER)
        + "</tr>"
        for one in FIGURES
    )
    st.html(
        f'<table aria-label="Figures of the profiles" style="{_TABLE}"><thead><tr><th scope="col" style="{_CELL}">'
        f"On patients not trained on</th>{names}</tr></thead><tbody>{rows}</tbody></table>"
    )
    st.caption(f"{FIGURES_OF}.")


def told_profile(profile: str) -> None:
    """Say under which profile something is done, where it is not to be chosen."""
    st.markdown(f"**{NAMES[profile]} profile.** {profile_words(profile)}")
