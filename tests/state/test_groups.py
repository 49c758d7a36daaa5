"""A word on a group of look-alike beats: what it reaches, what stands against it, and how it is taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ecg_engine.labels import NOISE, UNLABELLED
from state.anchors import BeatIndex, group_payload
from state.deciding import Decision
from state.effective import effective_labels
from state.errors import DecisionError
from state.reviewing import verdicts
from state.store import Store
from state.studies import Study
from state.targets import beat_target, group_target, normal_value, parse_target, prototype_target, strip_target
from state.telling import history_table, told_target
from tests.state.runs_for_tests import START, Reading, index_of, strip_hash

NORMAL, PAC, PVC = 0, 1, 2
TIMES = [[500, 1500, 2500], [400, 1400, 2400]]
ECTOPIC, ORDINARY = 0, 1
GROUPS = (ECTOPIC, ORDINARY, ECTOPIC, ECTOPIC, -1, ORDINARY)
"""The fifth beat is flagged as noise: it is in no group."""


@pytest.fixture
def said() -> Reading:
    return Reading()


@pytest.fixture
def index() -> BeatIndex:
    return index_of(
        TIMES, labels=[NORMAL, PVC], flags=[0, 0, 0, 0, 1, 0], prototypes=[3, 3, 3, 4, -1, 4], groups=GROUPS
    )


def _beat(strip: int, time: int) -> str:
    return beat_target(strip_hash(strip), time)


def _group(said: Reading, index: BeatIndex, field: str, new: object, group: int = ECTOPIC) -> Decision:
    payload = group_payload(index, group, _beat(0, 500))
    return said(group_target("run1", group), field, new, payload=payload)


def test_one_word_labels_all_members_and_nobody_else(index: BeatIndex, said: Reading) -> None:
    effective = effective_labels(index, [_group(said, index, "label", "PVC")])
    assert effective.labels.tolist() == [PVC, NORMAL, PVC, PVC, PVC, PVC]  # the last two by their strip
    assert effective.source.tolist() == ["group", "strip", "group", "group", "strip", "strip"]
    assert effective.by_group.tolist() == [True, False, True, True, False, False]
    assert effective.noise_flags.tolist() == [0, 0, 0, 0, 1, 0], "a flagged beat is not freed by a group it is not in"


def test_beat_before_group_before_prototype_before_model_before_strip(index: BeatIndex, said: Reading) -> None:
    # The weakest is the newest, so only precedence can explain the result.
    words = [
        said(_beat(0, 500), "label", "PVC"),
        _group(said, index, "label", "PAC"),
        said(prototype_target("run1", 3), "label", "Couplets"),
        *(said(_beat(0, time), "refined", "VTach") for time in TIMES[0]),
        said(strip_target(strip_hash(0)), "label", "Triplets"),
    ]
    for order in (words, words[::-1]):
        effective = effective_labels(index, order)
        assert effective.labels.tolist()[:4] == [PVC, 10, PAC, PAC]
        assert effective.source.tolist()[:4] == ["beat", "prototype", "group", "group"]


def test_noise_goes_by_the_same_order(index: BeatIndex, said: Reading) -> None:
    noise = _group(said, index, "noise", 1)
    assert effective_labels(index, [noise]).labels.tolist()[:4] == [NOISE, NORMAL, NOISE, NOISE]
    own = said(_beat(0, 2500), "label", "PVC")
    assert effective_labels(index, [noise, own]).labels.tolist()[:4] == [NOISE, NORMAL, PVC, NOISE]
    prototype = said(prototype_target("run1", 3), "noise", 1)
    valid = _group(said, index, "noise", 0)
    assert effective_labels(index, [prototype, valid]).labels.tolist()[:4] == [NORMAL, NOISE, NORMAL, PVC]
    by_label = said(group_target("run1", ECTOPIC), "label", "Noise")
    assert effective_labels(index, [by_label]).source.tolist()[:4] == ["group", "strip", "group", "group"]


def test_taking_the_one_word_back_takes_it_from_all(index: BeatIndex, said: Reading) -> None:
    first, second = _group(said, index, "label", "PAC"), _group(said, index, "label", "PVC")
    undo = replace(second, id="undo", new=second.old, old=second.new, undoes=second.id, at=START + timedelta(hours=1))
    effective = effective_labels(index, [undo, second, first])
    assert effective.labels.tolist()[:4] == [PAC, NORMAL, PAC, PAC]
    again = replace(undo, id="redo", undoes="undo", at=START + timedelta(hours=2))
    assert effective_labels(index, [first, second, undo, again]).labels.tolist()[:4] == [PVC, NORMAL, PVC, PVC]
    nothing = _group(said, index, "label", None)
    assert set(effective_labels(index, [first, nothing]).source) == {"strip"}


def test_another_run_of_the_file_finds_the_members_again(index: BeatIndex, said: Reading) -> None:
    word = _group(said, index, "label", "PAC")
    other = index_of([[520, 1500, 2700], [380, 1400, 2400]], labels=[NORMAL, PVC], groups=[5] * 6, run_id="run2")
    effective = effective_labels(other, [word])
    assert effective.labels.tolist() == [PAC, NORMAL, NORMAL, PAC, PVC, PVC]
    assert effective.source.tolist()[0] == "group" and effective.by_group.tolist()[0]
    (unmatched,) = effective.unmatched
    assert unmatched.reason == "1 of its 3 beats have no R-peak here"
    bare = replace(word, payload={})
    assert (
        effective_labels(other, [bare]).unmatched[0].reason == "it belongs to another run, and its beats were not kept"
    )
    unknown = said(group_target("run1", 77), "label", "PVC")
    assert effective_labels(index, [unknown]).unmatched[0].reason == "the run has no such group"


def test_one_row_in_the_store_however_often_it_is_sent(store: Store, study: Study, index: BeatIndex) -> None:
    said = Reading(study.id)
    word, own = _group(said, index, "label", "PAC"), said(_beat(0, 500), "label", "PVC")
    for _ in range(2):
        store.decisions.add([word, own])
    kept = store.decisions.listing(study.id)
    assert len(kept) == 2
    made = next(one for one in kept if one.id == word.id)
    assert made.payload == {
        "members": {strip_hash(0): [500, 2500], strip_hash(1): [400]}, "shown": _beat(0, 500)
    }  # fmt: skip
    assert effective_labels(index, kept).labels.tolist()[:4] == [PVC, NORMAL, PAC, PAC]
    store.decisions.undo(word.id, "Ada")
    assert effective_labels(index, store.decisions.listing(study.id)).labels.tolist()[:4] == [PVC, NORMAL, NORMAL, PVC]


def test_what_can_be_said_of_a_group() -> None:
    target = parse_target(group_target("run1", 12))
    assert (target.kind, target.name, target.number) == ("group", "run1", 12)
    assert normal_value(target, "label", 2) == "PVC" and normal_value(target, "noise", True) == "1"
    for field, value in (("seed", "PVC"), ("refined", "PVC"), ("peak", "added"), ("label", UNLABELLED)):
        with pytest.raises(DecisionError):
            normal_value(target, field, value)
    for wrong in ("group:run1", "group:run1:x", "group::3"):
        with pytest.raises(DecisionError):
            parse_target(wrong)


def test_the_history_tells_it_in_words(index: BeatIndex, said: Reading) -> None:
    word = _group(said, index, "label", "PAC")
    assert told_target(word.target, None, index).words == "Group 0 of look-alike beats"
    other = replace(index, run_id="run2")
    assert told_target(word.target, None, other).words == "Group 0 of look-alike beats of an earlier run"
    table = history_table([word], None, index)
    assert table[["kind", "change"]].iloc[0].tolist() == ["Group", "not said → PAC"]


def test_a_word_on_the_group_settles_its_beats_where_nothing_was_said_of_them(index: BeatIndex, said: Reading) -> None:
    word, own = _group(said, index, "label", "PAC"), said(_beat(0, 500), "label", "PVC")
    found = verdicts(index, [word, own])
    assert {row: made.id for row, made in found.items()} == {0: own.id, 2: word.id, 3: word.id}
    assert verdicts(index, [own, replace(word, at=START)])[0].id == own.id, "whichever came first"
    assert set(verdicts(index, [word, _group(said, index, "label", None)])) == set()
    other = index_of(TIMES, labels=[NORMAL, PVC], groups=[5] * 6, run_id="run2")
    assert set(verdicts(other, [word])) == {0, 2, 3}
