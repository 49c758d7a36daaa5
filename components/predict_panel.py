"""Choosing a model, a preprocessing run and limits, and letting the model read."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.frame import told
from components.jobs import busy
from components.keymap import START
from components.outcome import attempt
from components.pickers import distinct
from components.review_view import KIND
from components.training_figures import trained_in
from components.words import when
from ecg_engine.bundle import Bundle
from ecg_engine.config import ARRHYTHMIA, PredictConfig
from ecg_engine.errors import EngineError
from state import session
from state.models import ModelRow
from state.runs import PREPROCESS, RunRow


def predict_panel(source: RunRow, models: list[ModelRow]) -> None:
    """Everything that starts a prediction."""
    store = session.store()
    runs = store.runs.all(source.study_id, PREPROCESS)
    left, right = st.columns(2)
    model = _model_picker(left, models)
    _run_picker(right, runs, source)
    bundle = None
    with told():
        bundle = session.bundle(model)
    if bundle is None:
        st.caption("Choose another model, or train one on the Training page.")
        return
    fits = True
    try:
        bundle.check_fits(session.load(source))
    except EngineError as error:
        fits = False
        st.error(str(error), icon=":material/error:")
    asked = _limits(model, bundle)
    waiting = busy([KIND])
    st.button(
        "Predict",
        type="primary",
        shortcut=START,
        icon=":material/play_arrow:",
        key="predict",
        disabled=waiting or not fits,
        help="The model reads every beat, noisy ones too; it runs beside your work."
        if bundle.profile == ARRHYTHMIA
        else "The model reads every beat that is not noise; it runs beside your work.",
        on_click=attempt,
        args=(lambda: _start(source, model, asked),),
    )


def _start(source: RunRow, model: ModelRow, config: PredictConfig) -> None:
    params: dict[str, Any] = {"model": model.id, "run": source.id, "config": config.to_dict()}
    session.store().jobs.submit(source.study_id, KIND, params)
    session.choose(prediction=None)  # the newest is shown once it is there


def _model_picker(place: Any, models: list[ModelRow]) -> ModelRow:
    by_id = {model.id: model for model in models}
    current = next((model.id for model in models if model.current), models[0].id)
    chosen = session.chosen("model")

    words = distinct({model.id: _model_words(model) for model in models})
    options = list(by_id)
    key = f"predict_model_{len(models)}_{current}"
    picked = place.selectbox(
        "Model",
        options,
        index=options.index(chosen if chosen in by_id else current),
        format_func=lambda id: words.get(id, "?"),
        key=key,
        on_change=lambda: session.choose(model=st.session_state[key]),
        help="The current model unless you choose another.",
    )
    return by_id[picked]


def _model_words(model: ModelRow) -> str:
    accuracy = model.metrics.get("class_acc")
    right = "of strips right" if trained_in(model.metrics) == ARRHYTHMIA else "right"
    figures = f", {accuracy:.0%} {right} on held-out patients" if isinstance(accuracy, float) else ""
    return f"{model.name} ({model.status}{figures})"


def _run_picker(place: Any, runs: list[RunRow], source: RunRow) -> None:
    words = distinct(
        {run.id: f"{when(run.created_at)}, {run.summary.get('beats_extracted', 0):,} beats" for run in runs[::-1]}
    )
    options = list(words)[::-1]
    key = f"predict_run_{len(runs)}"
    place.selectbox(
        "Strips, as preprocessed on",
        options,
        index=options.index(source.id),
        format_func=lambda id: words.get(id, "?"),
        key=key,
        on_change=lambda: session.choose(run=st.session_state[key], prediction=None),
    )


def _limits(model: ModelRow, bundle: Bundle) -> PredictConfig:
    """Limits beyond which a beat goes to review; the model's own until changed."""
    own = bundle.predict
    arrhythmia = bundle.profile == ARRHYTHMIA
    no_gate = bundle.model == "context"
    first, second, third = st.columns(3)
    confidence = first.number_input(
        "Least confidence (%)",
        min_value=0,
        max_value=100,
        step=5,
        value=round(own.min_class_conf * 100),
        key=f"limit_confidence_{model.id}",
        persist_state="session",
        help="A beat whose class the model is less sure of goes to review.",
    )
    noise = second.number_input(
        "Most noise probability (%)",
        min_value=0,
        max_value=100,
        step=5,
        value=round(own.max_noise_prob * 100),
        key=f"limit_noise_prob_{model.id}",
        persist_state="session",
        disabled=no_gate,
        help="This model cannot tell noise." if no_gate else "A beat that is more likely noise goes to review.",
    )
    common = {"min_class_conf": confidence / 100, "max_noise_prob": noise / 100}
    if arrhythmia:
        return PredictConfig(**common, min_known_share=_strangest(third, model, bundle) / 100)
    return PredictConfig(**common, min_proto_sim=_least_alike(third, model, bundle))


def _strangest(place: Any, model: ModelRow, bundle: Bundle) -> float:
    """How strange a strip may be, in %."""
    unknown = bundle.arrhythmia is None or bundle.arrhythmia.known is None
    return float(
        place.number_input(
            "Rarest pattern that is let through (%)",
            min_value=0.0,
            max_value=100.0,
            step=1.0,
            value=bundle.predict.min_known_share * 100,
            format="%.1f",
            key=f"limit_pattern_{model.id}",
            persist_state="session",
            disabled=unknown,
            help="This model was trained on too few patients to say which patterns it knows."
            if unknown
            else "A strip goes to review if fewer of the strips that the model knows are as strange.",
        )
    )


def _least_alike(place: Any, model: ModelRow, bundle: Bundle) -> float:
    """Least similarity to a known shape."""
    no_shapes = bundle.model == "context" or bundle.bank is None or not len(bundle.bank)
    alike = place.number_input(
        "Least similarity to known shapes",
        min_value=-1.0,
        max_value=1.0,
        step=0.05,
        value=bundle.predict.min_proto_sim,
        key=f"limit_similarity_{model.id}",
        persist_state="session",
        disabled=no_shapes,
        help="This model knows no prototypes, so the test is left out."
        if no_shapes
        else "A beat that is less like all prototypes of the model goes to review (1 is the same shape).",
    )
    return min(max(float(alike), -1.0), 1.0)
