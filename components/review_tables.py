"""Beats and strips of a prediction as tables that can be filtered, opened and taken away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from components.downloads import table_download
from components.review_view import View, open_strip, patient_name, settled
from ecg_engine.figures import reasons_text
from ecg_engine.labels import label_name
from ecg_engine.prediction import BEATS_FILE, STRIPS_FILE
from ecg_engine.queue import REASON_TITLES
from state.strip_findings import class_shares, finding_names

_FINDING, _MAJORITY = ("Finding", "strip_finding_name"), ("Final label", "strip_pred_name")
SHOWN = 1000
"""Rows that a table shows at most: more are narrowed down by the filters, or downloaded."""


def beats_table(view: View) -> None:
    """All beats with what the model made of them."""
    beats = view.beats
    kept = _filtered(
        beats,
        "beats",
        [("Label", "record_label_name"), ("Final label", "final_label_name"), ("Patient", "patient_id")],
    )
    rows = kept["row"].to_numpy()[:SHOWN]
    shown = kept.head(SHOWN)
    table = pd.DataFrame(
        {
            "strip": shown["source_row"],
            "patient": shown["patient_id"].map(patient_name),
            "beat": shown["beat_index_in_record"] + 1,
            "time": shown["r_time_sec"],
            "label": shown["record_label_name"],
            "final": shown["final_label_name"],
            "suggestion": shown["pred_label_name"],
            "confidence": shown["pred_conf"] * 100,
            "noise": shown["noise_prob"] * 100,
            "noisy": shown["noise_reason"].map(reasons_text) if "noise_reason" in shown else "",
            **_more_of_beats(shown),
            "why": shown["review_reason"].map(reasons_in_words),
            "settled": np.where(
                settled(view, rows), [label_name(int(value)) for value in view.effective.labels[rows]], ""
            ),
        }
    )
    _said_how_many(len(kept), len(beats), "beats")
    _table(
        table,
        f"review_beats_{view.row.id}",
        shown["source_row"].tolist(),
        shown["beat_global_id"].tolist(),
        alt=f"{len(table)} beats with the labels that the model gave them",
        column_config={
            "strip": st.column_config.NumberColumn("Strip", format="%d"),
            "patient": "Patient",
            "beat": st.column_config.NumberColumn("Beat", format="%d"),
            "time": st.column_config.NumberColumn("Time", format="%.2f s"),
            "label": "Strip's label",
            "final": "Final label",
            "suggestion": "Model's class",
            "confidence": st.column_config.NumberColumn("Confidence", format="%.0f %%"),
            "noise": st.column_config.NumberColumn("Noise", format="%.0f %%"),
            "similarity": st.column_config.NumberColumn("Similarity", format="%.2f"),
            "aami": st.column_config.TextColumn("AAMI", help="N, S, V, F, or Q where there are no QRS complexes"),
            "classes": st.column_config.TextColumn("By class", help="How likely each class is"),
            "why": "Why in review",
            "noisy": st.column_config.TextColumn("Noise because", help="What preprocessing said of its noise"),
            "settled": st.column_config.TextColumn("Settled as", help="What a reader said of the beat"),
        },
    )
    table_download(kept.drop(columns="row"), BEATS_FILE, label=f"Download these {len(kept):,} beats", key="beats_csv")


def _more_of_beats(shown: pd.DataFrame) -> dict[str, Any]:
    """What a prediction says besides, by its profile."""
    if "aami" not in shown:
        return {"similarity": shown["max_proto_sim"]}
    return {"aami": shown["aami"].fillna(""), "classes": class_shares(shown)}


def strips_table(view: View) -> None:
    """All strips with the label that most of their beats got."""
    strips, found = view.strips, "strip_finding_name" in view.strips
    kept = _filtered(
        strips,
        "strips",
        [("Label", "record_label_name"), _FINDING if found else _MAJORITY, ("Patient", "patient_id")],
    )
    shown = kept.head(SHOWN)
    table = pd.DataFrame(
        {
            "strip": shown["source_row"],
            "patient": shown["patient_id"].map(patient_name),
            "label": shown["record_label_name"],
            **_findings(shown, found, view.config.min_known_share),
            "final": shown["strip_pred_name"],
            "share": shown["strip_pred_ratio"] * 100,
            "beats": shown["num_beats"],
            "review": shown["num_review"],
            "noise": shown["num_noise"],
        }
    )
    _said_how_many(len(kept), len(strips), "strips")
    _table(
        table,
        f"review_strips_{view.row.id}",
        shown["source_row"].tolist(),
        [None] * len(shown),
        alt=f"{len(table)} strips with the labels that the model gave them",
        column_config={
            "strip": st.column_config.NumberColumn("Strip", format="%d"),
            "patient": "Patient",
            "label": "Label",
            "finding": st.column_config.TextColumn("Finding", help="The most serious one that can be stood by"),
            "findings": st.column_config.TextColumn("All findings", help="The most serious first"),
            "sure": st.column_config.NumberColumn("Sure", format="%.0f %%", help="Of the most serious finding"),
            "known": st.column_config.NumberColumn(
                "As strange", format="%.1f %%", help="Of the strips of known patterns, those at least as strange"
            ),
            "final": st.column_config.TextColumn("Most beats", help="The majority vote") if found else "Final label",
            "share": st.column_config.NumberColumn("Share of beats", format="%.0f %%"),
            "beats": "Beats predicted",
            "review": "In review",
            "noise": "Noise",
        },
    )
    table_download(kept, STRIPS_FILE, label=f"Download these {len(kept):,} strips", key="strips_csv")


def _findings(shown: pd.DataFrame, found: bool, least: float) -> dict[str, Any]:
    """Findings, where a prediction makes them; an unknown pattern is said plainly."""
    if not found:
        return {}
    return {
        "finding": finding_names(shown["strip_finding"], shown["known_share"] < least),
        "findings": shown["findings"].fillna(""),
        "sure": shown["finding_confidence"] * 100,
        "known": shown["known_share"] * 100,
    }


def _filtered(table: pd.DataFrame, name: str, columns: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Filters over some columns, side by side; their choices are kept while the session lasts."""
    wanted = np.ones(len(table), dtype=bool)
    for place, (title, column) in zip(st.columns(len(columns)), columns, strict=True):
        values = table[column].astype(str)
        counts = values.value_counts()
        chosen = place.multiselect(
            title,
            list(counts.index),
            format_func=_with_count(counts),
            key=f"review_{name}_{column}",
            persist_state="session",
            placeholder="All",
        )
        if chosen:
            wanted &= values.isin(chosen).to_numpy()
    return table[wanted]


def _with_count(counts: pd.Series) -> Callable[[str], str]:
    return lambda value: f"{patient_name(value)} ({counts.get(value, 0):,})"


def _said_how_many(kept: int, total: int, what: str) -> None:
    text = f"{kept:,} of {total:,} {what}."
    if kept > SHOWN:
        text += f" The first {SHOWN:,} are shown: narrow them down, or download them all."
    st.caption(f"{text} Click a row to open the strip.")


def _table(table: pd.DataFrame, key: str, strips: list[Any], ids: list[Any], **options: Any) -> None:
    def picked() -> None:
        cells = st.session_state[key].selection.cells
        if cells:
            place = int(cells[0][0])
            open_strip(int(strips[place]), ids[place])

    st.dataframe(
        table,
        key=key,
        height=430,
        hide_index=True,
        on_select=picked,
        selection_mode="single-cell",
        **options,
    )


def reasons_in_words(text: str) -> str:
    """``confidence;noise`` as "Unsure of the class, perhaps noise"."""
    return ", ".join(REASON_TITLES.get(word, word).lower() for word in text.split(";") if word).capitalize()
