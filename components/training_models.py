"""The models of a study: their figures, the chosen one in detail, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from components.downloads import run_downloads, table_download
from components.keymap import UNDO
from components.outcome import attempt
from components.theme import confusion_chart
from components.words import listed, many, when
from ecg_engine.figures import curves_figure
from ecg_engine.labels import label_name
from state import session
from state.importing import import_bundle
from state.models import ModelRow
from state.studies import Study

_BEFORE = "current_before"
FIGURES = {
    "class_acc": "Right on held-out beats",
    "macro_f1": "Mean F1 over the labels",
    "gate_acc": "Noise gate right",
    "coverage_at_98": "Read with 98 % right",
    "ece": "Calibration error",
}


def macro_f1(metrics: Mapping[str, Any]) -> float | None:
    """Mean F1 over the labels that the held-out beats have."""
    scores = [row["f1"] for row in metrics.get("class_report") or [] if row.get("support") and row["f1"] is not None]
    return sum(scores) / len(scores) if scores else None


def model_list(models: Sequence[ModelRow]) -> ModelRow:
    """The table of models, newest first; a click chooses. Returns the chosen one."""
    rows = [
        {
            "model": model.name,
            "status": model.status,
            "right": _percent(model.metrics.get("class_acc")),
            "f1": macro_f1(model.metrics),
            "gate": _percent(model.metrics.get("gate_acc")),
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
            "right": st.column_config.NumberColumn("Right (%)", format="%.1f", help="Of the held-out beats."),
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


def detail(model: ModelRow) -> None:
    """Everything that is known of one model."""
    metrics = model.metrics
    if model.comparison:
        comparison(model, model.comparison)
    _split(metrics)
    report = metrics.get("class_report")
    if not report:
        st.info("This model brings no figures of held-out patients.", icon=":material/info:")
    else:
        left, right = st.columns([0.52, 0.48], gap="medium")
        with left:
            classes = [int(value) for value in metrics.get("raw_class_values") or []]
            confusion_chart(metrics.get("confusion_matrix_non_noise") or [], classes, key="training_confusion")
        with right:
            _report(report, "Figures of each label on held-out beats")
            if metrics.get("aami_report"):
                st.caption("EC57-style, by AAMI class (N normal, S supraventricular, V ventricular):")
                _report(metrics["aami_report"], "Figures of each AAMI class on held-out beats")
            _calibration(metrics.get("calibration") or {})
            table_download(pd.DataFrame(report), "class_report.csv", label="Download the figures", key="report_csv")
    _curves(model)
    run_downloads(session.store().runs.get(model.run_id), title="Files of this training")


def _split(metrics: Mapping[str, Any]) -> None:
    held, trained = metrics.get("patients_val") or [], metrics.get("patients_train") or []
    kind = metrics.get("split")
    if kind == "beat":
        st.warning(
            "Split by beat: beats of one patient are on both sides, so these figures flatter. "
            "Train with whole patients held out to know how good the model is.",
            icon=":material/warning:",
        )
    elif held:
        what = "strip" if kind == "strip" else "patient"
        names = listed([str(name) for name in held[:12]])
        more = f" and {len(held) - 12} more" if len(held) > 12 else ""
        st.markdown(
            f"Trained on {many(len(trained), what)}, judged on {many(len(held), what)} never seen: {names}{more}."
        )
    _notes(metrics)


def _notes(told: Mapping[str, Any]) -> None:
    notes = told.get("notes") or []
    if notes:
        st.caption("  \n".join(f":material/info: {note}" for note in notes))


def _report(rows: Sequence[Mapping[str, Any]], alt: str) -> None:
    st.dataframe(
        pd.DataFrame(rows)[["name", "se", "ppv", "f1", "support"]],
        hide_index=True,
        width="stretch",
        height="content",
        placeholder="–",
        column_config={
            "name": "Label",
            "se": st.column_config.NumberColumn("Se", format="%.3f", help="Share of its beats that were found."),
            "ppv": st.column_config.NumberColumn("+P", format="%.3f", help="Share of the beats called so that are."),
            "f1": st.column_config.NumberColumn("F1", format="%.3f"),
            "support": st.column_config.NumberColumn("Beats", format="localized"),
        },
        alt=alt,
    )


def _calibration(values: Mapping[str, Any]) -> None:
    before, after = values.get("ece_before"), values.get("ece_after")
    if isinstance(before, float) and isinstance(after, float):
        st.caption(
            f"Calibration error {before:.3f}: the confidence is off by so much on average "
            f"(after temperature scaling {after:.3f}; predictions use the unscaled one)."
        )


def _curves(model: ModelRow) -> None:
    history = session.table(session.store().runs.get(model.run_id), "training_history.csv")
    if history is None:
        return
    with st.expander("Loss and accuracy by epoch", icon=":material/show_chart:"):
        curves(history, "training_curves")


def curves(history: pd.DataFrame, key: str, epochs: int | None = None, *, height: int = 440) -> None:
    """Loss and accuracy by epoch, so far; with ``epochs``, the axis leaves room for those to come."""
    figure = curves_figure(history).update_layout(height=height)
    if epochs:
        figure.update_xaxes(range=[0, epochs + 0.5], **({"dtick": 1} if epochs <= 15 else {"dtick": None}))
    st.plotly_chart(figure, key=key, config={"displayModeBar": False}, alt=str(figure.layout.meta["alt"]))


def comparison(model: ModelRow, told: Mapping[str, Any]) -> None:
    """A retrained model beside the one that was current then, on the same held-out patients."""
    name = str(told.get("current_name", "the model before"))
    st.markdown(f"##### {model.name} beside {name}")
    ours, theirs = told.get("candidate"), told.get("current")
    if ours and theirs:
        rows = [
            {"figure": words, "before": theirs.get(key), "now": ours.get(key), "change": _change(ours, theirs, key)}
            for key, words in FIGURES.items()
        ]
        rows += _label_rows(ours, theirs)
        beats, patients = ours.get("num_beats", 0), len(told.get("patients") or [])
        st.dataframe(
            pd.DataFrame(rows),
            hide_index=True,
            width="stretch",
            height="content",
            placeholder="–",
            column_config={
                "figure": f"On the same {many(beats, 'beat')} of {many(patients, 'held-out patient')}",
                "before": st.column_config.NumberColumn(name, format="%.3f"),
                "now": st.column_config.NumberColumn(model.name, format="%.3f"),
                "change": st.column_config.NumberColumn("Change", format="%+.3f"),
            },
            alt=f"Figures of {model.name} beside {name}",
        )
    _notes(told)


def _label_rows(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[dict[str, Any]]:
    before = {row["label"]: row["f1"] for row in theirs["class_report"]}
    return [
        {
            "figure": f"F1 of {label_name(row['label'])}",
            "before": before.get(row["label"]),
            "now": row["f1"],
            "change": None
            if row["f1"] is None or before.get(row["label"]) is None
            else row["f1"] - before[row["label"]],
        }
        for row in ours["class_report"]
        if row["support"]
    ]


def _change(ours: Mapping[str, Any], theirs: Mapping[str, Any], key: str) -> float | None:
    now, before = ours.get(key), theirs.get(key)
    return None if now is None or before is None else float(now) - float(before)


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
