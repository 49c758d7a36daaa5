"""Below the navigation: the study in hand, what can be done with studies, and who is reading."""

from __future__ import annotations

import streamlit as st

from components.frame import told
from components.own_keys import own_keys_button
from state import session
from state.studies import Study

UPLOAD_PAGE = "pages/upload.py"


def sidebar() -> None:
    """Draw the study's and the reader's fields."""
    current = session.study()
    if current is not None:
        _pick(current)
    with st.popover("Studies", icon=":material/folder_open:", width="stretch"):
        _new()
        if current is not None:
            _rename(current)
            _put_away(current)
        _bring_back()
    _reader()
    own_keys_button()


def _pick(current: Study) -> None:
    studies = {study.id: study.name for study in session.store().studies.all()}
    picked = st.selectbox(
        "Study",
        list(studies),
        index=list(studies).index(current.id),
        format_func=lambda id: studies.get(id, ""),
        # A name of its own for each state of the list, so that the box always shows the study in hand.
        key=f"study_{current.id}_{hash(tuple(studies.items()))}",
    )
    if picked != current.id:
        session.choose(study=picked)
        st.rerun()


def _new() -> None:
    with st.form("new_study", border=False, clear_on_submit=True):
        name = st.text_input("New study", placeholder="Ward 3, November")
        if st.form_submit_button("Make the study", icon=":material/add:", type="primary"):
            with told():
                session.choose(study=session.store().studies.create(name).id)
                st.switch_page(UPLOAD_PAGE)


def _rename(current: Study) -> None:
    with st.form(f"rename_{current.id}", border=False):
        name = st.text_input("Name of this study", value=current.name)
        if st.form_submit_button("Rename", icon=":material/edit:"):
            with told():
                session.store().studies.rename(current.id, name)
                st.rerun()


def _put_away(current: Study) -> None:
    st.caption("A study that is put away leaves the list. Nothing of it is deleted, and it can be brought back.")
    if st.button("Put this study away", icon=":material/archive:", key=f"archive_{current.id}"):
        session.store().studies.archive(current.id)
        session.choose(study=None)
        st.rerun()


def _bring_back() -> None:
    away = [study for study in session.store().studies.all(archived=True) if study.archived]
    if not away:
        return
    st.write("**Put away**")
    for study in away:
        if st.button(f"Bring back {study.name}", icon=":material/unarchive:", key=f"restore_{study.id}"):
            session.store().studies.restore(study.id)
            session.choose(study=study.id)
            st.rerun()


def _reader() -> None:
    named = st.text_input(
        "Reader", value=session.reader(), help="Every decision is kept under this name.", max_chars=200
    ).strip()
    if named and named != session.reader():
        session.choose(reader=named)
        st.rerun()
