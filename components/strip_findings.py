"""What a model found on a run's strips, and how noisy they are, above the strip: its newest prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from components.review_tables import reasons_in_words
from components.review_view import View as Prediction
from components.review_view import predictions_of, view_of
from components.scripts import script, style
from ecg_engine.preprocess import Run
from state import session
from state.runs import RunRow
from state.strip_findings import Findings, class_shares, findings_of, noise_sentences

_DIGITS = 4


@dataclass(frozen=True)
class Found:
    """The newest prediction of a run, as the Strips page shows it.

    ``findings`` is None where it makes none. ``beats`` are its rows by the beat's row in the run, where it says more
    of a beat than its class; None otherwise.
    """

    id: str
    model: str
    findings: Findings | None
    beats: pd.DataFrame | None


def newest_found(row: RunRow) -> Found | None:
    """What the newest prediction of a run says; None if there is none."""
    known = predictions_of(row)
    return _found(known[0].id, row.id, str(session.store().folder)) if known else None


@st.cache_resource(show_spinner="Opening the prediction", max_entries=4)
def _found(prediction_id: str, run_id: str, folder: str) -> Found:
    runs = session.store().runs
    view: Prediction = view_of(runs.get(prediction_id), runs.get(run_id))
    findings = findings_of(view.run, view.strips, view.config.min_known_share)
    beats = view.beats[view.beats["row"] >= 0].set_index("row") if "aami" in view.beats else None
    return Found(prediction_id, view.model_name, findings, beats)


def _component() -> Any:
    return st.components.v2.component(
        "ecg_review.strip_words",
        html='<div class="strip-words"></div>',
        css=style("strip_words"),
        js=script("strip_words"),
    )


def strip_words(row: RunRow) -> None:
    """Draw findings and noise of the strip in hand; nothing where neither is known. It follows the reader by itself."""
    found = newest_found(row)
    data = _data(row.id, found.id if found else "", str(session.store().folder))
    if data["found"] or data["noise"]:
        _component()(key="strip_words", data=data)


@st.cache_resource(show_spinner=False, max_entries=4)
def _data(run_id: str, prediction_id: str, folder: str) -> dict[str, Any]:
    """The words of all strips, small enough to be sent once: what repeats is sent as a number."""
    row = session.store().runs.get(run_id)
    run: Run = session.load(row)
    said = noise_sentences(run)
    kinds, noise = _numbered(said)
    found = newest_found(row) if prediction_id else None
    told: dict[str, Any] | None = None
    if found is not None and found.findings is not None:
        findings = found.findings
        most, majority = _numbered(findings.majority)
        told = {
            "model": found.model,
            "words": findings.words,
            "label": findings.label.tolist(),
            "sure": _rounded(findings.sure),
            "most": most,
            "majority": majority,
            "share": _rounded(findings.share),
            "known": _rounded(findings.known_share),
            "strange": findings.strange.astype(int).tolist(),
        }
    return {"run": run_id, "found": told, "kinds": kinds, "noise": noise if any(said) else []}


def _numbered(words: Sequence[str]) -> tuple[list[str], list[int]]:
    places: dict[str, int] = {}
    numbers = [places.setdefault(one, len(places)) for one in words]
    return list(places), numbers


def _rounded(values: np.ndarray) -> list[float | None]:
    return [round(value, _DIGITS) if value == value else None for value in values.tolist()]


def beat_readings(row: RunRow, beat: int) -> list[tuple[str, str]]:
    """What the newest prediction says of a beat (its row in the run), as facts; nothing where it says only a class."""
    found = newest_found(row)
    if found is None or found.beats is None or beat not in found.beats.index:
        return []
    read = found.beats.loc[[beat]]
    letter, name = (str(read[column].fillna("").iloc[0]) for column in ("aami", "pred_label_name"))
    if not letter:
        return []
    why = reasons_in_words(str(read["review_reason"].iloc[0]))
    facts = [(found.model, f"{letter}: {name}"), ("By class", class_shares(read)[0])]
    return [*facts, ("In review", why)] if why else facts
