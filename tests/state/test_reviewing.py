"""What readers settled of the beats under review, and the members of new patterns."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ecg_engine.labels import label_id
from state.effective import effective_labels
from state.pattern_members import open_rows, rows_of_cluster, strips_of, typical_first, words_said
from state.reviewing import accept_field, acknowledged, rows_of_ids, verdict_label, verdicts
from state.targets import alert_target, beat_target, prototype_target, strip_target
from tests.state.runs_for_tests import Reading, index_of, strip_hash

TIMES = [[500, 1300, 2100], [400, 1200]]
PVC, NORMAL, AFIB = label_id("PVC"), label_id("Normal"), label_id("AFib")


def beat(strip: int, number: int) -> str:
    return beat_target(strip_hash(strip), TIMES[strip][number])


def test_a_word_on_the_beat_settles_it_and_the_newest_counts() -> None:
    said = Reading()
    decisions = [said(beat(0, 1), "refined", "PVC"), said(beat(0, 1), "label", "Normal"), said(beat(1, 0), "noise", 1)]
    found = verdicts(index_of(TIMES), decisions)
    assert {row: verdict_label(made) for row, made in found.items()} == {1: "Normal", 3: "Noise"}


def test_words_on_strips_prototypes_notes_and_seeds_settle_nothing() -> None:
    said = Reading()
    decisions = [
        said(strip_target(strip_hash(0)), "label", "PVC"),
        said(prototype_target("run1", 0), "label", "PVC"),
        said(beat(0, 0), "note", "look again"),
        said(beat(0, 0), "seed", "PVC"),
        said(beat(0, 0), "unsure", 1),
    ]
    assert verdicts(index_of(TIMES, prototypes=[0] * 5), decisions) == {}


def test_taking_a_word_back_leaves_the_one_in_the_other_field() -> None:
    said = Reading()
    decisions = [said(beat(0, 0), "refined", "PVC"), said(beat(0, 0), "noise", 1), said(beat(0, 0), "noise", None)]
    index = index_of(TIMES)
    assert verdict_label(verdicts(index, decisions)[0]) == "PVC"
    assert verdicts(index, [*decisions, said(beat(0, 0), "refined", None)]) == {}


def test_a_decision_finds_its_beat_after_the_peak_moved_and_others_are_left_out() -> None:
    said = Reading()
    moved = index_of([[540, 1300, 2100], [400, 1200]])
    decisions = [said(beat(0, 0), "label", "PVC"), said(beat_target(strip_hash(9), 500), "label", "PVC")]
    assert list(verdicts(moved, decisions)) == [0]


@pytest.mark.parametrize("before", ["strip", "model", "prototype", "beat"])
def test_an_accepted_suggestion_holds_whatever_decided_before(before: str) -> None:
    """The acceptance must win over a word on the beat or its prototype, which "refined" alone would not."""
    said, index = Reading(), index_of(TIMES, labels=[NORMAL, NORMAL], prototypes=[0, 0, 0, 1, 1])
    earlier = {
        "strip": [],
        "model": [said(beat(0, 1), "refined", "AFib")],
        "prototype": [said(prototype_target("run1", 0), "label", "AFib")],
        "beat": [said(beat(0, 1), "label", "AFib")],
    }[before]
    source = str(effective_labels(index, earlier).source[1])
    assert source == before
    accepted = said(beat(0, 1), accept_field(source), "PVC")
    after = effective_labels(index, [*earlier, accepted])
    assert after.labels[1] == PVC
    assert accept_field("strip") == "refined", "what the model said stays marked as the model's"


def test_ids_are_found_whatever_their_order() -> None:
    index = index_of(TIMES)
    assert rows_of_ids(index, [4, 0, 99, 2]).tolist() == [4, 0, -1, 2]
    assert rows_of_ids(index_of([]), [1]).tolist() == [-1]


def test_alerts_are_acknowledged_by_run_and_can_be_taken_back() -> None:
    said = Reading()
    first = said(alert_target("runA", 3), "acknowledged", 1)
    decisions = [first, said(alert_target("runB", 4), "acknowledged", 1), said(beat(0, 0), "label", "PVC")]
    assert acknowledged(decisions, "runA") == {3: first}
    assert acknowledged([*decisions, said(alert_target("runA", 3), "acknowledged", 0)], "runA") == {}


def members() -> pd.DataFrame:
    return pd.DataFrame({"beat_global_id": [4, 1, 0, 77], "cluster_id": [0, 0, 1, 0]})


def run_of_tests() -> SimpleNamespace:
    metadata = pd.DataFrame(
        {
            "source_row": [0, 0, 0, 1, 1],
            "patient_id": [7, 7, 7, 8, 8],
            "record_label_name": ["Normal"] * 3 + ["PVC"] * 2,
        }
    )
    return SimpleNamespace(metadata=metadata)


def test_a_clusters_rows_leave_out_beats_that_the_run_does_not_have() -> None:
    assert rows_of_cluster(index_of(TIMES), members(), 0).tolist() == [1, 4]
    assert rows_of_cluster(index_of(TIMES), members(), 5).tolist() == []


def test_the_strips_of_a_cluster_with_what_is_settled() -> None:
    said = Reading()
    settled = verdicts(index_of(TIMES), [said(beat(0, 1), "label", "PVC")])
    table = strips_of(run_of_tests(), np.array([0, 1, 4]), settled)  # type: ignore[arg-type]
    assert table["source_row"].tolist() == [0, 1], "the strip with the most members first"
    assert table[["members", "beats", "settled"]].to_numpy().tolist() == [[2, 3, 1], [1, 2, 0]]
    assert words_said(settled, np.array([0, 1, 4])) == [("PVC", 1)]
    assert open_rows(settled, np.array([0, 1, 4])).tolist() == [0, 4]


def test_the_most_typical_is_the_nearest_to_the_centroid() -> None:
    beats = np.array([[0.0, 0.0], [3.0, 3.0], [1.0, 1.0]])
    assert typical_first(beats, np.array([0, 1, 2]), np.array([1.2, 1.2])).tolist() == [2, 0, 1]
