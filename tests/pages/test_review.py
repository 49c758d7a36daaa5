"""The Review page: predicting, the queue and its answers, tables, agreement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from components.pickers import distinct
from components.review_queue import queue_keys
from ecg_engine.config import PredictConfig
from ecg_engine.labels import label_id
from ecg_engine.prediction import BEATS_FILE
from ecg_engine.queue import review_queue
from state.anchors import beat_index
from state.batches import one_batch
from state.deciding import Decision, decide
from state.reviewing import rows_of_ids
from state.runs import PREDICT, PREPROCESS, RunRow
from state.seeding import target_of
from state.targets import strip_target
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


def address(app: AppTest, name: str) -> str:
    """What stands in the address under a name."""
    value = app.query_params[name]
    return value if isinstance(value, str) else str(value[0])


def told(app: AppTest) -> dict[str, Any]:
    """What the queue in the browser is told; what it does with that is tested in tests/browser."""
    (queue,) = [one for one in app.get("bidi_component") if one.proto.component_name == "ecg_review.review_queue"]
    return dict(json.loads(queue.proto.json))


def said(app: AppTest) -> str:
    return " ".join(str(one.value) for one in [*app.markdown, *app.caption, *app.info, *app.success, *app.warning])


def keep(opened: Opened, target: str, field: str, new: str, **more: Any) -> Decision:
    decision = decide(opened.study.id, "Dr Test", target, field, new, **more)
    opened.store.decisions.add([decision])
    return decision


def targets(opened: Opened) -> list[str]:
    """Targets of the beats under review, the most uncertain first."""
    row, run = run_of(opened)
    index = beat_index(run, row.id)
    return [target_of(run, index, int(one)) for one in rows_of_ids(index, queue(opened)["beat_global_id"])]


def test_empty_states_lead_to_the_next_step(with_files: Opened) -> None:
    assert "Go to Upload" in [one.label for one in with_files.page("review").button]


def test_without_a_model_there_is_still_what_needs_none(preprocessed: Opened) -> None:
    app = preprocessed.page("review")
    data = told(app)
    assert data["queue"]["prediction"] is None and data["limits"] is None
    assert "There is no model yet" in said(app)
    _, run = run_of(preprocessed)
    assert run.strips is not None
    before = data["counts"]["total"]
    keep(preprocessed, strip_target(str(run.strips.strip_hash[0])), "unsure", "1")
    other = preprocessed.page("review", reader="Dr Other")
    assert told(other)["counts"]["total"] == before + 1, "what one reader was unsure of waits for another"
    assert "Go to Training" in [one.label for one in app.button]


def test_the_queue_is_told_who_reads_what_is_asked_and_how_much_there_is(trained: Opened) -> None:
    row, _ = prediction(trained)
    data = told(trained.page("review"))
    assert (data["channel"]["study"], data["channel"]["reader"]) == (trained.study.id, "Dr Test")
    assert data["channel"]["token"] and data["channel"]["version"] == data["counts"]["version"]
    assert data["queue"] == {
        "run": row.parents[0], "prediction": row.id, "order": "uncertain", "reasons": [], "labels": [], "patients": []
    }  # fmt: skip
    assert data["counts"]["left"] == data["counts"]["total"] >= len(queue(trained))
    assert data["limits"]["confidence"] == row.config["min_class_conf"]
    assert data["reason"] == f"review of {row.summary['model_name']}"
    keys = [one["key"] for one in data["look"]["labels"] if one["key"]] + list(data["look"]["keys"].values())
    assert len(keys) == len(set(keys)) and not {"c", "r"} & set(keys)


def test_counts_follow_the_answers(trained: Opened) -> None:
    app = trained.page("review")
    before = told(app)["counts"]
    first = targets(trained)[0]
    decision = keep(trained, first, "label", "PVC")
    after = told(app.run())["counts"]
    assert (after["left"], after["total"]) == (before["left"] - 1, before["total"])
    assert after["version"] > before["version"]
    trained.store.decisions.undo(decision.id, "Dr Test")
    assert told(app.run())["counts"]["left"] == before["left"]


def test_undo_knows_the_readers_own_steps_a_batch_as_one(trained: Opened) -> None:
    app = trained.page("review")
    assert told(app)["steps"] == []
    places = targets(trained)
    one = keep(trained, places[0], "label", "PVC")
    batch = one_batch([decide(trained.study.id, "Dr Test", name, "label", "Normal") for name in places[1:4]])
    trained.store.decisions.add(batch)
    trained.store.decisions.add([decide(trained.study.id, "Dr Other", places[5], "label", "PAC")])
    steps = told(app.run())["steps"]
    assert [[made["id"] for made in step] for step in steps] == [[one.id], [made.id for made in batch]]
    assert steps[0][0]["at"] == round(one.at.timestamp() * 1e6)
    trained.store.decisions.undo(one.id, "Dr Test")
    assert len(told(app.run())["steps"]) == 1


def test_the_address_names_the_item_by_target_or_by_beat(trained: Opened) -> None:
    beat, target = int(queue(trained)["beat_global_id"].iloc[3]), targets(trained)[3]
    assert told(trained.page("review", item=beat))["item"] == target
    assert told(trained.page("review", item=target))["item"] == target


def test_order_and_filters_change_what_is_asked_and_are_kept(trained: Opened) -> None:
    app = trained.page("review")
    total = told(app)["counts"]["total"]
    app.radio(key="review_order").set_value("serious").run()
    app.multiselect(key="review_suggestions").set_value([PVC]).run()
    data = told(app)
    assert data["queue"]["order"] == "serious" and data["queue"]["labels"] == [PVC] and data["filtered"]
    expected = int((queue(trained)["pred_label_raw"] == PVC).sum())
    assert expected <= data["counts"]["total"] < total
    app.button_group(key="review_reasons").set_value(["confidence"]).run()
    assert told(app)["queue"]["reasons"] == ["confidence"]
    patient = app.multiselect(key="review_patients").options[0]
    app.multiselect(key="review_patients").set_value([patient]).run()
    assert told(app)["queue"]["patients"] == [patient]
    app.switch_page("pages/prototypes.py").run()
    app.switch_page("pages/review.py").run()
    assert told(app)["queue"] == {**data["queue"], "reasons": ["confidence"], "patients": [patient]}


def test_the_keys_of_the_queue_are_listed_and_each_stands_for_one_thing() -> None:
    keys = [key for key, _ in queue_keys()]
    assert len(keys) == len(set(keys)) and {"y", "h", "j", "k", "u", "l", "."} <= set(keys)


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
    app = trained.page("review")
    before, under_review = told(app)["counts"]["total"], len(queue(trained))
    show(app, "Predict")
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
    assert told(app)["counts"]["total"] <= before - under_review, "only what needs no model is left"


def test_the_button_waits_while_a_prediction_is_under_way(trained: Opened, jobs_wait: None) -> None:
    app = show(trained.page("review"), "Predict")
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
    app = show(trained.page("review"), "Predict")
    assert len(app.error) == 1 and ("damaged" in app.error[0].value or "no model file" in app.error[0].value)
    assert "predict" not in [one.key for one in app.button]


def test_an_older_prediction_can_be_looked_at_again(trained: Opened, jobs_now: None) -> None:
    first, _ = prediction(trained)
    app = show(trained.page("review"), "Predict")
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
