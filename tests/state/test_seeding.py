"""Prototypes by effective labels, what became of candidates, and decisions undone in one go."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ecg_engine.config import PreprocessConfig
from ecg_engine.labels import NOISE
from ecg_engine.preprocess import Run, preprocess
from ecg_engine.simulate import simulate_strips, write_xlsx
from ecg_engine.strips import read_strips
from state.anchors import BeatIndex, beat_index
from state.batches import made_together, one_batch, undo_together
from state.deciding import Decision
from state.effective import Effective, effective_labels
from state.members import effective_library, example_rows, member_origins, member_rows
from state.seeding import basket, mine, rejections, target_of, with_outcome
from state.store import Store
from tests.state.runs_for_tests import Reading


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("strips") / "strips.xlsx"
    write_xlsx(simulate_strips(n_per_label={0: 8, 2: 8}, n_patients=4, seed=3), path)
    config = PreprocessConfig(n_global_clusters=4)
    return preprocess(read_strips([path], config), config)


@pytest.fixture(scope="module")
def index(run: Run) -> BeatIndex:
    return beat_index(run, "run1")


def after(index: BeatIndex, *decisions: Decision) -> Effective:
    return effective_labels(index, decisions)


def test_the_library_is_the_run_s_own_until_something_is_decided(run: Run, index: BeatIndex) -> None:
    pd.testing.assert_frame_equal(effective_library(run, index, after(index)), run.library)


def test_a_label_moves_the_mix_but_not_size_rr_and_wave(run: Run, index: BeatIndex) -> None:
    prototype = int(run.library["prototype_id"].iloc[0])
    rows = member_rows(index, prototype)
    say = Reading()
    effective = after(index, *[say(target_of(run, index, int(row)), "label", 9) for row in rows])
    library = effective_library(run, index, effective)
    first = library.iloc[0]
    assert (first["dominant_label"], first["label_mix_top3"]) == (9, f"9:{len(rows)}")
    same = ["prototype_id", "size", "rr_prev_mean", "rr_next_mean", "example_beat_ids"]
    pd.testing.assert_frame_equal(library[same], run.library[same])
    pd.testing.assert_frame_equal(library.iloc[1:], run.library.iloc[1:])


def test_origins_account_for_every_member(run: Run, index: BeatIndex) -> None:
    effective = after(index)
    for prototype in run.library["prototype_id"]:
        rows = member_rows(index, prototype)
        table = member_origins(run, index, effective, prototype)
        assert table["members"].sum() == len(rows)
        assert table["members"].is_monotonic_decreasing
        assert table["share"].between(0, 1).all() and (table["share"] > 0).all()
        strip = run.metadata[run.metadata["source_row"] == table["source_row"].iloc[0]]
        assert table["share"].iloc[0] == pytest.approx(table["members"].iloc[0] / len(strip))
        assert set(table["patient_id"]) == set(run.metadata["patient_id"].iloc[rows])


def test_examples_run_from_the_nearest_to_the_farthest_member(run: Run, index: BeatIndex) -> None:
    prototype = int(run.library["prototype_id"].iloc[0])
    wave = run.prototype_waves[prototype]
    rows = example_rows(index, wave, run.beats, prototype, most=5)
    distance = np.sqrt(np.mean((run.beats - wave) ** 2, axis=1))
    assert len(rows) == 5
    assert np.all(np.diff(distance[rows]) >= 0)
    assert distance[rows[0]] == distance[member_rows(index, prototype)].min()
    assert distance[rows[-1]] == distance[member_rows(index, prototype)].max()


def seeded(run: Run, index: BeatIndex, say: Reading, row: int = 5, label: int = 2) -> Decision:
    return say(target_of(run, index, row), "seed", label)


def test_the_basket_knows_where_its_seeds_lie(run: Run, index: BeatIndex) -> None:
    say = Reading()
    held = basket(run, after(index, seeded(run, index, say, 9, 0), seeded(run, index, say, 5, 2)))
    assert held["row"].tolist() == [9, 5]
    assert held["label"].tolist() == [0, 2]
    assert held["source_row"].tolist() == run.metadata["source_row"].iloc[[9, 5]].tolist()
    assert basket(run, after(index)).empty


def test_beats_that_a_reader_called_noise_are_no_candidates(run: Run, index: BeatIndex) -> None:
    say = Reading()
    seed = seeded(run, index, say)
    first = mine(run, after(index, seed), 1000, 10)
    assert len(first) == 10 and 5 not in set(first["row"])
    best = int(first["row"].iloc[0])
    noise = say(target_of(run, index, best), "label", NOISE)
    again = mine(run, after(index, seed, noise), 1000, 10)
    assert best not in set(again["row"])
    assert again["row"].tolist()[:9] == first["row"].tolist()[1:]


def test_what_became_of_each_candidate(run: Run, index: BeatIndex) -> None:
    say = Reading()
    seed = seeded(run, index, say)
    found = mine(run, after(index, seed), 1000, 10)
    rows = found["row"].tolist()
    decisions = [
        seed,
        say(target_of(run, index, rows[0]), "label", 2),
        say(target_of(run, index, rows[1]), "not_like", 2),
        say(target_of(run, index, rows[2]), "label", 1),
        say(target_of(run, index, rows[3]), "not_like", 0),
    ]
    effective = after(index, *decisions)
    told = with_outcome(found, effective, rejections(index, decisions))
    assert told["outcome"].tolist()[:5] == ["accepted", "rejected", "otherwise", "open", "open"]
    assert effective.labels[rows[1]] == run.labels[rows[1]], "a rejection changes no label"
    assert not effective.unmatched


def test_a_batch_is_undone_in_one_go_and_the_rest_stays(store: Store) -> None:
    study = store.studies.create("Ward")
    say = Reading(study.id)
    strip = "ab" * 32
    single = say(f"beat:{strip}:100", "label", 1)
    batch = one_batch([say(f"beat:{strip}:{time}", "label", 2) for time in (200, 900, 1600)])
    store.decisions.add([single, *batch])
    active = store.decisions.active(study.id)
    together = made_together(active[-1], active)
    assert {made.id for made in together} == {made.id for made in batch}
    assert undo_together(store.decisions, together, "Ada") == 3
    assert [made.id for made in store.decisions.active(study.id)] == [single.id]
    assert made_together(single, active) == [single]
    assert one_batch([single]) == [single], "one decision needs no batch"
    # what was undone in one go can be brought back one by one
    store.decisions.redo(batch[1].id, "Ada")
    assert {made.id for made in store.decisions.active(study.id)} == {single.id, batch[1].id}
