"""The Training page: what there is to learn from, training, models side by side, retraining, bundles in and out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from ecg_engine.artifacts import load_run
from ecg_engine.preprocess import Run
from state.anchors import beat_index
from state.deciding import decide
from state.jobs import CANCELLED, RUNNING, Jobs
from state.models import ModelRow
from state.runs import PREPROCESS, TRAIN
from state.seeding import target_of
from tests.pages.conftest import TRAINING, Opened, do_job
from tests.pages.test_app import address, texts


def click(app: AppTest, key: str) -> None:
    app.button(key=key).click()
    app.run()
    assert not app.exception


def run_of(opened: Opened) -> tuple[str, Run]:
    row = opened.store.runs.newest(opened.study.id, PREPROCESS)
    assert row is not None
    return row.id, load_run(opened.store.runs.path(row))


def relabel(opened: Opened, old: int, new: int, count: int) -> None:
    """Decide that the first usable beats of one label are of another."""
    run_id, run = run_of(opened)
    index = beat_index(run, run_id)
    beats = np.flatnonzero((np.asarray(run.labels) == old) & (np.asarray(run.noise_flags) == 0))[:count]
    said = [decide(opened.study.id, "Dr Test", target_of(run, index, int(i)), "label", new) for i in beats]
    opened.store.decisions.add(said)


def table(app: AppTest, column: str) -> pd.DataFrame:
    return next(one.value for one in app.dataframe if column in one.value.columns)


def models(opened: Opened) -> list[ModelRow]:
    return opened.store.models.all(opened.study.id)


def set_epochs(app: AppTest, epochs: int) -> None:
    next(one for one in app.number_input if one.label == "Epochs").set_value(epochs)
    app.run()


def test_what_there_is_follows_the_decisions(preprocessed: Opened) -> None:
    relabel(preprocessed, 0, 2, 3)
    app = preprocessed.page("training")
    _, run = run_of(preprocessed)
    usable = np.asarray(run.labels)[np.asarray(run.noise_flags) == 0]
    shown = table(app, "decided").set_index("label") if "label" in table(app, "decided") else table(app, "decided")
    by_name = {str(name).split("  ")[1]: row for name, row in shown.set_index("name").iterrows()}
    assert by_name["Normal"]["beats"] == (usable == 0).sum() - 3
    assert by_name["PVC"]["beats"] == (usable == 2).sum() + 3
    assert by_name["PVC"]["decided"] == 3
    assert "Readers decided the label of **3**" in texts(app)
    assert "No graphics card was found" in texts(app)


def test_nothing_labelled_is_nothing_to_train(preprocessed: Opened) -> None:
    _, run = run_of(preprocessed)
    assert run.strips is not None
    said = [
        decide(preprocessed.study.id, "Dr Test", f"strip:{digest}", "label", -999) for digest in run.strips.strip_hash
    ]
    preprocessed.store.decisions.add(said)
    app = preprocessed.page("training")
    assert any("there is nothing to learn" in one.value for one in app.warning)
    assert app.button(key="train").disabled


def test_a_training_is_started_with_what_was_set(preprocessed: Opened, jobs_wait: None) -> None:
    app = preprocessed.page("training")
    set_epochs(app, 3)
    next(one for one in app.number_input if one.label == "Share held out (%)").set_value(30.0)
    app.run()
    click(app, "train")
    (job,) = preprocessed.store.jobs.all(preprocessed.study.id, "train")
    assert job.params["config"]["epochs"] == 3 and job.params["config"]["val_split"] == 0.3
    assert job.params["runs"] == [run_of(preprocessed)[0]]
    assert app.button(key="train").disabled, "one training at a time"


def test_impossible_settings_are_told_in_words(preprocessed: Opened) -> None:
    app = preprocessed.page("training")
    set_epochs(app, 0)
    assert [one.value for one in app.error] == ["“Epochs” is 0; it must be a whole number, 1 or more."]
    assert app.button(key="train").disabled


def test_curves_are_drawn_while_it_trains_and_it_can_be_stopped(preprocessed: Opened, jobs_wait: None) -> None:
    app = preprocessed.page("training")
    set_epochs(app, 5)
    click(app, "train")
    jobs = preprocessed.store.jobs
    (job,) = jobs.all(preprocessed.study.id, "train")
    epoch = {"train_loss": 1.2, "val_loss": 1.3, "class_acc": 0.625, "gate_acc": 0.9, "seconds": 1.5, "best": True}
    detail: dict[str, Any] = {"epochs": 5, "history": [{**epoch, "epoch": 1}, {**epoch, "epoch": 2}]}
    jobs.write(job.id, status=RUNNING, share=0.4, message="epoch 3 of 5", detail=detail)
    app.run()
    assert "Epoch 2 of 5: 62.5% of held-out beats right" in texts(app)
    assert len(app.get("plotly_chart")) == 1
    click(app, f"stop_{job.id}")
    assert jobs.get(job.id).cancel_requested


def test_a_first_model_is_current_and_shows_the_figures_of_the_store(preprocessed: Opened, jobs_now: None) -> None:
    app = preprocessed.page("training")
    set_epochs(app, 2)
    click(app, "train")
    (model,) = models(preprocessed)
    metrics = model.metrics
    assert model.current
    assert table(app, "status")["status"].tolist() == ["current"]
    assert table(app, "status")["right"].tolist() == pytest.approx([metrics["class_acc"] * 100])
    held, trained = metrics["patients_val"], metrics["patients_train"]
    assert held and not set(held) & set(trained)
    assert f"Trained on {len(trained)} patients, judged on {len(held)} patients never seen" in texts(app)
    reports = [one.value for one in app.dataframe if "se" in one.value.columns]
    assert [report["name"].tolist() for report in reports] == [["Normal", "PAC", "PVC", "AFib"], ["N", "S", "V"]]
    assert reports[0]["support"].tolist() == [row["support"] for row in metrics["class_report"]]
    assert address(app, "model") == model.id, "the model that was waited for is shown"


def test_a_split_by_beat_is_shown_only_as_a_warning(preprocessed: Opened, jobs_now: None) -> None:
    app = preprocessed.page("training")
    set_epochs(app, 1)
    next(one for one in app.selectbox if one.label == "Held out").select("beat")
    app.run()
    click(app, "train")
    assert any("these figures flatter" in one.value for one in app.warning)


def test_retraining_takes_the_decisions_and_is_judged_on_the_same_patients(trained: Opened, jobs_now: None) -> None:
    (before,) = models(trained)
    relabel(trained, 0, 2, 30)
    app = trained.page("training")
    click(app, "retrain")
    newer, older = models(trained)
    assert older.id == before.id and older.current and newer.status == "candidate"
    row = trained.store.runs.newest(trained.study.id, TRAIN)
    assert row is not None and row.config["epochs"] == TRAINING["epochs"], "with the current model's settings"
    assert newer.metrics["data_hash"] != older.metrics["data_hash"], "the decisions changed what it learned from"
    assert newer.metrics["patients_val"] == older.metrics["patients_val"]
    assert f"##### {newer.name} beside {older.name}" in texts(app)
    beside = table(app, "change").set_index("figure")
    comparison = newer.comparison
    assert comparison is not None
    right = beside.loc["Right on held-out beats"]
    assert right["now"] == pytest.approx(comparison["candidate"]["class_acc"])
    assert right["before"] == pytest.approx(comparison["current"]["class_acc"])
    assert right["change"] == pytest.approx(right["now"] - right["before"])
    assert comparison["candidate"]["num_beats"] == comparison["current"]["num_beats"]


def test_a_model_is_made_current_and_the_one_before_comes_back(trained: Opened, jobs_now: None) -> None:
    app = trained.page("training")
    click(app, "retrain")
    older = models(trained)[1]
    click(app, "make_current")
    assert [model.status for model in models(trained)] == ["current", "former"]
    assert table(app, "status")["status"].tolist() == ["current", "former"]
    back = app.button(key="current_back")
    assert back.label == f"Back to {older.name}"
    click(app, "current_back")
    current = trained.store.models.current(trained.study.id)
    assert current is not None and current.id == older.id
    assert "current_back" not in [one.key for one in app.button]


def test_a_model_is_renamed(trained: Opened) -> None:
    (model,) = models(trained)
    app = trained.page("training")
    app.text_input(key=f"name_{model.id}").set_value("  November, ward 3 ")
    next(
        one for one in app.get("form_submit_button") if one.label == "Rename" and "rename_model" in one.form_id
    ).click()
    app.run()
    assert models(trained)[0].name == "November, ward 3"
    assert table(app, "status")["model"].tolist() == ["November, ward 3"]


def bring(app: AppTest, name: str, content: bytes) -> None:
    app.file_uploader[0].set_value([(name, content, "application/octet-stream")])
    app.run()
    assert not app.exception


def test_a_model_goes_out_as_a_file_and_comes_in_again(trained: Opened) -> None:
    (model,) = models(trained)
    content = trained.store.models.path(model).read_bytes()
    other = trained.store.studies.get(trained.study.id)
    app = trained.page("training")
    assert not app.get("download_button")[0].proto.disabled
    bring(app, "from the other ward.pt", content)
    brought = next(one for one in models(trained) if one.id != model.id)
    assert brought.name == "from the other ward" and brought.study_id == other.id
    assert brought.status == "candidate", "the current model stays until somebody changes it"
    assert brought.metrics["patients_val"] == model.metrics["patients_val"]


@pytest.mark.parametrize("content", [b"", b"no model at all", b"half"])
def test_a_damaged_model_file_is_refused_and_nothing_is_kept(trained: Opened, content: bytes) -> None:
    (model,) = models(trained)
    if content == b"half":
        whole = trained.store.models.path(model).read_bytes()
        content = whole[: len(whole) // 2]
    app = trained.page("training")
    bring(app, "bad.pt", content)
    assert any(one.value.startswith("bad.pt") and "damaged" in one.value for one in app.error), [
        one.value for one in app.error
    ]
    assert [one.id for one in models(trained)] == [model.id]
    assert len(trained.store.runs.all(trained.study.id, TRAIN)) == 1


def test_a_failed_training_says_why(preprocessed: Opened, jobs_now: None) -> None:
    _, run = run_of(preprocessed)
    assert run.strips is not None
    said = [
        decide(preprocessed.study.id, "Dr Test", f"strip:{digest}", "label", 0)
        for digest, label in zip(run.strips.strip_hash, run.strips.label, strict=True)
        if label > 0
    ]
    preprocessed.store.decisions.add(said)
    app = preprocessed.page("training")
    click(app, "train")
    assert any("every labelled usable beat is Normal, so there is nothing to tell apart" in e.value for e in app.error)
    assert models(preprocessed) == []


def test_a_training_that_was_stopped_and_tried_again_shows_its_model(
    trained: Opened, jobs_wait: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = trained.page("training")
    click(app, "retrain")
    jobs = trained.store.jobs
    (job,) = jobs.all(trained.study.id, active=True)
    jobs.write(job.id, status=RUNNING)
    app.run()
    click(app, f"stop_{job.id}")
    jobs.end(job.id, CANCELLED)
    app.run()
    assert any("Retraining was stopped. Nothing that was there before has changed." in one.value for one in app.info)
    monkeypatch.setattr(Jobs, "spawn", lambda jobs, job_id: do_job(trained.store, job_id))
    click(app, f"resume_{job.id}")
    newer = models(trained)[0]
    assert address(app, "model") == newer.id and newer.comparison is not None
    assert f"##### {newer.name} beside" in texts(app)
