"""The review queue: what stands in it, for whom, in which order, and how much of it is settled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_engine.config import PredictConfig, PreprocessConfig
from ecg_engine.errors import ConfigError, InputError
from ecg_engine.labels import NOISE, UNKNOWN, label_id
from ecg_engine.preprocess import Run, preprocess
from ecg_engine.queue import ORDERS, REASON_TITLES
from ecg_engine.simulate import simulate_strips, write_xlsx
from ecg_engine.strips import read_strips
from state.anchors import BeatIndex, beat_index
from state.deciding import Decision
from state.effective import effective_labels
from state.queue_candidates import Prediction, find_candidates
from state.queue_items import COLUMNS, QueueCounts, queue_counts, queue_items
from state.seeding import target_of
from state.targets import beat_target, prototype_target, strip_target
from tests.state.runs_for_tests import Reading

NORMAL, PVC, PAC = (label_id(name) for name in ("Normal", "PVC", "PAC"))
LIMITS = PredictConfig(min_class_conf=0.6, max_noise_prob=0.5, min_proto_sim=0.2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("strips") / "ward.xlsx"
    write_xlsx(simulate_strips(n_per_label={-1: 2, 0: 8, 1: 3, 2: 8}, n_patients=4, seed=11), path)
    config = PreprocessConfig(n_global_clusters=4)
    return preprocess(read_strips([path], config), config)


@pytest.fixture(scope="module")
def index(run: Run) -> BeatIndex:
    return beat_index(run, "run1")


@pytest.fixture(scope="module")
def prediction(run: Run) -> Prediction:
    """A model that is unsure of every fifth beat and of all beats of the second strip, and calls the others Normal."""
    beats = run.metadata.copy()
    n, usable = len(beats), run.noise_flags == 0
    rng = np.random.default_rng(2)
    unsure = usable & ((np.arange(n) % 5 == 0) | (run.strip_of_beat == 1))
    noisy, strange = unsure & (np.arange(n) % 3 == 0), unsure & (np.arange(n) % 7 == 0)
    conf = np.where(unsure & ~noisy & ~strange, rng.uniform(0.2, 0.59, n), 0.9)
    beats["pred_label_raw"] = pd.array(np.where(rng.random(n) < 0.3, PVC, NORMAL), dtype="Int64")
    beats["pred_conf"], beats["noise_prob"] = conf, np.where(noisy, 0.8, 0.1)
    beats["max_proto_sim"] = np.where(strange, 0.1, 0.9)
    beats.loc[~usable, ["pred_label_raw", "pred_conf", "noise_prob", "max_proto_sim"]] = np.nan
    beats["review_flag"] = unsure.astype(int)
    words = np.stack([np.where(one, name, "") for one, name in ((conf < 0.6, "confidence"), (noisy, "noise"),
                                                               (strange, "similarity"))], axis=1)  # fmt: skip
    beats["review_reason"] = [";".join(word for word in row if word) if on else ""
                              for row, on in zip(words.tolist(), unsure.tolist(), strict=True)]  # fmt: skip
    place = run.strip_of_beat
    strips = pd.DataFrame(
        {
            "source_row": run.strips.source_row,  # type: ignore[union-attr]
            "strip_pred_label": NORMAL,
            "num_beats": np.bincount(place, usable).astype(int),
            "num_review": np.bincount(place, unsure).astype(int),
            "num_noise": np.bincount(place, ~usable).astype(int),
        }
    )
    strips.loc[strips["num_beats"] == strips["num_review"], "strip_pred_label"] = UNKNOWN
    return beats, strips


class Desk:
    """A run, its prediction and readers around it."""

    def __init__(self, run: Run, index: BeatIndex, prediction: Prediction | None) -> None:
        self.run, self.index, self.prediction = run, index, prediction
        self.candidates = find_candidates(run, index, prediction, LIMITS)
        self.ada, self.ben = Reading(reader="Ada"), Reading(reader="Ben")

    def _given(self, decisions: Sequence[Decision], reader: str) -> tuple[Any, ...]:
        effective = effective_labels(self.index, decisions)
        return self.run, self.index, effective, effective.decisions, self.prediction, LIMITS, reader

    def items(self, *decisions: Decision, reader: str = "Ada", **how: Any) -> pd.DataFrame:
        return queue_items(*self._given(decisions, reader), candidates=self.candidates, **how)

    def targets(self, *decisions: Decision, **how: Any) -> list[str]:
        return self.items(*decisions, **how)["key"].tolist()

    def counts(self, *decisions: Decision, reader: str = "Ada", **how: Any) -> QueueCounts:
        return queue_counts(*self._given(decisions, reader), candidates=self.candidates, **how)

    def beat(self, row: int) -> str:
        return target_of(self.run, self.index, row)

    def strip(self, place: int) -> str:
        return strip_target(self.index.names[place])

    def first(self, reason: str, kind: str = "beat") -> dict[str, Any]:
        table = self.items(order="first", reasons=[reason])
        return {str(name): value for name, value in table[table["kind"] == kind].iloc[0].items()}


@pytest.fixture
def desk(run: Run, index: BeatIndex, prediction: Prediction) -> Desk:
    return Desk(run, index, prediction)


@pytest.fixture
def no_model(run: Run, index: BeatIndex) -> Desk:
    return Desk(run, index, None)


# What stands in it


def test_every_beat_and_strip_under_review_stands_in_the_queue_once(desk: Desk, prediction: Prediction) -> None:
    table = desk.items()
    assert tuple(table.columns) == COLUMNS and table["key"].is_unique
    assert table["position"].tolist() == list(range(len(table)))
    under = np.flatnonzero(prediction[0]["review_flag"] == 1)
    doubted = table[[bool({"confidence", "noise", "similarity"} & set(why)) for why in table["reasons"]]]
    assert sorted(doubted["row"]) == under.tolist() and set(doubted["kind"]) == {"beat"}
    unknown = table[[("unknown" in why) for why in table["reasons"]]]
    assert set(unknown["place"]) == set(np.flatnonzero(prediction[1]["strip_pred_label"] == UNKNOWN)) != set()
    assert set(unknown["kind"]) == {"strip"} and set(unknown["row"]) == {-1}


def test_items_have_the_targets_places_and_figures_of_their_beats(desk: Desk, prediction: Prediction) -> None:
    table = desk.items()
    beats = table[table["kind"] == "beat"]
    assert beats["key"].tolist() == [desk.beat(row) for row in beats["row"]]
    assert beats["place"].tolist() == desk.index.strip_of_beat[beats["row"]].tolist()
    strips = table[table["kind"] == "strip"]
    assert strips["key"].tolist() == [desk.strip(place) for place in strips["place"]]
    model = beats[beats["confidence"].notna()]
    for name, column in (("confidence", "pred_conf"), ("noise", "noise_prob"), ("similarity", "max_proto_sim")):
        np.testing.assert_array_equal(model[name], prediction[0][column].to_numpy(float)[model["row"]])
    assert model["suggestion"].tolist() == prediction[0]["pred_label_raw"].to_numpy()[model["row"]].tolist()
    assert not table["blind"].any()


def test_reasons_of_one_beat_are_merged_and_each_has_its_sentence(desk: Desk, prediction: Prediction) -> None:
    table = desk.items()
    both = table[[set(why) == {"noise", "similarity"} for why in table["reasons"]]]
    assert len(both) > 0
    for reasons, why in zip(table["reasons"], table["why"], strict=True):
        assert isinstance(reasons, tuple) and isinstance(why, tuple) and len(reasons) == len(why) > 0
        assert list(reasons) == [name for name in REASON_TITLES if name in reasons]
        assert all(sentence.endswith(".") for sentence in why)
    noise, alike = both["why"].iloc[0]
    assert "80%" in noise and "50%" in noise and "0.10" in alike and "0.20" in alike


def test_without_a_model_flagged_ectopics_and_strips_at_odds_are_left(no_model: Desk) -> None:
    table = no_model.items()
    assert {name for why in table["reasons"] for name in why} <= {"ectopic", "disagree"}
    assert table["confidence"].isna().all() and (table["suggestion"] >= 0).all()


def test_flagged_beats_that_look_ectopic_are_among_them(desk: Desk) -> None:
    table = desk.items(reasons=["ectopic"])
    assert len(table) > 0, "the made-up strips must hold some"
    assert (desk.run.noise_flags[table["row"]] == 1).all()
    assert set(table["suggestion"]) <= {PVC, PAC}
    assert all(why[-1].startswith("Flagged as noise") for why in table["why"])


def test_flagged_beats_are_judged_by_the_label_that_a_reader_gives_their_strip(desk: Desk) -> None:
    table = desk.items(order="first", reasons=["ectopic"])
    place = next(place for place in table["place"] if desk.index.strip_labels[place] == PVC)
    made = desk.ada(desk.strip(place), "label", "Normal")
    after = desk.items(made, order="first", reasons=["ectopic"])
    same = table["place"] != place
    pd.testing.assert_series_equal(table["key"][same], after["key"][after["place"] != place], check_index=False)
    assert all("labelled PVC" in why[-1] for why in table["why"][~same])
    assert not any("labelled PVC" in why[-1] for why in after["why"][after["place"] == place])
    other = int(np.flatnonzero(desk.index.strip_labels == NORMAL)[0])
    relabelled = desk.items(desk.ada(desk.strip(other), "label", "PAC"), order="first", reasons=["ectopic"])
    flagged = np.flatnonzero((desk.index.strip_of_beat == other) & (desk.index.flags == 1))
    assert set(relabelled["row"][relabelled["place"] == other]) <= set(flagged.tolist())


def test_a_strip_whose_beats_a_reader_contradicts_comes_up_and_goes_with_its_label(desk: Desk) -> None:
    place = next(
        int(one) for one in np.flatnonzero(desk.index.strip_labels == NORMAL)
        if desk.strip(int(one)) not in desk.targets(reasons=["disagree"])
    )  # fmt: skip
    row = int(np.flatnonzero(desk.index.strip_of_beat == place)[3])
    made = desk.ada(desk.beat(row), "label", "PVC")
    found = desk.items(made, reasons=["disagree"]).set_index("key").loc[desk.strip(place)]
    assert found["suggestion"] == PVC and "beat 4" in found["why"][-1] and "Normal" in found["why"][-1]
    assert desk.strip(place) not in desk.targets(made, desk.ada(desk.strip(place), "label", "PVC"))


def test_strips_with_a_label_that_fits_stay_out(no_model: Desk) -> None:
    share = len(no_model.items(reasons=["disagree"])) / len(no_model.index.names)
    assert share < 0.3


# What is settled


@pytest.mark.parametrize(("field", "value"), [("label", "PVC"), ("refined", "PVC"), ("noise", 1), ("noise", 0)])
def test_a_verdict_settles_a_beat_for_every_reader(desk: Desk, field: str, value: object) -> None:
    key = desk.first("confidence")["key"]
    made = desk.ada(key, field, value)
    assert key in desk.targets() and key not in desk.targets(made) and key not in desk.targets(made, reader="Ben")
    assert len(desk.items(made)) == len(desk.items()) - 1
    assert key in desk.targets(made, desk.ada(key, field, None)), "taken back, it stands there again"


def test_notes_seeds_and_words_on_prototype_or_strip_settle_no_beat(desk: Desk) -> None:
    item = desk.first("confidence")
    made = [
        desk.ada(item["key"], "note", "look again"),
        desk.ada(item["key"], "seed", "PVC"),
        desk.ada(desk.strip(item["place"]), "label", "PVC"),
        desk.ada(prototype_target("run1", int(desk.index.prototypes[item["row"]])), "label", "PVC"),
    ]
    assert item["key"] in desk.targets(*made)


def test_a_label_settles_a_strip_and_words_on_its_beats_do_not(desk: Desk) -> None:
    item = desk.first("unknown", "strip")
    rows = np.flatnonzero(desk.index.strip_of_beat == item["place"])
    beats = [desk.ada(desk.beat(int(row)), "label", "Normal") for row in rows]
    assert item["key"] in desk.targets(*beats)
    assert item["key"] not in desk.targets(desk.ada(item["key"], "label", "Normal"))


def test_a_suspect_that_is_valid_after_all_is_settled_and_one_freed_by_its_prototype_is_none(desk: Desk) -> None:
    item = desk.first("ectopic")
    freed = desk.ada(item["key"], "noise", 0)
    assert item["key"] not in desk.targets(freed)
    assert desk.counts(freed).total == desk.counts().total and desk.counts(freed).settled == 1
    members = {desk.index.names[item["place"]]: [int(desk.index.time_ms[item["row"]])]}
    with_all = desk.ada(prototype_target("another", 1), "noise", 0, payload={"members": members})
    assert item["key"] not in desk.targets(with_all)
    assert desk.counts(with_all).total == desk.counts().total - 1


def test_a_beat_whose_peak_was_deleted_is_settled(desk: Desk) -> None:
    key = desk.first("confidence")["key"]
    made = desk.ada(key, "peak", "deleted")
    assert key not in desk.targets(made)
    assert desk.counts(made).settled == 1


def test_a_beat_keeps_its_target_when_its_peak_is_moved(desk: Desk) -> None:
    item = desk.first("confidence")
    time = int(desk.index.time_ms[item["row"]])
    made = desk.ada(item["key"], "peak", time + 60)
    assert item["key"] in desk.targets(made)
    assert item["key"] not in desk.targets(made, desk.ada(item["key"], "label", "PVC"))


# Second readers


@pytest.mark.parametrize("reason", ["confidence", "unknown"])
def test_what_one_reader_left_unsure_is_the_others_and_blind(desk: Desk, reason: str) -> None:
    kind = "strip" if reason == "unknown" else "beat"
    key = desk.first(reason, kind)["key"]
    made = desk.ada(key, "unsure", 1)
    assert key not in desk.targets(made)
    hers = desk.items(made, reader="Ben").set_index("key").loc[key]
    assert hers["blind"] and set(hers["reasons"]) == {reason, "unsure"}
    assert not desk.items(made, reader="Ben").set_index("key").drop(key)["blind"].any()


@pytest.mark.parametrize("kind", ["beat", "strip"])
def test_what_nothing_else_doubts_stands_there_once_somebody_is_unsure(desk: Desk, kind: str) -> None:
    listed = set(desk.targets())
    every = [desk.beat(row) for row in range(len(desk.index))]
    if kind == "strip":
        every = [desk.strip(place) for place in range(len(desk.index.names))]
    key = next(one for one in every if one not in listed)
    made = desk.ada(key, "unsure", 1)
    assert desk.targets(made) == desk.targets()
    found = desk.items(made, reader="Ben").set_index("key").loc[key]
    assert found["kind"] == kind and found["reasons"] == ("unsure",) and found["blind"]
    assert "unsure" in found["why"][0]
    assert key not in desk.targets(made, desk.ada(key, "unsure", 0), reader="Ben"), "the mark is gone"


def test_a_second_reader_settles_it_for_all_and_the_first_ones_label_does_not(desk: Desk) -> None:
    key = desk.first("confidence")["key"]
    first = desk.ada(key, "label", "PVC")
    mark = desk.ada(key, "unsure", 1)
    assert key in desk.targets(first, mark, reader="Ben") and key not in desk.targets(first, mark)
    desk.ben.count = desk.ada.count
    second = desk.ben(key, "label", "Normal")
    for reader in ("Ada", "Ben", "Cleo"):
        assert key not in desk.targets(first, mark, second, reader=reader)
        assert desk.counts(first, mark, second, reader=reader).settled == 1


def test_a_mark_made_after_a_verdict_asks_again(desk: Desk) -> None:
    key = desk.first("confidence")["key"]
    first = desk.ben(key, "label", "PVC")
    desk.ada.count = desk.ben.count
    mark = desk.ada(key, "unsure", 1)
    assert key in desk.targets(first, mark, reader="Ben") and key not in desk.targets(first, mark, reader="Ada")


def test_two_readers_who_are_unsure_leave_it_to_a_third(desk: Desk) -> None:
    key = desk.first("confidence")["key"]
    made = [desk.ada(key, "unsure", 1), desk.ben(key, "unsure", 1)]
    assert key not in desk.targets(*made, reader="Ada") and key not in desk.targets(*made, reader="Ben")
    found = desk.items(*made, reader="Cleo").set_index("key").loc[key]
    assert "2 other readers" in found["why"][-1]


def test_a_blind_item_tells_nothing_of_the_first_readers_label(desk: Desk) -> None:
    listed = set(desk.targets())
    row = next(
        int(one) for one in np.flatnonzero(desk.index.file_labels == NORMAL) if desk.beat(int(one)) not in listed
    )
    key, place = desk.beat(row), int(desk.index.strip_of_beat[row])
    mark, label = desk.ada(key, "unsure", 1), desk.ada(key, "label", "PVC")
    before, after = desk.items(mark, reader="Ben"), desk.items(mark, label, reader="Ben")
    pd.testing.assert_frame_equal(before, after)
    assert after.set_index("key").loc[key]["label"] == NORMAL
    table = desk.items(reasons=["confidence"])
    agreed = table[table["suggestion"] == desk.index.file_labels[table["row"]]].iloc[0].to_dict()
    for item in (agreed, desk.first("ectopic")):
        mark, label = desk.ada(item["key"], "unsure", 1), desk.ada(item["key"], "label", "VTach")
        of_strip = desk.ada(desk.strip(item["place"]), "label", "Normal" if item["label"] == PVC else "PVC")
        alone = {"order": "mislabelled", "reader": "Ben", "reasons": [item["reasons"][0]]}
        before, after = desk.items(mark, **alone), desk.items(mark, label, of_strip, **alone)
        pd.testing.assert_frame_equal(before, after)
    strip = desk.strip(place)
    hidden = [mark, desk.ada(strip, "unsure", 1), desk.ada(desk.beat(row + 1), "label", "PVC")]
    table = desk.items(*hidden, reader="Ben").set_index("key")
    assert "disagree" not in table.loc[strip]["reasons"], "her PVC would show in it"
    rows = np.flatnonzero(desk.index.strip_of_beat == place)
    added = beat_target(desk.index.names[place], int(desk.index.time_ms[rows[2:4]].mean()))
    hidden[2:] = [desk.ada(added, "peak", "added"), desk.ada(added, "label", "PVC")]
    assert "disagree" not in desk.items(*hidden, reader="Ben").set_index("key").loc[strip]["reasons"]
    assert "disagree" in desk.items(*hidden[2:], reader="Ben").set_index("key").loc[strip]["reasons"]


def test_a_beat_that_a_reader_added_can_be_left_to_a_second_one(desk: Desk) -> None:
    place = int(desk.index.strip_of_beat[20])
    rows = np.flatnonzero(desk.index.strip_of_beat == place)
    time = int(desk.index.time_ms[rows[2:4]].mean())
    key = beat_target(desk.index.names[place], time)
    made = [desk.ada(key, "peak", "added"), desk.ada(key, "unsure", 1)]
    assert key not in desk.targets(*made)
    found = desk.items(*made, reader="Ben").set_index("key").loc[key]
    assert found["row"] == -1 and found["kind"] == "beat" and found["place"] == place and found["blind"]
    desk.ben.count = desk.ada.count
    assert key not in desk.targets(*made, desk.ben(key, "label", "PVC"), reader="Ben")


# Filters, counts and orders


def test_filters_keep_what_they_say_and_add_up(desk: Desk) -> None:
    everything = desk.items(order="first")
    noisy = desk.items(order="first", reasons=["noise"])
    assert noisy["key"].tolist() == [key for key, why in zip(everything["key"], everything["reasons"], strict=True)
                                     if "noise" in why]  # fmt: skip
    either = desk.items(reasons=["noise", "unknown"])
    assert len(either) == sum(bool({"noise", "unknown"} & set(why)) for why in everything["reasons"])
    pvc = desk.items(labels=[PVC])
    assert len(pvc) == (everything["label"] == PVC).sum() > 0
    patient = str(everything["patient"].iloc[0])
    mine = desk.items(patients=[patient], labels=[PVC], reasons=["confidence"])
    assert set(mine["patient"]) <= {patient} and set(mine["label"]) <= {PVC}
    assert desk.items(patients=["nobody"]).empty and tuple(desk.items(patients=["nobody"]).columns) == COLUMNS


def test_the_label_filter_goes_by_the_suggestion_else_by_the_label_that_holds(desk: Desk) -> None:
    table = desk.items()
    suggested = table[table["suggestion"] != UNKNOWN]
    assert (suggested["label"] == suggested["suggestion"]).all()
    item = desk.first("unknown", "strip")
    assert item["suggestion"] == UNKNOWN and item["label"] == desk.index.strip_labels[item["place"]]


def test_counts_are_those_of_the_items(desk: Desk) -> None:
    table, counts = desk.items(), desk.counts()
    assert list(counts.reasons) == list(REASON_TITLES)
    for name in REASON_TITLES:
        assert counts.reasons[name] == sum(name in why for why in table["reasons"])
    assert counts.labels == {int(k): int(v) for k, v in table["label"].value_counts().sort_index().items()}
    assert counts.patients == table["patient"].value_counts().reindex(list(counts.patients)).to_dict()
    assert sum(counts.patients.values()) == counts.total == counts.left == len(table) and counts.settled == 0
    assert list(counts.patients) == sorted(counts.patients, key=int)


def test_progress_counts_what_was_settled_within_the_filter(desk: Desk) -> None:
    table = desk.items(order="first", reasons=["confidence"])
    made = [desk.ada(key, "label", "PAC") for key in table["key"][:3]]
    before, after = desk.counts(reasons=["confidence"]), desk.counts(*made, reasons=["confidence"])
    assert after.total == before.total and after.settled == 3 and after.left == before.left - 3
    strip = desk.first("unknown", "strip")
    narrow = {"reasons": ["unknown"], "labels": [int(strip["label"])]}
    done = desk.counts(desk.ada(strip["key"], "label", "AFib"), **narrow)
    assert done.settled == 1 and done.total == desk.counts(**narrow).total, "settled items stay where they were"
    other = desk.counts(*made, reasons=["unknown"])
    assert other.settled == 0 and other.total == desk.counts(reasons=["unknown"]).total


@pytest.mark.parametrize("order", list(ORDERS))
def test_every_order_has_all_items_and_settling_some_reorders_none(desk: Desk, order: str) -> None:
    table = desk.items(order=order)
    assert set(table["key"]) == set(desk.targets())
    gone = table["key"][::4].tolist()
    made = [desk.ada(key, "label", "PAC") for key in gone if key.startswith("beat")]
    settled = {one.target for one in made}
    left = desk.items(*made, order=order, reasons=["confidence", "noise", "similarity", "ectopic"])["key"].tolist()
    assert left == [key for key in table["key"] if key not in settled and key in set(left)]


def test_orders_do_what_they_are_called(desk: Desk) -> None:
    first = desk.items(order="first")
    assert first["place"].is_monotonic_increasing
    likely = desk.items(order="likely")["confidence"].dropna()
    assert likely.is_monotonic_decreasing
    patients = desk.items(order="patient")["patient"].astype(int)
    assert patients.is_monotonic_increasing
    serious = desk.items(order="serious", reasons=["confidence"])
    sure = serious[serious["confidence"] > 0.5]
    assert sure["suggestion"].iloc[0] == PVC, "a likely PVC comes before a likely Normal"
    unsure = desk.ada(desk.first("confidence")["key"], "unsure", 1)
    assert desk.items(unsure, reader="Ben")["reasons"].iloc[0][-1] == "unsure", (
        "what a reader could not tell comes first"
    )


def test_mislabelled_puts_first_what_the_model_contradicts_most(desk: Desk, prediction: Prediction) -> None:
    table = desk.items(order="mislabelled", reasons=["confidence", "noise", "similarity"])
    given = desk.index.file_labels[table["row"]]
    known = given != NOISE
    contradicted = (table["suggestion"].to_numpy() != given)[known]
    assert 0 < contradicted.sum() < len(contradicted)
    assert np.all(np.diff(contradicted.astype(int)) <= 0), "all that it contradicts come before all that it shares"
    assert table[known]["confidence"].to_numpy()[contradicted].tolist() == sorted(
        table[known]["confidence"].to_numpy()[contradicted], reverse=True
    )


def test_an_unknown_order_and_a_prediction_of_other_beats_are_refused(desk: Desk, prediction: Prediction) -> None:
    with pytest.raises(ConfigError, match="no order 'by moon'"):
        desk.items(order="by moon")
    other = prediction[0].assign(beat_global_id=prediction[0]["beat_global_id"] + 7)
    with pytest.raises(InputError, match="that the run has not"):
        find_candidates(desk.run, desk.index, (other, prediction[1]), LIMITS)


def test_a_run_without_strips_has_no_queue(run: Run, index: BeatIndex) -> None:
    bare = Run(**{**vars(run), "strips": None, "conditioned": None})
    with pytest.raises(InputError, match="keeps no strips"):
        find_candidates(bare, index, None, LIMITS)


def test_the_rows_of_the_prediction_may_lie_in_any_order(desk: Desk, prediction: Prediction) -> None:
    shuffled = (prediction[0].sample(frac=1, random_state=1), prediction[1].sample(frac=1, random_state=2))
    for order in ORDERS:
        other = Desk(desk.run, desk.index, shuffled).items(order=order)
        pd.testing.assert_frame_equal(other, desk.items(order=order))


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_whatever_was_said_each_item_is_in_the_queue_of_some_reader_until_it_is_settled(
    data: st.DataObject, run: Run, index: BeatIndex, prediction: Prediction
) -> None:
    desk = Desk(run, index, prediction)
    before = desk.targets(order="first")
    keys = data.draw(st.lists(st.sampled_from(before[:40]), min_size=1, max_size=12))
    readers = {"Ada": desk.ada, "Ben": desk.ben}
    made: list[Decision] = []
    for number, key in enumerate(keys):
        said = readers[data.draw(st.sampled_from(sorted(readers)))]
        said.count = number
        field = data.draw(st.sampled_from(("label", "unsure")))
        made.append(said(key, field, {"label": "PAC", "unsure": 1}[field] if data.draw(st.booleans()) else None))
    seen = {reader: desk.items(*made, reader=reader) for reader in ("Ada", "Ben", "Cleo")}
    for reader, table in seen.items():
        assert table["key"].is_unique
        counts = desk.counts(*made, reader=reader)
        assert counts.left == len(table) and counts.total == counts.left + counts.settled
    for table in seen.values():
        # Somebody who has said nothing sees all that is open to anybody.
        assert set(table["key"]) <= set(seen["Cleo"]["key"])


# Real strips


@pytest.mark.real
def test_real_strips_without_a_model(real_data: Path) -> None:
    config = PreprocessConfig()
    run = preprocess(read_strips([real_data / "mitdb_ds1_small.xlsx"], config), config)
    index = beat_index(run, "run1")
    desk = Desk(run, index, None)
    table = desk.items(order="serious")
    counts = desk.counts()
    assert counts.reasons["ectopic"] > 50 and 0 < counts.reasons["disagree"] < 40
    assert counts.left == len(table) == len(set(table["key"]))
    pvc = desk.items(labels=[PVC], reasons=["ectopic"])
    assert (run.noise_flags[pvc["row"]] == 1).all()
    decided = [desk.ada(key, "label", "PVC") for key in pvc["key"]]
    assert len(desk.items(*decided, labels=[PVC], reasons=["ectopic"])) == 0
