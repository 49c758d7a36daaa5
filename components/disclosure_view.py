"""Full disclosure: all strips of a patient as small multiples, one click from reading one."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from components.reading import channel_data, look_data
from components.scripts import script, style
from components.strip_view import View
from components.strips_views import read
from components.words import many
from state import session
from state.runs import RunRow
from state.strip_rows import UNKNOWN_PATIENT

KEYS = (
    ("Left", "Strip before"),
    ("Right", "Strip after"),
    ("Up", "Strip above"),
    ("Down", "Strip below"),
    ("Enter", "Read the strip"),
)
_KEY = "disclosure"
_HTML = """
<div class="disclosure">
  <div class="bar">
    <span class="who"></span>
    <span class="scale"></span>
    <span class="set" role="group" aria-label="Size">Size
      <button class="fewer" type="button" aria-label="Smaller">−</button>
      <button class="more" type="button" aria-label="Larger">+</button>
    </span>
    <span class="set" role="group" aria-label="Gain in mm/mV">Gain
      <button class="gain" type="button" value="5">5</button>
      <button class="gain" type="button" value="10">10</button>
      <button class="gain" type="button" value="20">20</button>
    </span>
    <span class="state" role="status"></span>
    <button class="retry" type="button" hidden>Try again</button>
  </div>
  <div class="box" tabindex="0" role="application">
    <div class="field"><canvas class="canvas"></canvas></div>
  </div>
  <div class="spoken" aria-live="polite"></div>
</div>
"""


def _component() -> Any:
    return st.components.v2.component(
        "ecg_review.disclosure", html=_HTML, css=style("disclosure"), js=script("disclosure")
    )


def disclosure(row: RunRow, view: View) -> None:
    """Draw the strips of the patient in hand, or of another who is picked."""
    patient = _pick(view)
    table = view.rows.table
    places = np.flatnonzero((table["patient"] == patient).to_numpy())
    strips = [
        [int(place), int(table["strip"].iloc[place]), int(table["label"].iloc[place])] for place in places.tolist()
    ]
    who = "Patient unknown" if patient == UNKNOWN_PATIENT else f"Patient {patient}"
    data = {
        "channel": channel_data(),
        "look": look_data(),
        "run": row.id,
        "version": session.store().decisions.version(row.study_id),
        "group": patient,
        "words": f"{who}, {many(len(strips), 'strip')}",
        "assumed": bool(session.the_study().units_assumed),
        "strips": strips,
        "current": view.place,
    }
    numbers = {place: number for place, number, _label in strips}

    def opened() -> None:
        asked = st.session_state[_KEY].get("opened")
        if isinstance(asked, dict) and asked.get("place") in numbers:
            beat = asked.get("beat")
            read(numbers[asked["place"]], beat if isinstance(beat, int) else None)

    # A pass to the server that ran out is asked for by drawing again.
    _component()(key=_KEY, data=data, on_opened_change=opened, on_token_change=lambda: None)


def _pick(view: View) -> str:
    """The patient whose strips are shown: the one of the strip in hand; another pick takes that one's first strip."""
    table = view.rows.table
    counts = table["patient"].value_counts()
    patients = sorted(counts.index, key=lambda name: (0, int(name), "") if name.isdigit() else (1, 0, name))
    now = str(table["patient"].iloc[view.place])
    key = f"disclosure_patient_{view.row.id}_{now}"

    def picked() -> None:
        first = int(np.flatnonzero((table["patient"] == st.session_state[key]).to_numpy())[0])
        session.choose(strip=int(table["strip"].iloc[first]), beat=None)

    st.selectbox(
        "Patient",
        patients,
        index=patients.index(now),
        format_func=lambda name: f"Patient {name} ({many(int(counts.get(name, 0)), 'strip')})",
        key=key,
        on_change=picked,
        label_visibility="collapsed",
        width=320,
    )
    return now
