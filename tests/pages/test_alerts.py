"""The Alerts page: clusters of the unknown, what is done about them, and when there is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from ecg_engine.alerts import Patterns, load_patterns
from ecg_engine.labels import NOISE, label_id
from state.anchors import beat_index
from state.deciding import Decision, decide
from state.effective import effective_labels
from state.pattern_members import rows_of_cluster
from state.runs import ALERTS, PREDICT, RunRow
from state.seeding import target_of
from tests.pages.conftest import Opened, job_done
from tests.pages.test_prototypes import run_of
from tests.pages.test_review import address, said

PVC = label_id("PVC")


def made(opened: Opened) -> list[Decision]:
    """Decisions that hold."""
    return opened.store.decisions.active(opened.study.id)


def search(opened: Opened) -> tuple[RunRow, Patterns]:
    row = opened.store.runs.newest(opened.study.id, ALERTS)
    assert row is not None
    return row, load_patterns(opened.store.runs.path(row))


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=f"alerts_{key}").click().run()
    assert not app.exception, [error.value for error in app.exception]
    return app


def cluster(app: AppTest) -> int:
    """The cluster that is shown."""
    (title,) = [one.value for one in app.subheader if one.value.startswith("Cluster")]
    return int(title.split()[1])


def show(app: AppTest, view: str) -> AppTest:
    app.button_group(key="alerts_view").set_value(view).run()
    assert not app.exception, [error.value for error in app.exception]
    return app


def rows_of(opened: Opened, number: int) -> np.ndarray:
    row, run = run_of(opened)
    return rows_of_cluster(beat_index(run, row.id), search(opened)[1].members, number)


def test_empty_states_lead_to_the_next_step(with_files: Opened) -> None:
    assert "Go to Upload" in [one.label for one in with_files.page("alerts").button]


def test_without_a_prediction_the_way_leads_to_review(preprocessed: Opened) -> None:
    assert "Go to Review" in [one.label for one in preprocessed.page("alerts").button]


def test_the_largest_alert_is_shown_first_with_what_is_known_of_it(trained: Opened) -> None:
    app, (_, patterns) = trained.page("alerts"), search(trained)
    first = patterns.clusters.iloc[0]
    assert cluster(app) == first["cluster_id"]
    assert first["alert_flag"] == 1
    text = said(app)
    assert f"{patterns.summary['unknown_count']:,} beats under review in {len(patterns.clusters)} clusters" in text
    assert f"{len(patterns.alerts)} alert" in text
    assert f"**{first['size']:,} beats**" in text
    assert "No reader has settled any of them" in text


def test_next_and_previous_go_round_and_the_choice_stays(trained: Opened) -> None:
    app, (_, patterns) = trained.page("alerts"), search(trained)
    order = patterns.clusters["cluster_id"].tolist()
    press(app, "after")
    assert cluster(app) == order[1 % len(order)]
    assert address(app, "cluster") == str(order[1 % len(order)])
    app.switch_page("pages/prototypes.py").run()
    app.switch_page("pages/alerts.py").run()
    assert cluster(app) == order[1 % len(order)]
    press(press(app, "before"), "before")
    assert cluster(app) == order[-1]
    assert cluster(trained.page("alerts", cluster=order[-1])) == order[-1]


def test_an_alert_is_acknowledged_and_that_is_undone(trained: Opened) -> None:
    app, (row, patterns) = trained.page("alerts"), search(trained)
    first = int(patterns.clusters["cluster_id"].iloc[0])
    press(app, "seen")
    (decision,) = made(trained)
    assert (decision.target, decision.field, decision.new) == (f"alert:{row.id}:{first}", "acknowledged", "1")
    assert "seen by Dr Test" in said(app)
    assert f"{len(patterns.alerts) - 1} not yet seen" in said(app)
    press(app, "undo")
    assert made(trained) == [] and "seen by" not in said(app)
    press(press(app, "seen"), "seen")
    assert made(trained)[-1].new == "0" and "seen by" not in said(app)


def test_a_pattern_is_named_after_one_more_question_and_undone_in_one_step(trained: Opened) -> None:
    app, (_, patterns) = trained.page("alerts"), search(trained)
    first = patterns.clusters.iloc[0]
    press(app, f"label_{PVC}")
    assert made(trained) == [], "nothing is kept before the answer"
    assert f"Label **{first['size']:,} beats** of cluster {first['cluster_id']} as **PVC**?" in said(app)
    press(app, "no")
    assert made(trained) == []
    press(press(app, f"label_{PVC}"), "yes")
    assert len(made(trained)) == first["size"]
    assert len({one.payload["batch"] for one in made(trained)}) == 1
    row, run = run_of(trained)
    effective = effective_labels(run, made(trained), run_id=row.id)
    assert set(effective.labels[rows_of(trained, int(first["cluster_id"]))]) == {PVC}
    assert f"Readers said: PVC {first['size']:,}." in said(app)
    assert "since this search" in said(app), "the clusters are out of date, and say so"
    press(app, "undo")
    assert made(trained) == [] and "since this search" not in said(app)


def test_a_pattern_that_is_noise_is_marked_as_noise(trained: Opened) -> None:
    app = press(press(trained.page("alerts"), f"label_{NOISE}"), "yes")
    first = int(search(trained)[1].clusters["cluster_id"].iloc[0])
    row, run = run_of(trained)
    effective = effective_labels(run, made(trained), run_id=row.id)
    assert effective.noisy[rows_of(trained, first)].all()
    assert not app.exception


def test_beats_that_were_settled_one_by_one_keep_their_word(trained: Opened) -> None:
    row, run = run_of(trained)
    first = search(trained)[1].clusters.iloc[0]
    own = int(rows_of(trained, int(first["cluster_id"]))[0])
    target = target_of(run, beat_index(run, row.id), own)
    trained.store.decisions.add([decide(trained.study.id, "Somebody", target, "label", "AFib")])
    app = press(trained.page("alerts"), f"label_{PVC}")
    assert "What readers said of 1 other beat one by one stays" in said(app)
    press(app, "yes")
    effective = effective_labels(run, made(trained), run_id=row.id)
    assert effective.labels[own] == label_id("AFib")
    assert len(made(trained)) == first["size"]


def test_a_typical_beat_becomes_a_seed(trained: Opened) -> None:
    app = press(trained.page("alerts"), "seed")
    (decision,) = made(trained)
    assert decision.field == "seed"
    row, run = run_of(trained)
    seeds = effective_labels(run, made(trained), run_id=row.id).seeds
    first = int(search(trained)[1].clusters["cluster_id"].iloc[0])
    ids = run.metadata["beat_global_id"].to_numpy()[rows_of(trained, first)]
    assert seeds["beat_global_id"].iloc[0] in ids
    press(app, "seed")
    assert len(made(trained)) == 2, "the next one, not the same again"


def test_a_member_opens_on_its_strip(trained: Opened) -> None:
    app = press(trained.page("alerts"), "open")
    assert "Strips" in [one.value for one in app.title]
    _, run = run_of(trained)
    first = int(search(trained)[1].clusters["cluster_id"].iloc[0])
    ids = run.metadata["beat_global_id"].to_numpy()
    assert int(app.session_state["chosen"]["beat"]) in ids[rows_of(trained, first)]


def test_the_table_marks_alerts_in_words(trained: Opened) -> None:
    app, (_, patterns) = show(trained.page("alerts"), "Table"), search(trained)
    table = app.dataframe[0].value
    assert table["size"].tolist() == patterns.clusters["size"].tolist()
    assert ["alert" in one for one in table["standing"]] == (patterns.clusters["alert_flag"] == 1).tolist()


def test_the_map_holds_every_cluster(trained: Opened) -> None:
    app = show(trained.page("alerts"), "Map")
    assert len(app.get("plotly_chart")) == 1


def test_looking_again_asks_for_other_settings(trained: Opened, jobs_now: None) -> None:
    app, (before, _) = show(trained.page("alerts"), "Look again"), search(trained)
    prediction = trained.store.runs.newest(trained.study.id, PREDICT)
    assert prediction is not None
    app.number_input(key=f"alert_size_{prediction.id}").set_value(100_000).run()
    press(app, "search")
    after, patterns = search(trained)
    assert after.id != before.id and after.config["min_alert_size"] == 100_000
    assert prediction.id in after.parents and len(patterns.alerts) == 0
    show(app, "Gallery")
    assert "**No alert**" in said(app)
    assert app.button(key="alerts_seen").disabled, "what is no alert needs no acknowledgement"


def test_nothing_under_review_is_good_news(trained: Opened) -> None:
    open_limits = {"min_class_conf": 0.0, "max_noise_prob": 1.0, "min_proto_sim": -1.0}
    job_done(trained.store, trained.study.id, "predict", {"config": open_limits})
    app = trained.page("alerts")
    assert "Good news" in said(app)
    assert "alerts_search" not in [one.key for one in app.button]


def test_a_new_prediction_has_not_been_looked_through(trained: Opened) -> None:
    job_done(trained.store, trained.study.id, "predict", {"config": {"min_class_conf": 1.0}})
    app = trained.page("alerts")
    assert "Look whether they form groups" in said(app)
    assert not app.button(key="alerts_search").disabled
    older = trained.store.runs.all(trained.study.id, PREDICT)[1]
    again = trained.page("alerts", prediction=older.id)
    assert "A model has predicted since" in said(again)


def test_files_that_are_gone_are_told(trained: Opened) -> None:
    row, _ = search(trained)
    (trained.store.runs.path(row) / "new_pattern_clusters.csv").unlink()
    app = trained.page("alerts")
    assert len(app.error) == 1 and "Look for new patterns again" in app.error[0].value
    assert "alerts_search" in [one.key for one in app.button]


@pytest.mark.parametrize("wrong", ["abc", "999", "-5"])
def test_a_cluster_that_is_none_is_passed_over(trained: Opened, wrong: str) -> None:
    app = trained.page("alerts", cluster=wrong)
    assert cluster(app) == search(trained)[1].clusters["cluster_id"].iloc[0]
