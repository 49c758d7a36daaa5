"""What the Review page draws from, gathered once per drawing: a prediction, the run it reads, and what readers said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from components.outcome import go
from ecg_engine.config import PredictConfig
from ecg_engine.prediction import BEATS_FILE, STRIPS_FILE
from ecg_engine.preprocess import Run
from state import session
from state.anchors import BeatIndex
from state.deciding import Decision
from state.effective import Effective
from state.reviewing import rows_of_ids, verdicts
from state.runs import PREDICT, RunRow

STRIPS_PAGE, REVIEW_PAGE = "pages/strips.py", "pages/review.py"
SHOWN, READ_ANEW = "review_view", "Predict"
"""Key of the choice among the views of the Review page, and the one that starts a prediction."""
KIND = "predict"


@dataclass(frozen=True)
class View:
    """A prediction and what belongs to it. ``beats`` has the column ``row``, the beat's row in the run."""

    row: RunRow
    source: RunRow
    run: Run
    index: BeatIndex
    beats: pd.DataFrame
    strips: pd.DataFrame
    config: PredictConfig

    @property
    def summary(self) -> Mapping[str, Any]:
        """``prediction_summary_v2.json``, and the model's id and name."""
        return self.row.summary

    @property
    def effective(self) -> Effective:
        """What holds for the beats of the run by now."""
        return session.effective(self.source)

    @property
    def said(self) -> dict[int, Decision]:
        """Rows that readers have settled, with the decision."""
        store = session.store()
        return _verdicts(self.source.id, str(store.folder), store.decisions.version(self.source.study_id))

    def index_rows(self, ids: Any) -> list[int]:
        """Rows of beats in the run, by ``beat_global_id``."""
        return [int(row) for row in rows_of_ids(self.index, ids) if row >= 0]

    @property
    def model_name(self) -> str:
        """Name of the model that predicted."""
        model = session.store().models.find(str(self.summary.get("model_id", "")))
        return model.name if model is not None else str(self.summary.get("model_name", "A model"))


def predictions_of(source: RunRow) -> list[RunRow]:
    """Finished predictions of a preprocessing run, newest first."""
    return [run for run in session.store().runs.all(source.study_id, PREDICT) if source.id in run.parents]


def gather(source: RunRow) -> View | None:
    """The prediction in hand: the one chosen, else the newest of the preprocessing run; None if there is none."""
    known = predictions_of(source)
    if not known:
        return None
    row = next((run for run in known if run.id == session.chosen("prediction")), known[0])
    return view_of(row, source)


def view_of(row: RunRow, source: RunRow) -> View:
    """A prediction with the run that it reads."""
    folder = session.store().runs.path(row)
    beats, strips = _tables(row.id, str(folder), source.id, str(session.store().folder))
    limits = {name: row.config[name] for name in PredictConfig().to_dict() if name in row.config}
    return View(
        row, source, session.load(source), session.index(source), beats, strips, PredictConfig.from_dict(limits)
    )


# Kept as they are, not copied at every drawing as st.cache_data would: nothing writes to them.
@st.cache_resource(show_spinner="Opening the prediction", max_entries=4)
def _tables(row_id: str, folder: str, source_id: str, data: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    beats = pd.read_csv(Path(folder) / BEATS_FILE, low_memory=False)
    index = session.index(session.store().runs.get(source_id))
    beats["row"] = rows_of_ids(index, beats["beat_global_id"])
    for name in ("review_reason", "pred_label_name"):
        beats[name] = beats[name].fillna("").astype(str)
    strips = pd.read_csv(Path(folder) / STRIPS_FILE)
    first = beats.drop_duplicates("source_row").set_index("source_row")
    strips["patient_id"] = first["patient_id"].reindex(strips["source_row"]).to_numpy()
    strips["record_label_name"] = first["record_label_name"].reindex(strips["source_row"]).to_numpy()
    return beats, strips


@st.cache_resource(show_spinner=False, max_entries=6)
def _verdicts(source_id: str, data: str, version: int) -> dict[int, Decision]:
    return verdicts(session.index(session.store().runs.get(source_id)), session.active_decisions())


def open_strip(source_row: int, beat: int | None = None) -> None:
    """Open a strip, and if wanted one of its beats, on the Strips page."""
    session.choose(strip=int(source_row), beat=beat)
    go(STRIPS_PAGE)


def to_predict() -> None:
    """Lead to where a prediction is started. For callbacks."""
    st.session_state[SHOWN] = READ_ANEW
    session.choose(prediction=None)
    go(REVIEW_PAGE)


def patient_name(patient: object) -> str:
    """A patient as a person reads it."""
    text = str(patient)
    return "unknown" if text in ("-1", "nan", "") else text


def settled(view: View, rows: np.ndarray) -> np.ndarray:
    """For each row whether a reader has settled it."""
    said = view.said
    return np.fromiter((row in said for row in rows.tolist()), dtype=bool, count=len(rows))
