"""Strips: read one after the other on ECG paper, and say what each beat is."""

from __future__ import annotations

import streamlit as st

from components.frame import empty_state, page_header
from components.jobs import job_panel
from components.keymap import keys_shown
from components.outcome import begin_page
from components.strip_reader import KEYS, strip_reader
from state import session


def page() -> None:
    begin_page()
    page_header(
        "Strips", "Read strip after strip, and say what the beats are. Each decision can be undone.", keys_shown(KEYS)
    )
    row = session.preprocess_run()
    if row is None:
        if session.study() is not None:
            job_panel(["preprocess"])
        empty_state(
            "No strips yet",
            "Bring a file of strips and preprocess it; then its strips are here to read.",
            action="Go to Upload",
            page="pages/upload.py",
        )
        return
    if session.load(row).strips is None:
        st.info("This run keeps no strips, only beats. Preprocess the file again to see them.", icon=":material/info:")
        return
    strip_reader(row)


page()
