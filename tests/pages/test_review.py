"""The Review page: predicting, the queue and its answers, tables, agreement."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from components.pickers import distinct
from ecg_engine.config import PredictConfig
from ecg_engine.labels import label_id, label_name
from ecg_engine.prediction import BEATS_FILE
from ecg_engine.queue import review_queue
from state.deciding import Decision
from state.effective import Effective, effective_labels
from state.runs import PREDICT, PREPROCESS, RunRow
from tests.pages.conftest import Opened, job_done
from tests.pages.test_prototypes import run_of

PVC = label_id("PVC")


def prediction(opened: Opened) -> tuple[RunRow, pd.DataFrame]:
    row = opened.store.runs.newest(opened.study.id, PREDICT)
    assert row is not None
    return row, pd.read_csv(opened.store.runs.path(row) / BEATS_FILE)


def queue(opened: Opened, **options: object) -> pd.DataFrame:
    row, beats = prediction(opened)
    limits = {name: row.config[name] for name in PredictConfig().to_dict()}
    return review_queue(beats, PredictConfig(**limits), **options)  # type: ignore[arg-type]


def made(opened: Opened) -> list[Decision]:
    return opened.store.decisions.active(opened.study.id)


def now(opened: Opened) -> Effective:
    row, run = run_of(opened)
    return effective_labels(run, made(opened), run_id=row.id)


def address(app: AppTest, name: str) -> str:
    """What stands in the address under a name."""
    value = app.query_params[name]
    return value if isinstance(value, str) else str(value[0])


def at(app: AppTest) -> int:
    """The beat that is shown."""
    return int(address(app, "beat"))


def progress(app: AppTest) -> tuple[int, int]:
    """Settled, total."""
    texts = [str(one.proto.text) for one in app.get("progress")]
    match = re.search(r"\*\*([\d,]+) of ([\d,]+) settled", " ".join(texts))
    assert match is not None, texts
    return int(match.group(1).replace(",", "")), int(match.group(2).replace(",", ""))


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=f"review_{key}").click().run()
    assert not app.exception, [error.value for error in app.exception]
    return app


def said(app: AppTest) -> str:
    return " ".join(str(one.value) for one in [*app.markdown, *app.caption, *app.info, *app.success, *app.warning])


def test_empty_states_lead_to_the_next_step(with_files: Opened) -> None:
    assert "Go to Upload" in [one.label for one in with_files.page("review").button]


def test_without_a_model_the_way_leads_to_training(preprocessed: Opened) -> None:
    assert "Go to Training" in [one.label for one in preprocessed.page("review").button]


def test_the_queue_begins_with_the_most_uncertain_and_says_why(trained: Opened) -> None:
    app, expected = trained.page("review"), queue(trained)
    first = expected.iloc[0]
    assert at(app) == first["beat_global_id"]
    assert address(app, "strip") == str(first["source_row"])
    assert progress(app) == (0, len(expected))
    assert f"only {first['pred_conf']:.0%} sure of the class" in said(app)
    assert app.button(key="review_accept").label == f"Accept {first['pred_label_name']}"


def test_accepting_keeps_the_suggestion_as_the_models_and_goes_on(trained: Opened) -> None:
    app, expected = trained.page("review"), queue(trained)
    press(app, "accept")
    (decision,) = made(trained)
    assert (decision.field, decision.new) == ("refined", expected["pred_label_name"].iloc[0])
    row = np.flatnonzero(run_of(trained)[1].metadata["beat_global_id"] == expected["beat_global_id"].iloc[0])[0]
    assert now(trained).source[row] == "model"
    assert at(app) == expected["beat_global_id"].iloc[1]
    assert progress(app)[0] == 1
    assert "as suggested" in said(app)


def test_labels_noise_and_no_noise_are_kept_and_undone_one_by_one(trained: Opened) -> None:
    app, expected = trained.page("review"), queue(trained)
    for key in (f"label_{PVC}", "label_-1", "valid"):
        press(app, key)
    assert [(one.field, one.new) for one in made(trained)] == [("label", "PVC"), ("noise", "1"), ("noise", "0")]
    assert progress(app)[0] == 3
    ids = run_of(trained)[1].metadata["beat_global_id"].to_numpy()
    rows = [int(np.flatnonzero(ids == beat)[0]) for beat in expected["beat_global_id"].iloc[:3]]
    labels = now(trained).labels
    assert labels[rows[0]] == PVC and labels[rows[1]] == -1
    for left in (2, 1, 0):
        press(app, "undo")
        assert len(made(trained)) == left
        assert progress(app)[0] == left
        assert at(app) == expected["beat_global_id"].iloc[left], "undoing goes back to the beat"
    press(app, "undo")
    assert "nothing of yours to undo" in said(app)


def test_skip_and_back_move_without_deciding(trained: Opened) -> None:
    app, expected = trained.page("review"), queue(trained)
    ids = expected["beat_global_id"].tolist()
    assert app.button(key="review_back").disabled
    press(press(app, "skip"), "skip")
    assert at(app) == ids[2]
    press(app, "back")
    assert at(app) == ids[1] and made(trained) == []


def test_answers_skip_what_is_settled_and_come_back_to_what_was_skipped(trained: Opened) -> None:
    app, ids = trained.page("review"), queue(trained)["beat_global_id"].tolist()
    press(press(app, "skip"), f"label_{PVC}")
    assert at(app) == ids[2]
    press(press(app, "back"), "back")
    press(app, f"label_{PVC}")
    assert at(app) == ids[2], "the settled beat between is passed over"


def test_all_alike_on_a_strip_are_one_step(trained: Opened) -> None:
    app, expected = trained.page("review"), queue(trained)
    pairs = expected.groupby(["source_row", "pred_label_raw"])["beat_global_id"].transform("size")
    place = int(np.flatnonzero(pairs.to_numpy() > 1)[0])
    beat = expected.iloc[place]
    app = trained.page("review", item=int(beat["beat_global_id"]))
    assert at(app) == beat["beat_global_id"], "the address says where the reader was"
    count = int(pairs.iloc[place])
    assert str(count) in app.button(key="review_accept_strip").label
    press(app, "accept_strip")
    assert len(made(trained)) == count == progress(app)[0]
    press(app, "undo")
    assert made(trained) == [] and progress(app)[0] == 0


def test_a_suggestion_accepted_over_an_earlier_label_holds(trained: Opened) -> None:
    app, expected = trained.page("review"), queue(trained)
    other = next(label for label in (0, PVC) if label_name(label) != expected["pred_label_name"].iloc[0])
    press(app, f"label_{other}")
    press(press(app, "back"), "accept")
    ids = run_of(trained)[1].metadata["beat_global_id"].to_numpy()
    row = int(np.flatnonzero(ids == expected["beat_global_id"].iloc[0])[0])
    assert label_name(int(now(trained).labels[row])) == expected["pred_label_name"].iloc[0]


def test_the_place_and_the_answers_survive_other_pages_and_a_reload(trained: Opened) -> None:
    app = trained.page("review")
    press(press(app, f"label_{PVC}"), "skip")
    here, settled = at(app), progress(app)
    app.switch_page("pages/prototypes.py").run()
    app.switch_page("pages/review.py").run()
    assert (at(app), progress(app)) == (here, settled)
    again = trained.page("review", item=here)
    assert (at(again), progress(again)) == (here, settled)


def test_a_beat_chosen_elsewhere_does_not_move_the_queue(trained: Opened) -> None:
    first = at(trained.page("review"))
    other = int(queue(trained)["beat_global_id"].iloc[5])
    assert other != first and at(trained.page("review", beat=other)) == first


def test_order_and_filters_change_the_queue(trained: Opened) -> None:
    app = trained.page("review")
    app.radio(key="review_order").set_value("first").run()
    app.session_state["review_at"] = {}
    expected = queue(trained, order="first")
    label = int(expected["pred_label_raw"].iloc[-1])
    app.multiselect(key="review_suggestions").set_value([label]).run()
    assert progress(app)[1] == int((expected["pred_label_raw"] == label).sum())
    nobody = queue(trained, reasons=["similarity"], suggestions=[label])
    app.button_group(key="review_reasons").set_value(["similarity"]).run()
    if len(nobody):
        assert progress(app)[1] == len(nobody)
    else:
        assert "No beat under review matches" in said(app)


def test_a_queue_that_is_settled_says_so_and_leads_on(trained: Opened) -> None:
    app = trained.page("review")
    expected = queue(trained)
    smallest = expected["patient_id"].astype(str).value_counts().index[-1]
    app.multiselect(key="review_patients").set_value([smallest]).run()
    total = progress(app)[1]
    for _ in range(total):
        press(app, f"label_{PVC}")
        if progress(app)[0] == total:
            break
    assert progress(app) == (total, total)
    assert "Every beat of this queue is settled" in said(app)


def test_the_open_strip_button_leads_to_the_strip(trained: Opened) -> None:
    app = press(trained.page("review"), "open")
    assert "Strips" in [one.value for one in app.title]
    first = queue(trained).iloc[0]
    chosen = app.session_state["chosen"]
    assert (chosen["strip"], chosen["beat"]) == (str(first["source_row"]), str(first["beat_global_id"]))


def show(app: AppTest, view: str) -> AppTest:
    app.button_group(key="review_view").set_value(view).run()
    assert not app.exception, [error.value for error in app.exception]
    return app


def test_tables_show_final_labels_and_filter(trained: Opened) -> None:
    app = show(trained.page("review"), "Beats")
    _, beats = prediction(trained)
    table = app.dataframe[0].value
    assert len(table) == min(len(beats), 1000)
    review = int((beats["final_label_name"] == "Unknown/Review").sum())
    app.multiselect(key="review_beats_final_label_name").set_value(["Unknown/Review"]).run()
    assert len(app.dataframe[0].value) == min(review, 1000)
    assert set(app.dataframe[0].value["final"]) == {"Unknown/Review"}
    assert f"{review:,} of {len(beats):,} beats" in said(app)
    show(app, "Strips")
    assert len(app.dataframe[0].value) == beats["source_row"].nunique()


def test_agreement_is_by_labels_that_hold_and_on_unseen_patients_first(trained: Opened) -> None:
    app = show(trained.page("review"), "Agreement")
    model = trained.store.models.current(trained.study.id)
    assert model is not None
    _, beats = prediction(trained)
    held = beats["patient_id"].astype(str).isin([str(one) for one in model.metrics["patients_val"]])
    labelled = held & beats["pred_conf"].notna() & (beats["record_label"] >= 0)
    assert f"Of **{labelled.sum():,} labelled beats**" in said(app)
    assert not [one for one in app.warning if "too good" in one.value]
    app.button_group(key="review_whose").set_value("All patients").run()
    assert [one for one in app.warning if "too good" in one.value], "figures on training patients come with a warning"


def test_predict_starts_a_job_with_the_limits_that_were_asked(trained: Opened, jobs_now: None) -> None:
    app = show(trained.page("review"), "Predict again")
    model = trained.store.models.current(trained.study.id)
    assert model is not None
    app.number_input(key=f"limit_confidence_{model.id}").set_value(0).run()
    app.number_input(key=f"limit_similarity_{model.id}").set_value(-1.0).run()
    app.number_input(key=f"limit_noise_prob_{model.id}").set_value(100).run()
    app.button(key="predict").click().run()
    assert not app.exception
    row, _ = prediction(trained)
    assert row.config["min_class_conf"] == 0.0 and row.config["model"] == model.id
    assert row.summary["num_review_flagged"] == 0
    show(app, "Queue")
    assert "nothing is under review" in said(app)


def test_the_button_waits_while_a_prediction_is_under_way(trained: Opened, jobs_wait: None) -> None:
    app = show(trained.page("review"), "Predict again")
    app.button(key="predict").click().run()
    assert app.button(key="predict").disabled
    (job,) = trained.store.jobs.all(trained.study.id, active=True)
    newest = trained.store.runs.newest(trained.study.id, PREPROCESS)
    assert newest is not None and job.kind == "predict" and job.params["run"] == newest.id


def test_a_model_for_other_beats_says_which_and_cannot_predict(trained: Opened) -> None:
    job_done(trained.store, trained.study.id, "preprocess", {"config": {"post_sec": 0.3}, "pictures": False})
    app = trained.page("review")
    (error,) = [one.value for one in app.error]
    assert "does not fit" in error and "beat length" in error and "choose another model" in error
    assert app.button(key="predict").disabled
    assert "No model has read these strips yet" in said(app)


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_model_is_told_and_cannot_predict(trained: Opened, damage: str) -> None:
    model = trained.store.models.current(trained.study.id)
    assert model is not None
    path: Path = trained.store.models.path(model)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    else:
        path.unlink()
    app = show(trained.page("review"), "Predict again")
    assert len(app.error) == 1 and ("damaged" in app.error[0].value or "no model file" in app.error[0].value)
    assert "predict" not in [one.key for one in app.button]


def test_an_older_prediction_can_be_looked_at_again(trained: Opened, jobs_now: None) -> None:
    first, _ = prediction(trained)
    app = show(trained.page("review"), "Predict again")
    app.button(key="predict").click().run()
    second, _ = prediction(trained)
    assert second.id != first.id
    (picker,) = [one for one in app.selectbox if one.label == "Prediction"]
    assert picker.value == second.id, "the newest is shown"
    picker.set_value(first.id).run()
    assert address(app, "prediction") == first.id


def test_entries_that_read_alike_are_told_apart() -> None:
    told = distinct({"a": "Model 1", "b": "Model 2", "c": "Model 1"})
    assert told == {"a": "Model 1, no. 1", "b": "Model 2", "c": "Model 1, no. 2"}
