"""What holds for each beat: the order of precedence, noise and validity, and finding beats again."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_engine.labels import NOISE, UNLABELLED
from state.anchors import BeatIndex, members_payload
from state.decisions import Decision
from state.derived import label_counts, noise_share, prototype_mix
from state.effective import effective_labels, out_of_date
from state.targets import beat_target, prototype_target, strip_target
from tests.state.runs_for_tests import START, Reading, index_of, strip_hash

NORMAL, PAC, PVC = 0, 1, 2


def _beat(strip: int, time: int) -> str:
    return beat_target(strip_hash(strip), time)


@pytest.fixture
def said() -> Reading:
    return Reading()


@pytest.fixture
def index() -> BeatIndex:
    """Two strips of three beats: Normal and Noise; the second beat of each is flagged."""
    return index_of(
        [[500, 1500, 2500], [400, 1400, 2400]],
        labels=[NORMAL, NOISE],
        flags=[0, 1, 0, 0, 1, 0],
        prototypes=[3, -1, 3, 4, -1, 4],
    )


def _labels(index: BeatIndex, *decisions: Decision) -> list[int]:
    return effective_labels(index, decisions).labels.tolist()


def test_without_decisions_the_file_holds(index: BeatIndex) -> None:
    effective = effective_labels(index, [])
    assert effective.labels.tolist() == [NORMAL] * 3 + [NOISE] * 3
    assert effective.noise_flags.tolist() == [0, 1, 0, 0, 1, 0]
    assert set(effective.source) == {"strip"}


def test_beat_before_prototype_before_model_before_strip(index: BeatIndex, said: Reading) -> None:
    # Oldest is strongest, so only precedence can explain the result.
    beat = said(_beat(0, 500), "label", "PVC")
    prototype = said(prototype_target("run1", 3), "label", "PAC")
    model = [said(_beat(0, time), "refined", "Couplets") for time in (500, 1500, 2500)]
    strip = said(strip_target(strip_hash(0)), "label", "Triplets")
    effective = effective_labels(index, [beat, prototype, *model, strip])
    assert effective.labels.tolist()[:3] == [PVC, 10, PAC]
    assert effective.source.tolist()[:3] == ["beat", "model", "prototype"]
    assert _labels(index, strip)[:3] == [11] * 3
    assert _labels(index, strip)[3:] == [NOISE] * 3


def test_the_newest_of_the_same_kind_holds_whatever_the_order_of_arrival(index: BeatIndex, said: Reading) -> None:
    older, newer = said(_beat(0, 500), "label", "PVC"), said(_beat(0, 500), "label", "PAC")
    assert _labels(index, newer, older)[0] == PAC
    cleared = said(_beat(0, 500), "label", None)
    assert _labels(index, cleared, newer, older)[0] == NORMAL


def test_a_beat_marked_noise_stays_in_the_windows(index: BeatIndex, said: Reading) -> None:
    for decision in (said(_beat(0, 500), "noise", 1), said(_beat(0, 500), "label", "Noise")):
        effective = effective_labels(index, [decision])
        assert (effective.labels[0], effective.noise_flags[0], effective.source[0]) == (NOISE, 0, "beat")
    flagged = effective_labels(index, [said(_beat(0, 1500), "noise", 1)])
    assert (flagged.labels[1], flagged.noise_flags[1]) == (NOISE, 0)


def test_a_class_or_valid_takes_the_flag_away(index: BeatIndex, said: Reading) -> None:
    valid = effective_labels(index, [said(_beat(0, 1500), "noise", 0)])
    assert (valid.labels[1], valid.noise_flags[1], valid.source[1]) == (NORMAL, 0, "strip")
    labelled = effective_labels(index, [said(_beat(0, 1500), "label", "PVC")])
    assert (labelled.labels[1], labelled.noise_flags[1]) == (PVC, 0)


def test_valid_brings_back_what_was_said_before(index: BeatIndex, said: Reading) -> None:
    steps = [said(_beat(0, 500), "label", "PVC"), said(_beat(0, 500), "noise", 1), said(_beat(0, 500), "noise", 0)]
    assert [_labels(index, *steps[:count])[0] for count in (1, 2, 3)] == [PVC, NOISE, PVC]
    again = [said(_beat(0, 500), "label", "Noise"), said(_beat(0, 500), "noise", 0), said(_beat(0, 500), "noise", None)]
    assert [_labels(index, *steps, *again[:count])[0] for count in (1, 2, 3)] == [NOISE, PVC, PVC]


def test_a_valid_beat_of_a_noise_strip_is_of_unknown_class(index: BeatIndex, said: Reading) -> None:
    effective = effective_labels(index, [said(_beat(1, 400), "noise", 0)])
    assert (effective.labels[3], effective.source[3]) == (UNLABELLED, "beat")
    assert _labels(index, said(strip_target(strip_hash(1)), "label", "PVC"), said(_beat(1, 400), "noise", 0))[3] == PVC


def test_a_word_on_the_beat_stands_against_a_noise_prototype(index: BeatIndex, said: Reading) -> None:
    noise = said(prototype_target("run1", 3), "noise", 1)
    assert _labels(index, noise)[:3] == [NOISE, NORMAL, NOISE]
    valid, label = said(_beat(0, 500), "noise", 0), said(_beat(0, 2500), "label", "PVC")
    assert _labels(index, valid, label, said(prototype_target("run1", 3), "noise", 1))[:3] == [NORMAL, NORMAL, PVC]
    named = said(prototype_target("run1", 3), "label", "PAC")
    assert _labels(index, named, noise, valid)[:3] == [PAC, NORMAL, PAC]
    later = said(prototype_target("run1", 3), "noise", 1)
    assert _labels(index, named, later, valid)[:3] == [PAC, NORMAL, NOISE]


def test_undone_decisions_do_not_count(index: BeatIndex, said: Reading) -> None:
    label = said(_beat(0, 500), "label", "PVC")
    undo = Decision("u", "study", "Ada", START + timedelta(hours=1), label.target, "label", None, undoes=label.id)
    assert _labels(index, undo, label)[0] == NORMAL


def test_notes_doubts_and_seeds(index: BeatIndex, said: Reading) -> None:
    effective = effective_labels(
        index,
        [
            said(_beat(0, 500), "note", "notched"),
            said(_beat(0, 500), "unsure", 1),
            said(_beat(0, 1500), "seed", "PVC"),
            said(_beat(1, 400), "seed", "PAC"),
            said(_beat(1, 400), "seed", ""),
        ],
    )
    assert effective.notes == {0: "notched"}
    assert effective.unsure.tolist() == [True] + [False] * 5
    assert effective.seeds.to_dict("records") == [{"beat_global_id": 1, "label_name": "PVC"}]
    assert effective.labels.tolist() == [NORMAL] * 3 + [NOISE] * 3


def test_a_decision_finds_the_peak_within_75_ms(said: Reading) -> None:
    decisions = [said(_beat(0, 1000), "label", "PVC")]
    for moved, found in [(925, True), (1075, True), (924, False), (1076, False)]:
        effective = effective_labels(index_of([[moved, 3000]], labels=[NORMAL]), decisions)
        assert (effective.labels.tolist() == [PVC, NORMAL]) is found
        assert bool(effective.unmatched) is not found
    other = effective_labels(index_of([[1000]], labels=[NORMAL], first=5), decisions)
    assert other.labels.tolist() == [NORMAL]
    assert "strip is not in this run" in other.unmatched[0].reason


def test_one_peak_serves_one_beat(said: Reading) -> None:
    index = index_of([[1000]], labels=[NORMAL])
    near, far = said(_beat(0, 960), "label", "PVC"), said(_beat(0, 1050), "label", "PAC")
    for order in ([near, far], [far, near]):
        effective = effective_labels(index, order)
        assert effective.labels.tolist() == [PVC]
        assert [lost.decision for lost in effective.unmatched] == [far]
    # The same beat, seen by two runs a little apart: both decisions are about it, and the newer holds.
    again = said(_beat(0, 990), "label", "PAC")
    effective = effective_labels(index, [near, again])
    assert (effective.labels.tolist(), effective.unmatched) == ([PAC], ())


def test_the_nearest_of_two_peaks_is_taken(said: Reading) -> None:
    index = index_of([[1000, 1100], [0, 9990]], labels=[NORMAL, NORMAL])
    assert _labels(index, said(_beat(0, 1060), "label", "PVC")) == [NORMAL, PVC, NORMAL, NORMAL]
    assert _labels(index, said(_beat(1, 9999), "label", "PVC")) == [NORMAL, NORMAL, NORMAL, PVC]


def test_a_prototype_decision_survives_another_run(index: BeatIndex, said: Reading) -> None:
    decision = said(prototype_target("run1", 3), "label", "PVC", payload=members_payload(index, 3))
    later = index_of([[401, 1400], [512, 1490, 2570]], labels=[NOISE, NORMAL], run_id="run2", prototypes=[0] * 5)
    # The strips came in another order, and one peak moved by more than 75 ms.
    swapped = BeatIndex(
        "run2",
        {strip_hash(1): 0, strip_hash(0): 1},
        later.strip_of_beat,
        later.time_ms + np.array([0, 0, 0, 0, 6]),
        later.beat_ids,
        later.file_labels,
        later.flags,
        later.prototypes,
    )
    effective = effective_labels(swapped, [decision])
    assert effective.labels.tolist() == [NOISE, NOISE, PVC, NORMAL, NORMAL]
    assert [lost.reason for lost in effective.unmatched] == ["1 of its 2 beats have no R-peak here"]


def test_a_prototype_decision_that_finds_nothing_is_listed(index: BeatIndex, said: Reading) -> None:
    cases = [
        (said(prototype_target("run0", 3), "label", "PVC"), "its beats were not kept"),
        (said(prototype_target("run1", 9), "label", "PVC"), "no such prototype"),
        (
            said(prototype_target("run0", 3), "label", "PVC", payload={"members": {strip_hash(9): [500, 900]}}),
            "none of its 2 beats",
        ),
        (said(strip_target(strip_hash(9)), "label", "PVC"), "not in this run"),
    ]
    effective = effective_labels(index, [decision for decision, _ in cases])
    reasons = {lost.decision.id: lost.reason for lost in effective.unmatched}
    assert all(words in reasons[decision.id] for decision, words in cases)
    assert effective.labels.tolist() == [NORMAL] * 3 + [NOISE] * 3


def test_a_run_of_the_old_scripts_has_no_place_for_decisions(said: Reading) -> None:
    old = index_of([[500]], labels=[NORMAL])
    old = BeatIndex("run1", {}, np.array([-1]), old.time_ms, old.beat_ids, old.file_labels, old.flags, old.prototypes)
    effective = effective_labels(old, [said(_beat(0, 500), "label", "PVC")])
    assert effective.labels.tolist() == [NORMAL]
    assert len(effective.unmatched) == 1


def test_an_empty_run(said: Reading) -> None:
    effective = effective_labels(index_of([]), [said(_beat(0, 500), "label", "PVC")])
    assert len(effective.labels) == 0
    assert len(effective.unmatched) == 1


def _slow(index: BeatIndex, decisions: list[Decision]) -> tuple[list[int], list[int]]:
    """The rule once more, beat by beat, for decisions exactly on their peaks."""
    labels, flags = [], []
    places = list(index.hashes)
    for row in range(len(index)):
        target = beat_target(places[index.strip_of_beat[row]], int(index.time_ms[row]))
        proto = prototype_target("run1", int(index.prototypes[row]))
        word: dict[str, tuple[Any, Any]] = {}
        for key in (target, proto):
            label: Any = None
            noise: Any = None
            for decision in sorted(decisions, key=lambda d: d.order):
                if decision.target != key:
                    continue
                if decision.field == "noise":
                    noise = int(decision.new or 0)
                elif decision.new == "Noise":
                    noise = 1
                else:
                    label, noise = {"PVC": PVC, "PAC": PAC}[str(decision.new)], 0
            word[key] = (label, noise)
        (beat_label, beat_noise), (proto_label, proto_noise) = word[target], word[proto]
        noise = proto_noise if beat_noise is None else beat_noise
        label = beat_label if beat_label is not None else proto_label
        label = int(index.file_labels[row]) if label is None else label
        if noise == 1:
            label = NOISE
        elif noise == 0 and label == NOISE:
            label = UNLABELLED
        labels.append(label)
        flags.append(int(index.flags[row]) if noise is None else 0)
    return labels, flags


_ONE = st.tuples(
    st.integers(0, 5) | st.sampled_from(["proto"]),
    st.sampled_from([("label", "PVC"), ("label", "PAC"), ("label", "Noise"), ("noise", "1"), ("noise", "0")]),
)


@settings(deadline=None, max_examples=150)
@given(steps=st.lists(_ONE, max_size=12), seed=st.integers(0, 99))
def test_the_fast_way_is_the_rule(steps: list[tuple[Any, tuple[str, str]]], seed: int) -> None:
    index = index_of(
        [[500, 1500, 2500], [400, 1400, 2400]],
        labels=[NORMAL, NOISE],
        flags=[0, 1, 0, 0, 1, 0],
        prototypes=[3, -1, 3, 4, -1, 4],
    )
    said, places = Reading(), list(index.hashes)
    decisions = []
    for where, (field, new) in steps:
        if where == "proto":
            target = prototype_target("run1", 3)
        else:
            target = beat_target(places[index.strip_of_beat[where]], int(index.time_ms[where]))
        decisions.append(said(target, field, new))
    expected = _slow(index, decisions)
    random.Random(seed).shuffle(decisions)
    effective = effective_labels(index, decisions)
    assert (effective.labels.tolist(), effective.noise_flags.tolist()) == expected


def test_a_large_run_is_matched_exactly() -> None:
    rng = np.random.default_rng(1)
    times = [np.cumsum(rng.integers(300, 1200, 11)).tolist() for _ in range(400)]
    index = index_of(times, labels=[NORMAL] * 400)
    said = Reading()
    rows = rng.choice(len(index), 500, replace=False)
    shift = rng.integers(-75, 76, 500)
    names = list(index.hashes)
    decisions = [
        said(beat_target(names[index.strip_of_beat[row]], max(0, int(index.time_ms[row] + move))), "label", "PVC")
        for row, move in zip(rows, shift, strict=True)
    ]
    effective = effective_labels(index, decisions)
    assert set(np.flatnonzero(effective.labels == PVC)) == set(rows.tolist())
    assert effective.unmatched == ()


def test_out_of_date_only_if_a_newer_decision_changes_something(index: BeatIndex, said: Reading) -> None:
    older, same, newer = (said(_beat(0, 500), "label", name) for name in ("PVC", "PVC", "PAC"))
    until = older.at
    assert not out_of_date(index, [older], until)
    assert not out_of_date(index, [older, same], until)
    assert not out_of_date(index, [older, said(_beat(0, 500), "note", "x")], until)
    changed = out_of_date(index, [older, newer], until)
    assert (changed.beats, changed.decisions) == (1, (newer,))
    assert out_of_date(index, [older], None).beats == 1
    undo = Decision("u", "study", "Ada", START + timedelta(hours=1), older.target, "label", None, undoes=older.id)
    assert out_of_date(index, [older, undo], until) == (1, (undo,))


def test_numbers_follow_from_effective_labels(index: BeatIndex, said: Reading) -> None:
    decisions = [
        said(_beat(0, 500), "label", "PVC"),
        said(_beat(0, 1500), "noise", 0),
        said(_beat(0, 2500), "noise", 1),
    ]
    effective = effective_labels(index, decisions)
    assert label_counts(effective) == {NOISE: 3, NORMAL: 1, PVC: 1}
    assert noise_share(index, effective).tolist() == [pytest.approx(1 / 3), 1.0]
    mix = prototype_mix(index, effective).set_index("prototype_id")
    assert mix.loc[3, ["size", "dominant_label", "label_mix_top3", "purity", "noise_ratio"]].tolist() == [
        2,
        NOISE,
        "-1:1;2:1",
        0.5,
        0.5,
    ]
    assert mix.loc[4, ["purity", "noise_ratio"]].tolist() == [1.0, 1.0]
    bare = index_of([[500]], prototypes=[0])
    assert prototype_mix(bare, effective_labels(bare, [])).loc[0, "dominant_label"] == UNLABELLED
    empty = index_of([[500], []], labels=[NORMAL, NORMAL])
    assert np.isnan(noise_share(empty, effective_labels(empty, []))[1])
