"""The two profiles on the screen: what each of them is, the figures that tell them apart, which is offered first."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd
import streamlit as st

from ecg_engine.config import ARRHYTHMIA, REFERENCE
from ecg_engine.profiles import FIGURES, FIGURES_OF, SENTENCES
from state.runs import RunRow

OFFERED_FIRST = ARRHYTHMIA
"""What a study begins with in the app, by the figures; the engine's own default stays the reference."""

NAMES: Mapping[str, str] = MappingProxyType({ARRHYTHMIA: "Arrhythmia", REFERENCE: "Reference"})
_ORDER = (OFFERED_FIRST, *(name for name in NAMES if name != OFFERED_FIRST))
_ROW_PX = 28


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
    """What the benchmarks found of either profile."""
    columns = [one.capitalize() for one in _ORDER]
    rows = [(one.name, *(getattr(one, profile) for profile in _ORDER)) for one in FIGURES]
    st.dataframe(
        pd.DataFrame(rows, columns=["On patients not trained on", *columns]),
        hide_index=True,
        height="content",
        row_height=_ROW_PX,
        column_config={name: st.column_config.TextColumn(name, width=86) for name in columns},
        alt="Figures of the arrhythmia and the reference profile on patients not trained on",
    )
    st.caption(f"{FIGURES_OF}.")


def told_profile(profile: str) -> None:
    """Say under which profile something is done, where it is not to be chosen."""
    st.markdown(f"**{NAMES[profile]} profile.** {profile_words(profile)}")
