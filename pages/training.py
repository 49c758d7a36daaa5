"""Training: what there is to learn from, a network learning live, models beside each other, retraining in one click."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from components.frame import empty_state, page_header
from components.jobs import busy, job_panel
from components.keymap import RETRAIN, START, STOP, UNDO
from components.outcome import attempt, begin_page
from components.profiles import profile_of, told_profile
from components.training_data import data_there_is, device_found
from components.training_figures import curves, detail, trained_in
from components.training_models import actions, bring_model, model_list
from components.training_settings import training_settings
from ecg_engine.config import TrainConfig
from state import session
from state.jobs import DONE, Job
from state.models import ModelRow
from state.runs import PREPROCESS, TRAIN, RunRow
from state.studies import Study

KINDS = ("train", "retrain")
WAITING = "training_waits_for"
KEYS = (
    (START, "Train a new model with these settings"),
    (RETRAIN, "Retrain on what has been decided by now"),
    (STOP, "Stop the work under way"),
    (UNDO, "Back to the model that was current before"),
)


def page() -> None:
    begin_page()
    page_header("Training", "Teach a network with the labels as they stand now, and see how it does.", KEYS)
    study, run = session.study(), session.preprocess_run()
    if study is None or run is None:
        empty_state(
            "Nothing to learn from yet",
            "Bring a file of strips and preprocess it; its labelled beats are what a network learns from.",
            action="Go to Upload",
            page="pages/upload.py",
        )
        return
    models = session.store().models.all(study.id)
    show_when_done(job_panel(KINDS, draw=live), models)
    waiting = busy(KINDS)
    retrain_row(study, models, waiting)
    if models:
        st.subheader("Models", anchor=False)
        chosen = model_list(models)
        actions(chosen, models)
        detail(chosen)
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("What there is to learn from", anchor=False)
        enough = data_there_is(run)
    with right:
        st.subheader("Train a new model", anchor=False)
        train_form(study, run, models, enough and not waiting)
        if waiting:
            st.caption("A training is under way; it is shown above.")
        with st.expander("Bring a model", icon=":material/upload:"):
            bring_model(study)


def show_when_done(job: Job | None, models: list[ModelRow]) -> None:
    """Choose the model that was waited for, once it is there; one that was stopped may be tried again."""
    if job is not None and job.status == DONE and st.session_state.get(WAITING) == job.id:
        del st.session_state[WAITING]
        for model in models:
            if model.run_id == job.run_id:
                session.choose(model=model.id)


def live(job: Job) -> None:
    """The curves of the epochs so far."""
    rows = job.detail.get("history") or []
    if rows:
        # An account of several networks says itself how many epochs there will be.
        epochs = rows[-1].get("epochs") or job.detail.get("epochs")
        st.caption(f"Epoch {rows[-1]['epoch']} of {epochs or '?'}: {told_epoch(rows[-1])}")
        curves(pd.DataFrame(rows), f"live_{job.id}", epochs, height=320)


def told_epoch(row: Mapping[str, Any]) -> str:
    """What an epoch came to."""
    parts = [str(row["net"])] if row.get("net") else []
    if row.get("class_acc") is not None:
        parts.append(f"{row['class_acc']:.1%} of held-out beats right")
    elif row.get("val_loss") is not None:
        parts.append(f"held-out loss {row['val_loss']:.3f}")
    return ", ".join([*parts, f"{row['seconds']:.1f} s an epoch"])


def retrain_row(study: Study, models: list[ModelRow], waiting: bool) -> None:
    """One click: labels as they stand now, a new model, both judged on the same patients."""
    if not models:
        return
    left, right = st.columns([0.25, 0.75], vertical_alignment="center")
    left.button(
        "Retrain",
        key="retrain",
        type="primary",
        shortcut=RETRAIN,
        icon=":material/autorenew:",
        width="stretch",
        disabled=waiting,
        on_click=attempt,
        args=(lambda: _submit(study, "retrain", {}),),
    )
    right.caption(
        "Takes every decision made by now, trains with the settings of the current model, and lists the new one beside "
        "it, both judged on the same held-out patients. The current model stays until you make another current."
        + _other_profile(study, models)
    )


def _other_profile(study: Study, models: list[ModelRow]) -> str:
    """A sentence where the newest run was made in another profile than the current model's."""
    current = next((model for model in models if model.current), None)
    newest = session.store().runs.newest(study.id, PREPROCESS)
    if current is None or newest is None:
        return ""
    mine, its = trained_in(current.metrics), profile_of(newest)
    if mine == its:
        return ""
    return (
        f" **{current.name} is of the {mine} profile, the newest run of the {its} profile: train a new model below "
        "instead.**"
    )


def train_form(study: Study, run: RunRow, models: list[ModelRow], ready: bool) -> None:
    profile = profile_of(run)
    told_profile(profile)
    config = training_settings(study, _settings_before(study, profile))
    device_found()
    st.button(
        "Train",
        key="train",
        type="secondary" if models else "primary",
        shortcut=START,
        icon=":material/play_arrow:",
        disabled=config is None or not ready,
        on_click=attempt,
        args=(lambda: _submit(study, "train", {"config": config.to_dict(), "runs": [run.id]}) if config else None,),
    )


def _settings_before(study: Study, profile: str) -> TrainConfig:
    """What the newest training of the profile was done with, or the defaults."""
    known = TrainConfig().to_dict().keys()
    for run in session.store().runs.all(study.id, TRAIN):
        if profile_of(run) == profile and run.config:
            return TrainConfig.from_dict({name: value for name, value in run.config.items() if name in known})
    return TrainConfig(profile=profile)


def _submit(study: Study, kind: str, params: dict[str, object]) -> None:
    st.session_state[WAITING] = session.store().jobs.submit(study.id, kind, params).id


page()
