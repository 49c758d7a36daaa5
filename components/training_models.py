"""The models of a study, and what can be done with the chosen one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from components.keymap import UNDO
from components.outcome import attempt
from components.profiles import NAMES
from components.training_figures import trained_in
from components.words import listed, when
from state import session
from state.importing import import_bundle
from state.models import ModelRow
from state.studies import Study

_BEFORE = "current_before"
_RIGHT = "Reference profile: of the held-out beats. Arrhythmia profile: of the held-out strips, by their finding."


def macro_f1(metrics: Mapping[str, Any]) -> float | None:
    """Mean F1 over the labels that the held-out beats have."""
    scores = [row["f1"] for row in metrics.get("class_report") or [] if row.get("support") and row["f1"] is not None]
    return sum(scores) / len(scores) if scores else None


def model_list(models: Sequence[ModelRow]) -> ModelRow:
    """The table of models, newest first; a click chooses. Returns the chosen one."""
    gates = any(model.metrics.get("gate_acc") is not None for model in models)
    rows = [
        {
            "model": model.name,
            "status": model.status,
            "profile": NAMES[trained_in(model.metrics)],
            "right": _percent(model.metrics.get("class_acc")),
            "f1": macro_f1(model.metrics),
            **({"gate": _percent(model.metrics.get("gate_acc"))} if gates else {}),
            "held_out": len(model.metrics.get("patients_val") or []),
            "split": {"patient": "patients", "beat": "beats (flatters)", "strip": "strips"}.get(
                str(model.metrics.get("split")), "not known"
            ),
            "made": when(model.created_at),
        }
        for model in models
    ]
    ids = [model.id for model in models]
    chosen = session.chosen("model")
    place = ids.index(chosen) if chosen in ids else next((i for i, m in enumerate(models) if m.current), 0)
    key = f"models_{len(models)}_{hash(tuple((m.name, m.status) for m in models))}"
    picked = st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        width="stretch",
        height="content",
        key=key,
        on_select="rerun",
        selection_mode="single-row",
        selection_default={"selection": {"rows": [place]}},
        column_config={
            "model": "Model",
            "status": st.column_config.TextColumn("Status", help="The current one predicts unless another is chosen."),
            "profile": st.column_config.TextColumn("Profile", help="A model reads runs of its own profile."),
            "right": st.column_config.NumberColumn("Right (%)", format="%.1f", help=_RIGHT),
            "f1": st.column_config.NumberColumn("Mean F1", format="%.3f", help="Over the labels, rare ones alike."),
            "gate": st.column_config.NumberColumn("Noise gate right (%)", format="%.1f"),
            "held_out": st.column_config.NumberColumn("Held out", help="Patients (or strips) kept for the figures."),
            "split": "Split by",
            "made": "Made",
        },
        alt="Models with their figures on held-out patients",
    )
    selected = picked["selection"]["rows"]
    if selected and ids[selected[0]] != ids[place]:
        session.choose(model=ids[selected[0]])
        place = selected[0]
    return models[place]


def actions(model: ModelRow, models: Sequence[ModelRow]) -> None:
    """Make current, rename, download."""
    store = session.store()
    first, second, third = st.columns(3)
    current = next((other for other in models if other.current), None)
    before = next((other for other in models if other.id == st.session_state.get(_BEFORE) and not other.current), None)
    if model.current and before is not None:
        first.button(
            f"Back to {before.name}",
            key="current_back",
            icon=":material/undo:",
            shortcut=UNDO,
            width="stretch",
            help=f"Makes {before.name} the current model again.",
            on_click=attempt,
            args=(lambda: _make_current(before, None),),
        )
    else:
        with first.popover("Make current", icon=":material/verified:", width="stretch", disabled=model.current):
            instead = f" instead of {current.name}" if current else ""
            st.write(f"**{model.name}** will predict{instead} from now on. Earlier predictions stay; you can go back.")
            st.button(
                "Yes, make it current",
                key="make_current",
                type="primary",
                on_click=attempt,
                args=(lambda: _make_current(model, current),),
            )
    with second.popover("Rename", icon=":material/edit:", width="stretch"), st.form("rename_model", border=False):
        st.text_input("Name of the model", value=model.name, key=f"name_{model.id}")
        st.form_submit_button("Rename", on_click=lambda: attempt(lambda: _rename(model)))
    path = store.models.path(model)
    third.download_button(
        "Download the model",
        data=lambda: path.open("rb"),
        file_name=f"{model.name}.pt",
        key=f"download_{model.id}",
        on_click="ignore",
        icon=":material/download:",
        width="stretch",
        disabled=not path.exists(),
        help="One file that predicts anywhere: weights, labels, prototypes, settings and figures.",
    )


def _make_current(model: ModelRow, instead: ModelRow | None) -> str:
    session.store().models.make_current(model.id)
    session.choose(model=model.id)
    st.session_state[_BEFORE] = instead.id if instead else None
    return f"{model.name} is the current model."


def _rename(model: ModelRow) -> str:
    renamed = session.store().models.rename(model.id, st.session_state[f"name_{model.id}"])
    return f"{model.name} is now called {renamed.name}."


def _percent(value: Any) -> float | None:
    return None if value is None else float(value) * 100


def bring_model(study: Study) -> None:
    """Take in a model bundle that was trained elsewhere."""
    turn = st.session_state.setdefault("bring_turn", 0)
    key = f"bring_model_{turn}"

    def take() -> str | None:
        files = st.session_state[key] or []
        st.session_state["bring_turn"] = turn + 1
        names = [import_bundle(session.store(), study.id, file.name, file.getvalue()).name for file in files]
        if not names:
            return None
        session.choose(model=None)
        return f"Taken in: {listed(names)}."

    st.file_uploader(
        "Bring a model that was trained elsewhere (a model bundle, .pt)",
        type=["pt"],
        accept_multiple_files=True,
        key=key,
        on_change=attempt,
        args=(take,),
    )
