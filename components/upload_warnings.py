"""What a person should know before trusting a preprocessing run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from components.outcome import attempt
from components.profiles import profile_of
from components.words import many
from ecg_engine.config import ARRHYTHMIA, REFERENCE
from state import session
from state.runs import RunRow

NOISE_WORDS: Mapping[str, Mapping[str, str]] = {
    REFERENCE: {
        "rr": "RR interval too short or too long",
        "flat": "flatter or blunter than the rest",
        "slope": "steeper than the rest",
        "edge": "restless at its ends",
        "small_cluster": "shape too rare within its label",
    },
    ARRHYTHMIA: {
        "content": "noise covers the waves",
        "baseline": "the baseline wanders",
        "flat": "hardly any height",
        "clipped": "cut off at the amplifier's limit",
        "lost": "the lead is lost",
    },
}
"""Why a beat counts as noise in either profile."""
_REMEDIES = {
    REFERENCE: "Bring more strips, or, if the beats are good, preprocess again with a lower “Groups smaller than” "
    "(Files and settings, More settings).",
    ARRHYTHMIA: "Bring more strips, or, if the beats are good, say so on the Strips page (No noise).",
}


def warnings(row: RunRow, waiting: bool, again: Any) -> None:
    """What a person should know before trusting the run; labels that lost all their beats first and loudest."""
    summary = row.summary
    emptied = [found["name"] for found in (summary.get("labels_emptied") or {}).values()]
    newer = session.newer_decisions(row)
    files = {file.id for file in session.store().files.all(row.study_id)}
    if newer or files != set(row.files):
        _out_of_date(row, newer.beats, files, waiting, again)
    told, profile = summary.get("warnings", ()), profile_of(row)
    lost_all = [text for text in told if any(text.startswith(f"{name} lost all") for name in emptied)]
    if lost_all:
        which = "this label" if len(lost_all) == 1 else "these labels"
        text = f"{' '.join(lost_all)} No model can learn {which} from this run. {_REMEDIES[profile]}"
        st.error(text, icon=":material/error:")
    for text in told:
        if text in lost_all:
            continue
        if text.startswith("None of the"):
            st.error(f"{_in_words(text, profile)} {_REMEDIES[profile]}", icon=":material/error:")
        elif "rows were skipped" not in text:  # they are listed below, one by one
            st.warning(text, icon=":material/warning:")
    unknown = int(summary.get("unknown_patient_rows") or 0)
    if unknown and "patient" not in summary.get("columns_missing", ()):
        verb, each = ("has", "it counts") if unknown == 1 else ("have", "each counts")
        st.warning(f"{many(unknown, 'strip')} {verb} no patient; {each} as a patient of its own.")
    lost = int(summary.get("decisions_unmatched") or 0)
    if lost:
        st.warning(f"{many(lost, 'decision')} found no beat or strip in this run; they are kept and listed in History.")


def _in_words(text: str, profile: str) -> str:
    for name, words in NOISE_WORDS[profile].items():
        text = text.replace(f"{name}: ", f"{words}: ")
    return text


def _out_of_date(row: RunRow, beats: int, files: set[str], waiting: bool, again: Any) -> None:
    said = []
    if beats:
        verb = "has" if beats == 1 else "have"
        said.append(f"{many(beats, 'beat')} {verb} another label, noise flag or R-peak by decisions made since.")
    if files - set(row.files):
        said.append(f"{many(len(files - set(row.files)), 'file')} came after it.")
    if set(row.files) - files:
        said.append(f"{many(len(set(row.files) - files), 'of its files', 'of its files')} taken out since.")
    with st.container(border=True):
        left, right = st.columns([0.78, 0.22], vertical_alignment="center")
        left.markdown(f":material/update: **Out of date.** {' '.join(said)}")
        right.button(
            "Run again",
            key="run_again",
            icon=":material/refresh:",
            width="stretch",
            disabled=waiting,
            help="Same settings, with the decisions and files of now. This run stays in the list.",
            on_click=attempt,
            args=(again,),
        )
