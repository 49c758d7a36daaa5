"""Groups of look-alike beats in the review queue: which are asked about, in what order, and what settles them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ecg_engine.config import PredictConfig, PreprocessConfig
from ecg_engine.group_queue import LEAST_GAIN, LEAST_SIZE, group_sentence, groups_to_ask, typical_members
from ecg_engine.labels import NOISE, UNKNOWN
from ecg_engine.preprocess import Run, preprocess
from ecg_engine.simulate import simulate_strips
from ecg_engine.strips import read_strips
from state.anchors import BeatIndex, beat_index, group_payload
from state.deciding import Decision
from state.effective import effective_labels
from state.queue_candidates import Prediction, find_candidates
from state.queue_groups import group_facts, members_by_group
from state.queue_items import QueueCounts, queue_counts, queue_items
from state.seeding import target_of
from state.targets import beat_target, group_target
from tests.state.runs_for_tests import Reading

NORMAL, PVC = 0, 2
LIMITS = PredictConfig(min_known_share=0.02)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("strips") / "ward.csv"
    simulate_strips(n_per_label={0: 12, 2: 12}, n_patients=3, seed=11).strips.to_csv(path, index=False)
    config = PreprocessConfig(profile="arrhythmia", n_global_clusters=4)
    return preprocess(read_strips(path, config), config)


@pytest.fixture(scope="module")
def index(run: Run) -> BeatIndex:
    return beat_index(run, "run1")


@pytest.fixture(scope="module")
def prediction(run: Run) -> Prediction:
    """A model that takes each third group for PVC by two thirds, is all but sure of the others, not of two strips."""
    beats = run.metadata.copy()
    doubted = beats["group_id"].to_numpy() % 3 == 0
    p = np.where(doubted[:, None], [0.3, 0.02, 0.66, 0.02], [0.9994, 0.0002, 0.0002, 0.0002])
    beats[["p_n", "p_s", "p_v", "p_f"]] = p
    beats["pred_label_raw"] = pd.array(np.where(doubted, PVC, NORMAL), dtype="Int64")
    beats["pred_conf"], beats["noise_prob"], beats["max_proto_sim"] = p.max(axis=1), 0.1, np.nan
    beats["aami"] = np.where(doubted, "V", "N")
    strange = run.strip_of_beat == 1
    beats["known_share"] = np.where(strange, 0.005, 0.5)
    beats["review_flag"], beats["review_reason"] = strange.astype(int), np.where(strange, "pattern", "")
    assert run.strips is not None
    m = len(run.strips)
    strips = pd.DataFrame(
        {
            "source_row": run.strips.source_row,
            "strip_pred_label": UNKNOWN,
            "num_beats": np.bincount(run.strip_of_beat, minlength=m),
            "num_review": 0,
            "num_noise": 0,
            "strip_finding": np.where(np.isin(np.arange(m), [1, 2]), UNKNOWN, NORMAL),
            "findings": ["couplet; PVC burden 3/12" if place == 1 else "sinus rhythm" for place in range(m)],
            "finding_confidence": np.where(np.arange(m) == 2, 0.41, 0.9),
            "known_share": np.where(np.arange(m) == 1, 0.005, 0.5),
        }
    )
    return beats, strips


class Desk:
    """A run with groups, perhaps a prediction, and readers around it."""

    def __init__(self, run: Run, index: BeatIndex, prediction: Prediction | None) -> None:
        self.run, self.index, self.prediction = run, index, prediction
        self.candidates = find_candidates(run, index, prediction, LIMITS)
        self.ada, self.ben = Reading(reader="Ada"), Reading(reader="Ben")
        self.members = members_by_group(index)

    def _given(self, decisions: Sequence[Decision], reader: str) -> tuple[Any, ...]:
        effective = effective_labels(self.index, decisions)
        return self.run, self.index, effective, effective.decisions, self.prediction, LIMITS, reader

    def items(self, *decisions: Decision, reader: str = "Ada", order: str = "gain", **how: Any) -> pd.DataFrame:
        return queue_items(*self._given(decisions, reader), candidates=self.candidates, order=order, **how)

    def counts(self, *decisions: Decision, reader: str = "Ada") -> QueueCounts:
        return queue_counts(*self._given(decisions, reader), candidates=self.candidates)

    def groups(self, *decisions: Decision, **how: Any) -> pd.DataFrame:
        table = self.items(*decisions, **how)
        return table[table["kind"] == "group"].reset_index(drop=True)

    def say(self, reader: Reading, group: int, field: str, new: object) -> Decision:
        shown = target_of(self.run, self.index, int(self.members[group][0]))
        payload = group_payload(self.index, group, shown)
        return reader(group_target("run1", group), field, new, payload=payload)


@pytest.fixture
def desk(run: Run, index: BeatIndex, prediction: Prediction) -> Desk:
    return Desk(run, index, prediction)


def test_the_groups_that_gain_most_come_first_and_sure_or_tiny_ones_are_not_asked(desk: Desk) -> None:
    table = desk.items()
    groups = table[table["kind"] == "group"]
    sizes = {group: len(rows) for group, rows in desk.members.items()}
    # Each doubted group has the same doubt, so the larger gains more.
    assert groups["group"].map(sizes).is_monotonic_decreasing
    doubted = {group for group, size in sizes.items() if group % 3 == 0 and size >= LEAST_SIZE}
    assert set(groups["group"]) == doubted != set()
    assert len(doubted) < len(sizes)
    assert table["kind"].iloc[0] == "group", "one key for many beats comes before keys for one"
    assert set(groups["suggestion"]) == {PVC} and groups["confidence"].to_numpy() == pytest.approx(0.66, abs=1e-6)
    assert [set(reasons) for reasons in groups["reasons"]] == [{"group"}] * len(groups)
    first = groups.iloc[0]
    size, patient = sizes[first["group"]], first["patient"]
    assert first["why"][0] == (
        f"1 of {size} beats of patient {patient} that look and come alike; the model takes them for PVC (66%)."
    )
    assert desk.index.groups[first["row"]] == first["group"]
    assert desk.counts().reasons["group"] == len(groups)


def test_without_a_model_groups_of_ectopic_strips_come_first(run: Run, index: BeatIndex) -> None:
    desk = Desk(run, index, None)
    groups = desk.groups()
    assert set(groups["group"]) == {group for group, rows in desk.members.items() if len(rows) >= LEAST_SIZE}
    assert set(groups["suggestion"]) == {UNKNOWN} and groups["confidence"].isna().all()
    labels = index.strip_labels[index.strip_of_beat]
    share = {group: float(np.mean(labels[rows] == PVC)) for group, rows in desk.members.items()}
    pure = groups[groups["group"].map(share) > 0.99]
    plain = groups[groups["group"].map(share) < 0.01]
    assert len(pure)
    for one in plain.index:
        size = len(desk.members[groups["group"][one]])
        alike = [two for two in pure.index if len(desk.members[groups["group"][two]]) >= size]
        assert all(two < one for two in alike)


def test_runs_of_the_reference_profile_have_none(tmp_path: Path) -> None:
    simulate_strips(n_per_label={0: 3, 2: 3}, n_patients=2, seed=1).strips.to_csv(tmp_path / "a.csv", index=False)
    config = PreprocessConfig(n_global_clusters=2)
    run = preprocess(read_strips(tmp_path / "a.csv", config), config)
    index = beat_index(run, "run1")
    assert (index.groups == -1).all()
    assert not len(Desk(run, index, None).groups())


def test_one_word_settles_the_group_and_its_beats_and_undo_brings_all_back(desk: Desk) -> None:
    group = int(desk.groups()["group"][0])
    for field, value in (("label", "PVC"), ("label", "Noise"), ("noise", 1)):
        word = desk.say(desk.ada, group, field, value)
        for reader in ("Ada", "Ben"):
            assert group not in set(desk.groups(word, reader=reader)["group"])
        assert desk.counts(word).reasons["group"] == desk.counts().reasons["group"] - 1
    assert group in set(desk.groups()["group"])
    assert group in set(desk.groups(word, desk.say(desk.ada, group, "noise", None))["group"])


def test_beats_of_a_labelled_group_are_not_asked_about_one_by_one(
    run: Run, index: BeatIndex, prediction: Prediction
) -> None:
    beats, strips = prediction[0].copy(), prediction[1]
    beats["review_flag"], beats["review_reason"] = 1, "confidence"
    desk = Desk(run, index, (beats, strips))
    group = int(desk.groups()["group"][0])
    rows = set(desk.members[group].tolist())
    asked = desk.items()
    assert rows <= set(asked.loc[asked["kind"] == "beat", "row"])
    left = desk.items(desk.say(desk.ada, group, "label", "PVC"))
    assert not rows & set(left["row"])
    gone = set(asked["key"]) - set(left["key"])
    assert len([key for key in gone if key.startswith("beat:")]) == len(rows)
    one = target_of(run, index, min(rows))
    unsure = desk.ben(one, "unsure", 1)
    kept = desk.items(unsure, desk.say(desk.ada, group, "label", "PVC"))
    assert one in set(kept["key"]), "what a second reader was asked about is not settled by a word on the group"


def test_a_group_is_settled_once_each_beat_is_and_says_how_many_are(desk: Desk) -> None:
    first = desk.groups().iloc[-1]
    group, rows = int(first["group"]), desk.members[int(first["group"])]
    words = [desk.ada(target_of(desk.run, desk.index, int(row)), "label", "PVC") for row in rows.tolist()]
    shown = next(word for word, row in zip(words, rows.tolist(), strict=True) if row == first["row"])
    some = desk.groups(shown)
    item = some[some["group"] == group].iloc[0]
    assert item["row"] != first["row"] and item["row"] in rows, "it is shown at a beat that nobody has spoken of"
    assert "1 of them was labelled one by one and will keep that" in item["why"][0]
    assert group not in set(desk.groups(*words)["group"])
    deleted = desk.ada(target_of(desk.run, desk.index, int(rows[0])), "peak", "deleted")
    again = desk.groups(deleted)
    assert f"1 of {len(rows) - 1} beats" in again[again["group"] == group].iloc[0]["why"][0]


def test_an_unsure_group_waits_blind_for_another_reader(desk: Desk) -> None:
    group = int(desk.groups()["group"][0])
    mark = desk.say(desk.ada, group, "unsure", 1)
    assert group not in set(desk.groups(mark)["group"])
    others = desk.groups(mark, reader="Ben")
    item = others[others["group"] == group].iloc[0]
    assert item["blind"] and "unsure" in item["reasons"] and item["kind"] == "group"
    answer = desk.say(desk.ben, group, "label", "PVC")
    answer = Decision(**{**vars(answer), "at": mark.at.replace(year=mark.at.year + 1)})
    assert group not in set(desk.groups(mark, answer, reader="Ben")["group"])


def test_a_strange_strip_is_asked_about_once_and_says_what_the_rules_read(desk: Desk) -> None:
    table = desk.items()
    strips = table[table["kind"] == "strip"].set_index("place")
    strange, dim = strips.loc[1], strips.loc[2]
    assert strange["reasons"] == ("pattern",) and strange["findings"] == "couplet; PVC burden 3/12"
    assert "stranger than 99.5 % of the strips that the model learned from" in strange["why"][0]
    assert dim["reasons"] == ("unknown",) and "it is 41% sure of the likeliest" in dim["why"][0]
    assert 0 not in strips.index or "unknown" not in strips.loc[0]["reasons"]
    assert not (table["kind"] == "beat").any(), "a strip stands for its beats"
    assert desk.counts().reasons["pattern"] == 1


def test_what_the_browser_is_told_of_a_group(desk: Desk) -> None:
    group = int(desk.groups()["group"][0])
    effective = effective_labels(desk.index, [desk.say(desk.ada, group, "note", "notched")])
    facts, waves, step = group_facts(desk.run, desk.index, effective, group, "beat:x:1")
    assert facts["count"] == len(desk.members[group]) == sum(map(len, facts["members"].values()))
    assert facts["strips"] == len(facts["members"]) and facts["note"] == "notched"
    rows = {desk.index.beat_ids[row] for row in desk.members[group]}
    names = {beat_target(name, time) for name, times in facts["members"].items() for time in times}
    assert names == {target_of(desk.run, desk.index, int(np.flatnonzero(desk.index.beat_ids == id)[0])) for id in rows}
    assert len(waves) <= 24 and waves.shape[1] == -(-desk.run.beats.shape[1] // step)


def test_what_is_left_out_of_the_question() -> None:
    group = np.array([0] * 30 + [1] * 30 + [2] * 2 + [-1] * 10 + [3] * 30)
    p = np.tile([0.5, 0.0, 0.5, 0.0], (len(group), 1))
    p[-30:] = [0.9999, 0.0001, 0.0, 0.0]
    swings = np.zeros(len(group), dtype=bool)
    swings[30:50] = True  # two thirds of the second group
    labels = np.where(p[:, 2] > 0.1, PVC, NORMAL).astype(float)
    table = groups_to_ask(group, np.full(len(group), NOISE), p, labels, swings)
    assert table["group"].tolist() == [0], "not those that swing, are too small, noise, or all but sure"
    assert table["gain"][0] == pytest.approx(np.sqrt(30)) and table["gain"][0] >= LEAST_GAIN
    assert not len(groups_to_ask(group[:0], group[:0]))
    p[:3] = np.nan  # three that the model has not read
    assert groups_to_ask(group, np.full(len(group), NOISE), p, labels, swings)["size"][0] == 27


def test_members_to_look_at_go_from_the_most_to_the_least_typical() -> None:
    waves = np.outer([0.0, 1.0, 2.0, 3.0, 30.0], np.ones(9))
    whole = np.array([True, True, True, True, True])
    assert typical_members(waves, whole, 5)[-1] == 4
    assert typical_members(waves, ~whole, 1).tolist() == [3], "nearest to the mean"
    assert typical_members(waves, np.array([True, True, False, False, False]), 9).tolist() == [0, 1]
    assert group_sentence(2000, "unknown", UNKNOWN, float("nan")) == (
        "1 of 2,000 beats of one patient who is not named that look and come alike."
    )
