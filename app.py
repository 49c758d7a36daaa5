"""The door: page settings, who is reading, which study, and the way to the pages."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from components.frame import steady_line, tight_page, told
from components.sidebar import sidebar
from state import session

ICON = Path(__file__).parent / "components" / "icon.svg"

st.set_page_config(page_title="ECG strip review", page_icon=str(ICON), layout="wide")

PAGES = {
    "Read": [
        st.Page("pages/upload.py", title="Upload", icon=":material/upload_file:", default=True),
        st.Page("pages/strips.py", title="Strips", icon=":material/ecg:"),
        st.Page("pages/prototypes.py", title="Prototypes", icon=":material/grid_view:"),
        st.Page("pages/seeds.py", title="Seeds", icon=":material/potted_plant:"),
    ],
    "Teach": [
        st.Page("pages/training.py", title="Training", icon=":material/model_training:"),
        st.Page("pages/review.py", title="Review", icon=":material/rule:"),
        st.Page("pages/alerts.py", title="Alerts", icon=":material/notifications:"),
    ],
    "Keep": [st.Page("pages/history.py", title="History", icon=":material/history:")],
}


with told():
    session.begin()
    tight_page()
    page = st.navigation(PAGES)
    with st.sidebar:
        sidebar()
    page.run()
    steady_line()
