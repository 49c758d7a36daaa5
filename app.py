"""The door: page settings, who is reading, which study, and the way to the pages."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from components.frame import steady_line, told
from state import session

st.set_page_config(page_title="ECG strip review", page_icon=str(Path(__file__).parent / "components" / "icon.svg"), layout="wide")

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


def study_and_reader() -> None:
    """The study in hand and the reader's name, below the navigation."""
    store = session.store()
    studies = {study.id: study.name for study in store.studies.all()}
    current = session.study()
    if current is not None:
        picked = st.selectbox(
            "Study",
            list(studies),
            index=list(studies).index(current.id),
            format_func=lambda id: studies.get(id, "?"),
            key=f"study_{current.id}_{len(studies)}",
        )
        if picked != current.id:
            session.choose(study=picked)
            st.rerun()
    with st.popover("New study", icon=":material/add:", width="stretch"), st.form("new_study", border=False):
        name = st.text_input("Name of the study", placeholder="Ward 3, November")
        if st.form_submit_button("Make the study", type="primary"):
            with told():
                session.choose(study=store.studies.create(name).id)
                st.switch_page(PAGES["Read"][0])
    named = st.text_input("Reader", value=session.reader(), help="Every decision is kept under this name.")
    if named.strip() and named.strip() != session.reader():
        session.choose(reader=named.strip())
        st.rerun()


with told():
    session.begin()
    page = st.navigation(PAGES)
    with st.sidebar:
        study_and_reader()
    page.run()
    steady_line()
