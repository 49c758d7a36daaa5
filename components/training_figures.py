"""Figures of a model: on its held-out patients, beside the model that was current, and its curves by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from components.downloads import run_downloads, table_download
from components.theme import confusion_chart
from components.words import listed, many
from ecg_engine.config import ARRHYTHMIA, REFERENCE
from ecg_engine.datasets import BY_HASH
from ecg_engine.figures import curves_figure
from ecg_engine.labels import label_name
from state import session
from state.models import ModelRow

BY_BEATS = {
    "class_acc": "Right on held-out beats",
    "macro_f1": "Mean F1 over the labels",
    "gate_acc": "Noise gate right",
    "coverage_at_98": "Read with 98 % right",
    "ece": "Calibration error",
}
BY_STRIPS = {"class_acc": "Strips with the right finding", "macro_f1": "Mean F1 over the findings"}
"""Figures of a model, by what it is judged by: beats in the reference profile, strips in the arrhythmia profile."""


def trained_in(metrics: Mapping[str, Any]) -> str:
    """The profile that a model was trained in, by its figures."""
    return str(metrics.get("profile", REFERENCE))


def detail(model: ModelRow) -> None:
    """Everything that is known of one model."""
    metrics = model.metrics
    by_strips = trained_in(metrics) == ARRHYTHMIA
    judged = "held-out strips" if by_strips else "held-out beats"
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
            confusion_chart(
                metrics.get("confusion_matrix_non_noise") or [], classes, key="training_confusion", of=judged
            )
        with right:
            if by_strips:
                _strips_right(metrics)
            _report(report, f"Figures of each label on {judged}", "Strips" if by_strips else "Beats")
            _by_beats(metrics, by_strips)
            _calibration(metrics.get("calibration") or {})
            table_download(pd.DataFrame(report), "class_report.csv", label="Download the figures", key="report_csv")
    _curves(model)
    run_downloads(session.store().runs.get(model.run_id), title="Files of this training")


def _strips_right(metrics: Mapping[str, Any]) -> None:
    right, strips = metrics.get("class_acc"), metrics.get("num_strips_held_out", 0)
    if right is not None:
        st.markdown(f"**{right:.0%} of {many(strips, 'held-out strip')}** have the finding that their label says.")


def _by_beats(metrics: Mapping[str, Any], by_strips: bool) -> None:
    """The report by AAMI class; in the arrhythmia profile of the beats that readers labelled."""
    if metrics.get("aami_report"):
        whose = ", beats that readers labelled" if by_strips else ""
        st.caption(f"EC57-style, by AAMI class (N normal, S supraventricular, V ventricular){whose}:")
        _report(metrics["aami_report"], "Figures of each AAMI class on held-out beats")
    elif by_strips:
        st.caption("No reader has labelled beats of these patients, so there are no figures by beat.")


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
        names = _named([str(name) for name in held])
        if trained_in(metrics) == ARRHYTHMIA:
            st.markdown(
                f"Judged on {many(len(held), what)} never seen{f' ({names})' if names else ''}, by networks trained on "
                f"the other {len(trained):,}. The networks that predict learned from all {len(held) + len(trained):,}."
            )
        else:
            st.markdown(
                f"Trained on {many(len(trained), what)}, judged on {many(len(held), what)} never seen"
                f"{f': {names}' if names else ''}."
            )
    _notes(metrics)


def _named(held: list[str]) -> str:
    """The first of the patients held out; nothing for strips, whose names are hashes."""
    if all(name.startswith(BY_HASH) for name in held):
        return ""
    return listed(held[:12]) + (f" and {len(held) - 12} more" if len(held) > 12 else "")


def _notes(told: Mapping[str, Any]) -> None:
    notes = told.get("notes") or []
    if notes:
        st.caption("  \n".join(f":material/info: {note}" for note in notes))


def _report(rows: Sequence[Mapping[str, Any]], alt: str, counted: str = "Beats") -> None:
    what = counted.lower()
    st.dataframe(
        pd.DataFrame(rows)[["name", "se", "ppv", "f1", "support"]],
        hide_index=True,
        width="stretch",
        height="content",
        placeholder="–",
        column_config={
            "name": "Label",
            "se": st.column_config.NumberColumn("Se", format="%.3f", help=f"Share of its {what} that were found."),
            "ppv": st.column_config.NumberColumn("+P", format="%.3f", help=f"Share of the {what} called so that are."),
            "f1": st.column_config.NumberColumn("F1", format="%.3f"),
            "support": st.column_config.NumberColumn(counted, format="localized"),
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
    with st.expander("Curves by epoch", icon=":material/show_chart:"):
        curves(history, "training_curves")


def curves(history: pd.DataFrame, key: str, epochs: int | None = None, *, height: int = 440) -> None:
    """The curves by epoch, so far; with ``epochs``, the axis leaves room for those to come."""
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
        by_strips = trained_in(model.metrics) == ARRHYTHMIA
        figures = BY_STRIPS if by_strips else BY_BEATS
        rows = [
            {"figure": words, "before": theirs.get(key), "now": ours.get(key), "change": _change(ours, theirs, key)}
            for key, words in figures.items()
        ]
        rows += _label_rows(ours, theirs, "class_report") + _label_rows(
            ours, theirs, "aami_report" if by_strips else ""
        )
        held = [str(name) for name in told.get("patients") or []]
        what = (
            many(ours.get("num_strips_held_out", 0), "strip") if by_strips else many(ours.get("num_beats", 0), "beat")
        )
        whose = "held-out strip" if all(name.startswith(BY_HASH) for name in held) else "held-out patient"
        st.dataframe(
            pd.DataFrame(rows),
            hide_index=True,
            width="stretch",
            height="content",
            placeholder="–",
            column_config={
                "figure": f"On the same {what} of {many(len(held), whose)}",
                "before": st.column_config.NumberColumn(name, format="%.3f"),
                "now": st.column_config.NumberColumn(model.name, format="%.3f"),
                "change": st.column_config.NumberColumn("Change", format="%+.3f"),
            },
            alt=f"Figures of {model.name} beside {name}",
        )
    _notes(told)


def _label_rows(ours: Mapping[str, Any], theirs: Mapping[str, Any], report: str) -> list[dict[str, Any]]:
    """F1 of each label or AAMI class that occurs."""
    before = {row["label"]: row["f1"] for row in theirs.get(report) or ()}
    rows = []
    for row in ours.get(report) or ():
        if not row["support"]:
            continue
        then, now, label = before.get(row["label"]), row["f1"], row["label"]
        name = label_name(label) if isinstance(label, int) else f"{label}, labelled beats"
        change = None if now is None or then is None else now - then
        rows.append({"figure": f"F1 of {name}", "before": then, "now": now, "change": change})
    return rows


def _change(ours: Mapping[str, Any], theirs: Mapping[str, Any], key: str) -> float | None:
    now, before = ours.get(key), theirs.get(key)
    return None if now is None or before is None else float(now) - float(before)
