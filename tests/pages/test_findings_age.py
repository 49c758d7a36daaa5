"""Findings are as of their prediction: labels given since are told, and what takes them in."""

from __future__ import annotations

import numpy as np
from streamlit.testing.v1 import AppTest

from state.deciding import decide
from state.runs import PREDICT
from state.targets import strip_target
from tests.pages.conftest import Opened, job_done
from tests.pages.test_app import texts
from tests.pages.test_prototypes import run_of
from tests.pages.test_strips import say

SINCE = "labels given since"


def label_strip(opened: Opened, place: int, label: str) -> None:
    run = run_of(opened)[1]
    assert run.strips is not None
    target = strip_target(run.strips.strip_hash[place])
    opened.store.decisions.add([decide(opened.study.id, "Dr Test", target, "label", label)])


def buttons(app: AppTest) -> set[str]:
    return {one.key for one in app.button if one.key}


def test_labels_of_beats_given_since_are_told_until_the_next_prediction(arrhythmia: Opened) -> None:
    run = run_of(arrhythmia)[1]
    assert run.strips is not None
    clean = np.flatnonzero(run.metadata["noise_flag"].to_numpy() == 0)
    row = int(clean[0])
    place = int(run.strip_of_beat[row])
    here, other = (int(run.strips.source_row[one]) for one in (place, (place + 1) % len(run.strips)))
    assert SINCE not in texts(arrhythmia.page("strips", strip=here))
    say(arrhythmia, row, "note", "a nice one")
    assert SINCE not in texts(arrhythmia.page("strips", strip=here)), "a note changes no finding"
    made = say(arrhythmia, row, "label", "PVC")
    app = arrhythmia.page("strips", strip=here)
    assert "labels given since on 1 strip (this one too) are not in them. Predict again" in texts(app)
    assert "labels given since on 1 strip are not in them" in texts(arrhythmia.page("strips", strip=other))
    app.button(key="strips_predict").click().run()
    assert not app.exception and "predict" in buttons(app), "it leads to where a prediction is started"
    app.switch_page("pages/review.py").run()
    assert app.segmented_control(key="review_view").value == "Predict"
    app.segmented_control(key="review_view").set_value("Strips").run()
    assert any(SINCE in one.value for one in app.caption)
    arrhythmia.store.decisions.undo(made.id, "Dr Test")
    assert SINCE not in texts(arrhythmia.page("strips", strip=here)), "what was taken back is not missing"
    arrhythmia.store.decisions.redo(made.id, "Dr Test")
    assert SINCE in texts(arrhythmia.page("strips", strip=here))
    job_done(arrhythmia.store, arrhythmia.study.id, "predict", {})
    assert SINCE not in texts(arrhythmia.page("strips", strip=here))
    arrhythmia.store.decisions.undo(made.id, "Dr Test")
    assert SINCE in texts(arrhythmia.page("strips", strip=here)), (
        "an undo is news to the prediction that knew the label"
    )


def test_a_label_of_a_strip_counts_by_training(arrhythmia: Opened) -> None:
    run = run_of(arrhythmia)[1]
    assert run.strips is not None
    by_label = np.flatnonzero(run.strips.label == 0)
    label_strip(arrhythmia, int(by_label[0]), "PVC")
    app = arrhythmia.page("strips")
    assert "They are labels of whole strips: retrain, then predict again" in texts(app)
    assert "strips_retrain" in buttons(app) and "strips_predict" not in buttons(app)
    rows = np.flatnonzero(run.strip_of_beat == by_label[1])
    say(arrhythmia, int(rows[0]), "label", "PVC")
    app = arrhythmia.page("strips")
    assert "since on 2 strips" in texts(app) and "labels of whole strips count once you retrain" in texts(app)
    assert "strips_predict" in buttons(app)


def test_without_findings_nothing_is_said_of_their_age(trained: Opened) -> None:
    say(trained, 5, "label", "PVC")
    assert SINCE not in texts(trained.page("strips"))
    app = trained.page("review")
    app.segmented_control(key="review_view").set_value("Strips").run()
    assert trained.store.runs.newest(trained.study.id, PREDICT) is not None
    assert not any(SINCE in one.value for one in app.caption)
