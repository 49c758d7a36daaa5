"""Upload: files come in, are looked at and preprocessed; what came of it is the study's overview."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components import upload_columns
from components import upload_files as files
from components import upload_overview as overview
from components.frame import page_header
from components.jobs import busy, job_panel
from components.keymap import NEXT_ITEM, PREVIOUS_ITEM, START, STOP, UNDO
from components.outcome import attempt, begin_page
from components.profiles import NAMES, OFFERED_FIRST
from components.settings import changed
from components.upload_files import FILES, OVERVIEW, view_key
from components.upload_settings import ALL, settings, used
from components.upload_warnings import warnings
from components.words import many
from ecg_engine.config import PreprocessConfig
from state import session
from state.jobs import DONE
from state.runs import PREPROCESS, RunRow
from state.studies import Study

KEYS = (
    (START, "Preprocess the files"),
    (STOP, "Stop the work under way"),
    (NEXT_ITEM, "Next file"),
    (PREVIOUS_ITEM, "Previous file"),
    (UNDO, "Put back the file taken out last"),
)
_WAITING = "upload_waits_for"


def page() -> None:
    begin_page()
    page_header("Upload", "Bring strips in, see what was read from them, and what was found on them.", KEYS)
    study = session.study()
    files.drop_zone(study)
    if study is None:
        st.markdown("Drop a file to begin. A study is made for it; in the side bar you can name one yourself.")
        return
    job = job_panel([PREPROCESS])
    run = session.preprocess_run()
    if job is not None and job.status == DONE and st.session_state.get(_WAITING) == job.id:
        del st.session_state[_WAITING]
        st.session_state[view_key(study.id)] = OVERVIEW
    view = FILES
    if run is not None:
        view = _view(study)
    if view == FILES or run is None:
        files_and_settings(study, run)
    else:
        the_overview(study, run)


def _view(study: Study) -> str:
    key = view_key(study.id)
    st.session_state.setdefault(key, OVERVIEW)
    picked = st.segmented_control(
        "View", [OVERVIEW, FILES], key=key, required=True, label_visibility="collapsed", persist_state="session"
    )
    return str(picked)


def files_and_settings(study: Study, run: RunRow | None) -> None:
    before = PreprocessConfig.from_dict(run.config) if run is not None else PreprocessConfig(profile=OFFERED_FIRST)
    listed = st.container()
    if not session.store().files.all(study.id):
        files.taken_out(study)
        st.markdown(f"**{study.name}** has no files yet. Drop a spreadsheet or a WFDB record above.")
        return
    st.subheader("Settings", anchor=False)
    config = settings(study, before)
    with listed:
        looked = files.looked_at(study, config or before)
        shown = files.file_list(study, looked)
        files.taken_out(study)
        if shown is not None:
            upload_columns.look_closer(study, shown)
    waiting = busy([PREPROCESS])
    ready = [one for one in looked if one.ready]
    rows = sum(one.preview.n_rows for one in ready if one.preview)
    told = changed(config, used(ALL, config.profile)) if config else []
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.button(
            "Preprocess",
            type="primary",
            key="preprocess",
            shortcut=START,
            icon=":material/play_arrow:",
            disabled=config is None or waiting or not ready,
            on_click=attempt,
            args=(lambda: _start(study, config, looked),),
        )
        if waiting:
            st.caption("Preprocessing is under way.", width="content")
        elif not ready:
            words = "No file can be read yet: add one, or say which column holds the wave."
            st.caption(words, width="content")
        elif config is not None:
            of = many(len(ready), "file") if len(ready) == len(looked) else f"{len(ready)} of {len(looked)} files"
            words = f"{many(rows, 'row')} of {of}, {NAMES[config.profile]} profile."
            st.caption(f"{words} Changed settings: {', '.join(told) or 'none'}.", width="content")


def _start(study: Study, config: PreprocessConfig | None, looked: list[files.Looked]) -> str | None:
    if config is None:
        return None
    ready = files.refuse_without_files(looked)
    params: dict[str, Any] = {"config": config.to_dict()}
    columns = upload_columns.columns_asked(study, ready)
    if columns:
        params["columns"] = columns
    if len(ready) < len(looked):
        params["files"] = files.ids_of(study, ready)
    return _submit(study, params)


def _again(study: Study, run: RunRow) -> str | None:
    looked = files.looked_at(study, PreprocessConfig.from_dict(run.config))
    return _start(study, PreprocessConfig.from_dict({**run.config, "units_per_mv": study.units_per_mv}), looked)


def _submit(study: Study, params: dict[str, Any]) -> str | None:
    job = session.store().jobs.submit(study.id, PREPROCESS, params)
    st.session_state[_WAITING] = job.id
    files.forget_messages()
    session.choose(run=None, strip=None, beat=None, prototype=None)  # the new run is shown once it is there
    return None


def the_overview(study: Study, run: RunRow) -> None:
    overview.choose_run(run)
    overview.figures_of(run)
    warnings(run, busy([PREPROCESS]), lambda: _again(study, run))
    overview.skipped(run)
    overview.labels_and_noise(run)
    overview.shapes(run)
    overview.made_with(run)


page()
