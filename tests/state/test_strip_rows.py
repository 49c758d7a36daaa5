"""The list of strips: its numbers follow the decisions, and its filters keep what they say."""

from __future__ import annotations

import numpy as np
import pytest

from ecg_engine.config import PreprocessConfig
from ecg_engine.errors import InputError
from ecg_engine.labels import NOISE, label_id
from ecg_engine.preprocess import Run, preprocess
from ecg_engine.simulate import simulate_strips, write_xlsx
from ecg_engine.strips import read_strips
from state.anchors import BeatIndex, beat_index
from state.deciding import Decision
from state.effective import effective_labels
from state.seeding import target_of
from state.strip_rows import ALL, ORDERS, WITH, WITHOUT, StripFilter, StripRows, filtered, orders_of, strip_rows
from state.targets import strip_target
from tests.state.runs_for_tests import Reading

MORE = {"serious", "known_share", "noise_score"}
"""Columns of runs that say more of their strips, see test_strip_findings.py."""
NORMAL, PVC, PAC = (label_id(name) for name in ("Normal", "PVC", "PAC"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("strips") / "ward 3.xlsx"
    table = simulate_strips(n_per_label={-1: 3, 0: 8, 2: 8}, n_patients=4, seed=3)
    write_xlsx(table, path)
    config = PreprocessConfig(n_global_clusters=4)
    return preprocess(read_strips([path], config), config)


@pytest.fixture(scope="module")
def index(run: Run) -> BeatIndex:
    return beat_index(run, "run1")


def rows_after(run: Run, index: BeatIndex, *decisions: Decision) -> StripRows:
    return strip_rows(run, index, effective_labels(index, decisions), decisions)


def beats_of(index: BeatIndex, place: int) -> np.ndarray:
    return np.flatnonzero(index.strip_of_beat == place)


def kept(rows: StripRows, **wanted: object) -> list[int]:
    return filtered(rows, StripFilter(**wanted)).tolist()  # type: ignore[arg-type]


def test_every_strip_has_a_row_and_every_beat_is_counted_once(run: Run, index: BeatIndex) -> None:
    rows = rows_after(run, index)
    assert run.strips is not None
    assert rows.table["strip"].tolist() == run.strips.source_row.tolist()
    assert rows.table["label"].tolist() == run.strips.label.tolist()
    assert rows.table["beats"].sum() == len(run.metadata) == sum(int(one.sum()) for one in rows.by_label.values())
    assert not rows.table["decided"].any() and rows.table["decisions"].sum() == 0
    assert set(rows.table["file"]) == {"ward 3.xlsx"}
    assert rows.hashes == [str(one) for one in run.strips.strip_hash]


def test_a_label_on_a_beat_moves_it_from_one_count_to_the_other(run: Run, index: BeatIndex) -> None:
    before = rows_after(run, index)
    row = int(np.flatnonzero((np.asarray(run.labels) == NORMAL) & (np.asarray(run.noise_flags) == 0))[0])
    place = int(index.strip_of_beat[row])
    after = rows_after(run, index, Reading()(target_of(run, index, row), "label", PAC))
    assert after.by_label[PAC][place] == before.by_label.get(PAC, np.zeros(99))[place] + 1
    assert after.by_label[NORMAL][place] == before.by_label[NORMAL][place] - 1
    assert "PAC 1" in after.table["mix"][place] and "PAC" not in before.table["mix"][place]
    assert after.table["decisions"].tolist() == [int(one == place) for one in range(len(after.table))]
    assert after.table["label"].tolist() == before.table["label"].tolist(), "a beat is not its strip"


def test_noise_said_and_unsaid_moves_the_share_of_noise(run: Run, index: BeatIndex) -> None:
    before, say = rows_after(run, index).table, Reading()
    row = int(np.flatnonzero((np.asarray(run.labels) != NOISE) & (np.asarray(run.noise_flags) == 0))[0])
    place, target = int(index.strip_of_beat[row]), target_of(run, index, row)
    noise = say(target, "noise", 1)
    marked = rows_after(run, index, noise).table
    assert marked["noise_beats"][place] == before["noise_beats"][place] + 1
    assert marked["noise_share"][place] == marked["noise_beats"][place] / marked["beats"][place]
    freed = rows_after(run, index, noise, say(target, "noise", 0)).table
    assert freed["noise_beats"].tolist() == before["noise_beats"].tolist()


def test_a_label_on_the_strip_holds_until_it_is_taken_away(run: Run, index: BeatIndex) -> None:
    assert run.strips is not None
    say, target = Reading(), strip_target(str(run.strips.strip_hash[0]))
    given = say(target, "label", PAC)
    rows = rows_after(run, index, given).table
    assert (rows["label"][0], rows["label_name"][0], rows["decided"][0]) == (PAC, "PAC", True)
    taken = rows_after(run, index, given, say(target, "label", None)).table
    assert (taken["label"][0], taken["decided"][0]) == (run.strips.label[0], False)


def test_decisions_on_strips_of_another_run_count_nowhere(run: Run, index: BeatIndex) -> None:
    rows = rows_after(run, index, Reading()(strip_target("ab" * 32), "label", PVC))
    assert rows.table["decisions"].sum() == 0


def test_a_run_without_strips_says_what_to_do(run: Run, index: BeatIndex) -> None:
    from dataclasses import replace

    with pytest.raises(InputError, match="keeps no strips"):
        strip_rows(replace(run, strips=None), index, effective_labels(index, ()), ())


def test_filters_keep_exactly_what_they_say(run: Run, index: BeatIndex) -> None:
    assert run.strips is not None
    noisy = [Reading()(target_of(run, index, int(row)), "noise", 1) for row in beats_of(index, 1)]
    rows = rows_after(run, index, *noisy)
    table = rows.table
    everything = list(range(len(table)))
    assert kept(rows) == everything
    assert kept(rows, labels=(PVC,)) == np.flatnonzero(table["label"] == PVC).tolist()
    assert kept(rows, holds=(NOISE,)) == np.flatnonzero(table["noise_beats"] > 0).tolist()
    assert kept(rows, holds=(PAC,)) == []
    patient = table["patient"].iloc[0]
    assert kept(rows, patients=(patient,)) == np.flatnonzero(table["patient"] == patient).tolist()
    assert 1 in kept(rows, noise=(1.0, 1.0)) and 1 not in kept(rows, noise=(0.0, 0.5))
    assert kept(rows, decided=WITH) == [1]
    assert kept(rows, decided=WITHOUT) == [place for place in everything if place != 1]
    assert kept(rows, decided=ALL) == everything
    assert kept(rows, labels=(PVC,), decided=WITH) == [one for one in (1,) if table["label"][one] == PVC]


def test_a_number_searched_is_a_whole_number_and_all_words_must_be_found(run: Run, index: BeatIndex) -> None:
    rows = rows_after(run, index)
    table = rows.table
    found = kept(rows, search="1")
    assert found == np.flatnonzero((table["strip"] == 1) | (table["row"] == 1) | (table["patient"] == "1")).tolist()
    assert len(found) < len(table)
    assert kept(rows, search="WARD") == list(range(len(table)))
    assert kept(rows, search="ward 1") == found
    assert kept(rows, search="ward nobody") == []


@pytest.mark.parametrize("order", [name for name, (column, _) in ORDERS.items() if column not in MORE])
def test_an_order_sorts_and_loses_nothing(run: Run, index: BeatIndex, order: str) -> None:
    rows = rows_after(run, index, Reading()(target_of(run, index, 0), "label", PVC))
    assert order in orders_of(rows)
    places = kept(rows, order=order)
    assert sorted(places) == list(range(len(rows.table)))
    column, ascending = ORDERS[order]
    values = rows.table[column].iloc[places].tolist()
    if column == "patient" and all(value.isdigit() for value in values):
        values = [int(value) for value in values]
    known = [value for value in values if value == value]
    assert known == sorted(known, reverse=not ascending)
    assert values[: len(known)] == known, "strips without beats have no share of noise, and come last"
