"""Pages on a study of the arrhythmia profile: findings, classes, noise in words, and training by strips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from components.profiles import profile_words
from ecg_engine.labels import UNKNOWN
from ecg_engine.prediction import BEATS_FILE, STRIPS_FILE
from ecg_engine.preprocess import Run
from state.jobs import RUNNING
from state.runs import PREDICT
from state.strip_findings import UNKNOWN_PATTERN
from tests.pages.conftest import ALERTS, STRANGE, Opened, job_done
from tests.pages.test_app import texts
from tests.pages.test_prototypes import run_of
from tests.pages.test_strips import html, say, table, told


def predicted(opened: Opened, name: str) -> pd.DataFrame:
    row = opened.store.runs.newest(opened.study.id, PREDICT)
    assert row is not None
    return pd.read_csv(opened.store.runs.path(row) / name)


def components(app: AppTest) -> list[str]:
    return [one.proto.component_name for one in app.get("bidi_component")]


def beat_in(opened: Opened, wanted: pd.Series) -> tuple[Run, int, dict[str, int]]:
    """The run, the row of its first beat that is wanted, and the address of that beat."""
    run = run_of(opened)[1]
    row = int(np.flatnonzero(wanted.to_numpy())[0])
    beat = run.metadata.iloc[row]
    return run, row, {"strip": int(beat["source_row"]), "beat": int(beat["beat_global_id"])}


def test_each_strip_is_told_with_its_findings_its_majority_and_its_noise(arrhythmia: Opened) -> None:
    app = arrhythmia.page("strips")
    run = run_of(arrhythmia)[1]
    assert run.strips is not None and run.strip_quality is not None
    data = told(app, "strip_words")
    strips = predicted(arrhythmia, STRIPS_FILE).set_index("source_row").loc[run.strips.source_row]
    assert data["found"]["words"] == strips["findings"].tolist()
    assert data["found"]["label"] == strips["strip_finding"].tolist()
    most = [data["found"]["most"][one] for one in data["found"]["majority"]]
    assert most == strips["strip_pred_name"].replace("Unknown/Review", "under review").tolist()
    assert data["found"]["strange"] == (strips["known_share"] < STRANGE).astype(int).tolist()
    clean = (run.strip_quality["noise_reason"] == "").to_numpy()
    spoken = [data["kinds"][one] for one in data["noise"]] if data["noise"] else [""] * len(clean)
    assert [words == "" for words in spoken] == clean.tolist()


def test_the_list_is_filtered_and_ordered_by_findings(arrhythmia: Opened) -> None:
    app = arrhythmia.page("strips")
    strips = predicted(arrhythmia, STRIPS_FILE)
    strange = strips.loc[strips["known_share"] < STRANGE, "source_row"].tolist()
    assert strange, "some strips of the study are strange by its limit"
    shown = table(app).set_index("strip")
    assert shown.index[shown["finding"] == UNKNOWN_PATTERN].tolist() == strange
    assert shown["findings"].tolist() == strips["findings"].tolist()
    app.selectbox(key="strips_order").set_value("Most serious finding").run()
    assert table(app)["strip"].tolist()[: len(strange)] == strange
    app.multiselect(key="strips_findings").set_value([UNKNOWN_PATTERN]).run()
    assert table(app)["strip"].tolist() == strange
    app.segmented_control(key="strips_noisy").set_value("Noisy").run()
    run = run_of(arrhythmia)[1]
    assert run.strips is not None and run.strip_quality is not None
    noisy = run.strips.source_row[run.strip_quality["noisy"].to_numpy() == 1]
    left = [strip for strip in strange if strip in noisy]
    assert told(app)["places"] == np.flatnonzero(np.isin(run.strips.source_row, left)).tolist()
    app.segmented_control(key="strips_noisy").set_value("Readable").run()
    assert len(told(app)["places"]) == len(strange) - len(left)


def test_a_beat_says_what_the_model_makes_of_it(arrhythmia: Opened) -> None:
    beats = predicted(arrhythmia, BEATS_FILE)
    _run, row, where = beat_in(arrhythmia, (beats["noise_flag"] == 0) & (beats["p_n"].between(0.02, 0.98)))
    read = beats.iloc[row]
    facts = html(arrhythmia.page("strips", **where))
    assert f"{read['aami']}: {read['pred_label_name']}" in facts
    likeliest = max("NSVF", key=lambda letter: read[f"p_{letter.lower()}"])
    assert f"{likeliest} {read[f'p_{likeliest.lower()}']:.0%}".replace("%", " %") in facts
    assert f"{read['rpeak_prob']:.0%} likely one" in facts
    assert "z-scores" not in facts, "these are the reference's"


def test_a_beat_that_the_edge_cuts_says_so_and_a_noisy_one_why(arrhythmia: Opened) -> None:
    run = run_of(arrhythmia)[1]
    _run, _row, where = beat_in(arrhythmia, run.metadata["whole"] == 0)
    assert "the strip ends within the beat" in html(arrhythmia.page("strips", **where))
    told_of = run.metadata["noise_reason"].fillna("")
    _run, row, where = beat_in(arrhythmia, told_of.eq("baseline") & run.metadata["noise_flag"].eq(0))
    assert "baseline wanders" in html(arrhythmia.page("strips", **where)), "it is told, though it is no noise"
    _run, row, where = beat_in(arrhythmia, run.metadata["noise_flag"].eq(1))
    say(arrhythmia, row, "noise", 0)
    assert "a reader overruled it: noise over waves" in html(arrhythmia.page("strips", **where))


def test_runs_of_the_reference_profile_are_shown_as_before(trained: Opened) -> None:
    app = trained.page("strips")
    assert "ecg_review.strip_words" not in components(app)
    assert not {"finding", "findings", "noise_said"} & set(table(app))
    assert app.selectbox(key="strips_order").options == [
        "Strip", "Patient", "Label", "Most noise", "Least noise", "Most beats", "Most decisions",
    ]  # fmt: skip
    assert "By class" not in html(app)


def test_an_order_of_findings_is_put_away_where_there_are_none(trained: Opened) -> None:
    """A reader comes from a study of the arrhythmia profile: the list goes on, by number."""
    everything = table(trained.page("strips"))["strip"].tolist()
    app = trained.page("history")
    app.session_state["strips_order"] = "Strangest pattern"
    app.session_state["strips_findings"] = [UNKNOWN_PATTERN]
    app.session_state["strips_noisy"] = "Noisy"
    app.switch_page("pages/strips.py").run()
    assert not app.exception, [error.value for error in app.exception]
    assert app.selectbox(key="strips_order").value == "Strip"
    assert table(app)["strip"].tolist() == everything


def setting_labels(app: AppTest) -> set[str]:
    return {one.label for one in (*app.number_input, *app.selectbox, *app.toggle)}


def test_training_goes_by_the_profile_of_the_run(arrhythmia: Opened, jobs_wait: None) -> None:
    app = arrhythmia.page("training")
    assert profile_words("arrhythmia") in texts(app)
    assert setting_labels(app) >= {"Networks", "Epochs", "Share held out (%)", "Random start"}
    assert not setting_labels(app) & {"Held out", "Learning rate", "Beats at a time", "Rare labels weigh more"}
    networks = next(one for one in app.selectbox if one.label == "Networks")
    assert networks.value == "towers" and networks.options == ["Towers", "Towers and hybrid"]
    networks.select("hybrid").run()
    assert setting_labels(app) >= {"Weight of the noise gate", "Fewest beats"}, "the hybrid net has prototypes"
    app.button(key="train").click().run()
    job = arrhythmia.store.jobs.all(arrhythmia.study.id, "train")[0]
    config = job.params["config"]
    assert (config["profile"], config["model"], config["epochs"]) == ("arrhythmia", "hybrid", 8)


def test_the_reference_profile_keeps_its_networks(trained: Opened) -> None:
    app = trained.page("training")
    assert profile_words("reference") in texts(app)
    network = next(one for one in app.selectbox if one.label == "Network")
    assert network.options == ["Hybrid", "Context only"]


def test_strips_are_what_there_is_to_learn_from(arrhythmia: Opened) -> None:
    run = run_of(arrhythmia)[1]
    assert run.strips is not None
    say(arrhythmia, 5, "label", "PVC")
    app = arrhythmia.page("training")
    shown = next(one.value for one in app.dataframe if "decided" in one.value.columns)
    _, counts = np.unique(run.strips.label, return_counts=True)
    assert sorted(shown["strips"].tolist()) == sorted(counts.tolist())
    assert dict(zip(shown["name"], shown["decided"], strict=True))["V  PVC"] == 1 == shown["decided"].sum()
    assert "Readers labelled **1 beat** themselves" in texts(app)
    assert not app.button(key="train").disabled


def test_curves_of_several_networks_are_drawn_while_they_learn(arrhythmia: Opened, jobs_wait: None) -> None:
    app = arrhythmia.page("training")
    app.button(key="train").click().run()
    job = arrhythmia.store.jobs.all(arrhythmia.study.id, "train")[0]
    row: dict[str, Any] = {"epochs": 9, "train_loss": 1.2, "seconds": 0.5}
    first = {**row, "epoch": 1, "net": "first round", "val_loss": 1.4}
    second = {**row, "epoch": 2, "net": "towers 1 of 2", "val_loss": 1.25}
    detail = {"epochs": 25, "history": [first, second]}
    arrhythmia.store.jobs.write(job.id, status=RUNNING, share=0.2, message="learning beats", detail=detail)
    app.run()
    assert "Epoch 2 of 9: towers 1 of 2, held-out loss 1.250, 0.5 s an epoch" in texts(app)
    arrhythmia.store.jobs.write(job.id, detail={"epochs": 25, "history": [{**row, "epoch": 1, "net": "towers"}]})
    app.run()
    assert not app.exception and "Epoch 1 of 9: towers, 0.5 s an epoch" in texts(app)


def test_a_model_is_shown_with_its_figures_by_strips(arrhythmia: Opened) -> None:
    app = arrhythmia.page("training")
    (model,) = arrhythmia.store.models.all(arrhythmia.study.id)
    metrics = model.metrics
    listed = next(one.value for one in app.dataframe if "status" in one.value.columns)
    assert listed["profile"].tolist() == ["Arrhythmia"] and "gate" not in listed
    assert listed["right"].tolist() == pytest.approx([100 * metrics["class_acc"]])
    held = metrics["num_strips_held_out"]
    assert f"**{metrics['class_acc']:.0%} of {held} held-out strips** have the finding" in texts(app)
    report = next(one.value for one in app.dataframe if "se" in one.value.columns)
    assert report["support"].tolist() == [row["support"] for row in metrics["class_report"]]
    everyone = len(metrics["patients_val"]) + len(metrics["patients_train"])
    assert f"The networks that predict learned from all {everyone}" in texts(app)
    assert "No reader has labelled beats of these patients" in texts(app)


def test_a_retrained_model_is_compared_by_strips(arrhythmia: Opened, jobs_now: None) -> None:
    held = arrhythmia.store.models.all(arrhythmia.study.id)[0].metrics["patients_val"]
    run = run_of(arrhythmia)[1]
    mine = np.flatnonzero(run.metadata["patient_id"].astype(str).isin(held).to_numpy())
    for row in mine[:3].tolist():
        say(arrhythmia, row, "label", "Normal")
    app = arrhythmia.page("training")
    app.button(key="retrain").click().run()
    assert not app.exception
    newer, older = arrhythmia.store.models.all(arrhythmia.study.id)
    assert f"##### {newer.name} beside {older.name}" in texts(app)
    beside = next(one.value for one in app.dataframe if "change" in one.value.columns).set_index("figure")
    assert newer.comparison is not None
    right = beside.loc["Strips with the right finding"]
    assert right["now"] == pytest.approx(newer.comparison["candidate"]["class_acc"])
    assert right["before"] == pytest.approx(newer.comparison["current"]["class_acc"])
    assert "Noise gate right" not in beside.index
    assert "F1 of N, labelled beats" in beside.index, "beats that readers labelled are judged, too"


def test_a_model_of_another_profile_than_the_newest_runs_is_told(trained: Opened) -> None:
    assert "train a new model below instead" not in texts(trained.page("training"))
    job_done(trained.store, trained.study.id, "preprocess", {"pictures": False, "config": {"profile": "arrhythmia"}})
    app = trained.page("training")
    assert "is of the reference profile, the newest run of the arrhythmia profile" in texts(app)
    assert next(one for one in app.selectbox if one.label == "Networks").value == "towers", "not the last training's"


def test_prediction_asks_how_rare_a_pattern_may_be(arrhythmia: Opened, jobs_wait: None) -> None:
    app = arrhythmia.page("review")
    app.segmented_control(key="review_view").set_value("Predict").run()
    labels = {one.label: one for one in app.number_input}
    assert "Least similarity to known shapes" not in labels
    labels["Rarest pattern that is let through (%)"].set_value(7.5).run()
    app.button(key="predict").click().run()
    job = arrhythmia.store.jobs.all(arrhythmia.study.id, "predict")[0]
    assert job.params["config"]["min_known_share"] == pytest.approx(0.075)


def test_reviews_tables_hold_findings_and_classes(arrhythmia: Opened) -> None:
    app = arrhythmia.page("review")
    app.segmented_control(key="review_view").set_value("Strips").run()
    strips = predicted(arrhythmia, STRIPS_FILE)
    shown = next(one.value for one in app.dataframe if "findings" in one.value.columns)
    assert shown["findings"].tolist() == strips["findings"].tolist()
    odd = (strips["known_share"] < STRANGE).to_numpy()
    assert f"stood by, {odd.sum()} of them unknown patterns; " in texts(app) and "read all the same" in texts(app)
    assert (shown["finding"] == UNKNOWN_PATTERN).tolist() == odd.tolist()
    unsure = ((strips["strip_finding"] == UNKNOWN) & ~odd).to_numpy()
    assert (shown["finding"] == "Nothing sure").tolist() == unsure.tolist()
    app.segmented_control(key="review_view").set_value("Beats").run()
    beats = predicted(arrhythmia, BEATS_FILE)
    shown = next(one.value for one in app.dataframe if "aami" in one.value.columns)
    assert shown["aami"].tolist() == beats["aami"].tolist()[: len(shown)]
    assert "similarity" not in shown


def test_agreement_is_of_findings_and_owns_that_the_model_has_seen_everyone(arrhythmia: Opened) -> None:
    app = arrhythmia.page("review")
    app.segmented_control(key="review_view").set_value("Agreement").run()
    run, strips = run_of(arrhythmia)[1], predicted(arrhythmia, STRIPS_FILE)
    assert run.strips is not None
    truth, found = run.strips.label, strips["strip_finding"].to_numpy()
    labelled, stood = truth >= 0, (truth >= 0) & (found != UNKNOWN)
    share = float((truth == found)[labelled].mean())
    assert f"Of **{labelled.sum()} labelled strips**" in texts(
        app
    ) and f"**{share:.0%}**; of the **{stood.sum()}**" in texts(app)
    assert any("trained on all of these patients" in one.value for one in app.warning), (
        "the held-out ones, too, in the end"
    )


def test_every_page_works_on_the_profile(arrhythmia: Opened) -> None:
    job_done(arrhythmia.store, arrhythmia.study.id, "alerts", {"config": ALERTS})
    for name in ("upload", "prototypes", "seeds", "alerts", "history"):
        app = arrhythmia.page(name)
        assert not app.error, [one.value for one in app.error]
    app = arrhythmia.page("review")
    for view in ("Queue", "Agreement"):
        app.segmented_control(key="review_view").set_value(view).run()
        assert not app.exception and not app.error
