"""The beats of a strip as readers have them, and the tables that follow from them."""

from __future__ import annotations

import numpy as np
import pytest

from ecg_engine.config import PreprocessConfig
from ecg_engine.labels import NOISE, UNLABELLED, label_id
from ecg_engine.preprocess import Run, preprocess
from ecg_engine.simulate import simulate_strips, write_xlsx
from ecg_engine.strips import read_strips
from state.anchors import BeatIndex, beat_index
from state.deciding import decide
from state.effective import Effective, effective_labels
from state.members import effective_library, member_origins, member_rows
from state.overview import label_table, training_table
from state.seeding import mine, target_of
from state.strip_beats import COLUMNS, beats_of_strips, strip_beats
from state.strip_rows import strip_rows
from state.targets import beat_target, prototype_target, strip_target
from tests.state.runs_for_tests import Reading

NORMAL, PVC, PAC = (label_id(name) for name in ("Normal", "PVC", "PAC"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("strips") / "ward 3.xlsx"
    write_xlsx(simulate_strips(n_per_label={-1: 3, 0: 8, 2: 8}, n_patients=4, seed=3), path)
    config = PreprocessConfig(n_global_clusters=4)
    return preprocess(read_strips([path], config), config)


@pytest.fixture(scope="module")
def index(run: Run) -> BeatIndex:
    return beat_index(run, "run1")


@pytest.fixture(scope="module")
def bare(index: BeatIndex) -> Effective:
    return effective_labels(index, [])


@pytest.fixture
def said() -> Reading:
    return Reading()


def _strip(index: BeatIndex, least: int = 6) -> int:
    """A strip with some beats, none of them noise."""
    counts = np.bincount(index.strip_of_beat, minlength=len(index.names))
    noisy = np.bincount(index.strip_of_beat, weights=index.flags, minlength=len(index.names))
    return int(np.flatnonzero((counts >= least) & (noisy == 0) & (index.strip_labels == NORMAL))[0])


def test_without_decisions_the_strips_are_as_computed(run: Run, index: BeatIndex, bare: Effective) -> None:
    table = beats_of_strips(run, index, bare)
    assert list(table.columns) == list(COLUMNS)
    assert table["row"].tolist() == list(range(len(index)))
    assert table["time_ms"].tolist() == table["anchor_ms"].tolist() == index.time_ms.tolist()
    assert table["noise"].tolist() == bare.noisy.tolist()
    assert table["reasons"].tolist() == run.metadata["noise_reason"].tolist()
    for name, column in (("rr_prev", "rr_prev_sec"), ("rr_next", "rr_next_sec")):
        assert np.abs(table[name] - run.metadata[column] * 1000).max() <= 1
    assert set(table["peak"]) == set(table["seed"]) == {None} and set(table["note"]) == {""}


def test_one_strip_is_the_same_as_that_strip_among_all(run: Run, index: BeatIndex, said: Reading) -> None:
    place = _strip(index)
    rows = index.rows_of_strip(place)
    between = int(index.time_ms[rows[:2]].mean())
    name = index.names[place]
    effective = effective_labels(
        index, [said(beat_target(name, between), "peak", "added"), said(target_of(run, index, rows[3]), "noise", 1)]
    )
    together = beats_of_strips(run, index, effective)
    for one in (place, *range(4)):
        alone = strip_beats(run, index, effective, one)
        expected = together[together["place"] == one].reset_index(drop=True)
        assert alone.equals(expected)
    two = beats_of_strips(run, index, effective, [place, 0])
    assert two.equals(together[together["place"].isin([place, 0])].reset_index(drop=True))
    assert list(beats_of_strips(run, index, effective, []).columns) == list(COLUMNS)


def test_edits_and_words_stand_in_order_of_time_with_their_rr(run: Run, index: BeatIndex, said: Reading) -> None:
    place = _strip(index)
    rows, name = index.rows_of_strip(place), index.names[place]
    times = index.time_ms[rows].tolist()
    between = (times[0] + times[1]) // 2
    effective = effective_labels(
        index,
        [
            said(beat_target(name, times[2]), "peak", "deleted"),
            said(beat_target(name, times[4]), "peak", times[4] + 100),
            said(beat_target(name, times[4]), "label", "PAC"),
            said(beat_target(name, between), "peak", "added"),
            said(beat_target(name, between), "note", "missed"),
            said(beat_target(name, times[3]), "noise", 1),
            said(beat_target(name, times[5]), "seed", "PVC"),
        ],
    )
    table = strip_beats(run, index, effective, place)
    wanted = [times[0], between, times[1], times[3], times[4] + 100, *times[5:]]
    assert table["time_ms"].tolist() == wanted
    assert table["rr_next"].tolist()[:-1] == np.diff(wanted).tolist() == table["rr_prev"].tolist()[1:]
    assert table["anchor_ms"].tolist() == [times[0], between, times[1], times[3], times[4], *times[5:]]
    assert table["row"].tolist()[:5] == [rows[0], -1, rows[1], rows[3], rows[4]]
    assert table["beat_id"].tolist() == [-1 if row < 0 else index.beat_ids[row] for row in table["row"]]
    assert table["peak"].tolist()[:5] == [None, "added", None, None, "moved"]
    assert table["note"].tolist()[1] == "missed"
    assert (table["label"][3], table["noise"][3], table["reasons"][3]) == (NOISE, True, "reader")
    assert (table["label"][4], table["source"][4]) == (PAC, "beat")
    assert table["seed"].tolist()[5] == "PVC"


def test_a_second_reader_sees_no_other_reader_s_words(run: Run, index: BeatIndex) -> None:
    place = _strip(index)
    rows, name = index.rows_of_strip(place), index.names[place]
    times = index.time_ms[rows].tolist()
    between = (times[0] + times[1]) // 2
    prototype = int(index.prototypes[rows[3]])

    def ada(target: str, field: str, new: object) -> object:
        return decide("study", "Ada", target, field, new)  # type: ignore[arg-type]

    words = [
        ada(beat_target(name, between), "peak", "added"),
        ada(beat_target(name, between), "label", "PAC"),
        ada(beat_target(name, times[0]), "label", "PVC"),
        ada(beat_target(name, times[0]), "unsure", 1),
        ada(beat_target(name, times[0]), "note", "wide?"),
        ada(beat_target(name, times[0]), "seed", "PVC"),
        ada(strip_target(name), "label", "Couplets"),
        ada(prototype_target("run1", prototype), "label", "Triplets"),
        decide("study", "Ben", beat_target(name, times[1]), "label", "PVC"),
    ]
    effective = effective_labels(index, words)  # type: ignore[arg-type]
    blind = strip_beats(run, index, effective, place, blind_for="Ben")
    assert blind["time_ms"].tolist() == sorted([*times, between])
    assert blind["label"].tolist() == [NORMAL, NORMAL, PVC, *[NORMAL] * (len(times) - 2)]
    assert not blind["unsure"].any() and set(blind["note"]) == {""} and set(blind["seed"]) == {None}
    assert blind["row"].tolist() == [rows[0], -1, *rows[1:]]
    assert set(blind["place"]) == {place}
    assert blind["beat_id"].tolist() == strip_beats(run, index, effective, place)["beat_id"].tolist()
    several = beats_of_strips(run, index, effective, [place, place + 1], blind_for="Ben")
    assert several[several["place"] == place].equals(blind)
    hers = strip_beats(run, index, effective, place, blind_for="Ada")
    assert hers["label"].tolist()[:3] == [PVC, PAC, label_id("Triplets")]


def test_counts_and_mixes_follow_at_once(run: Run, index: BeatIndex, bare: Effective, said: Reading) -> None:
    place = _strip(index)
    rows, name = index.rows_of_strip(place), index.names[place]
    times = index.time_ms[rows].tolist()
    between = (times[0] + times[1]) // 2
    decisions = [
        said(beat_target(name, times[2]), "peak", "deleted"),
        said(beat_target(name, times[3]), "peak", "deleted"),
        said(beat_target(name, between), "peak", "added"),
        said(beat_target(name, between), "label", "PVC"),
    ]
    effective = effective_labels(index, decisions)
    before, after = (strip_rows(run, index, one, decisions).table for one in (bare, effective))
    changed = np.flatnonzero(before["beats"] != after["beats"]).tolist()
    assert changed == [place] and before["beats"][place] - after["beats"][place] == 1
    assert after["mix"][place] == f"Normal {len(times) - 2}, PVC 1"
    counts = [label_table(run, one).set_index("label")["usable_now"] for one in (bare, effective)]
    assert (counts[1] - counts[0]).to_dict() == {NOISE: 0, NORMAL: -2, PVC: 1}
    learnt = [training_table(run, one, np.full(len(index), "p", dtype=object)) for one in (bare, effective)]
    # Deleted beats are taught to nothing, not even to the gate; added ones wait for preprocessing.
    totals = [table.set_index("label")["beats"] for table in learnt]
    assert totals[1].sum() == totals[0].sum() - 2 and UNLABELLED not in totals[1].index
    prototype = int(index.prototypes[rows[2]])
    members = set(member_rows(index, prototype).tolist())
    assert members - set(member_rows(index, prototype, effective).tolist()) == members & set(rows[2:4].tolist())
    origins = [member_origins(run, index, one, prototype).set_index("source_row") for one in (bare, effective)]
    row = int(run.metadata["source_row"][rows[2]])
    assert origins[1].loc[row, "members"] == origins[0].loc[row, "members"] - len(members & set(rows[2:4].tolist()))


def test_a_prototype_that_lost_all_its_beats_has_no_label(run: Run, index: BeatIndex, said: Reading) -> None:
    prototype = int(run.library["prototype_id"].iloc[-1])
    rows = member_rows(index, prototype)
    deleted = [said(target_of(run, index, row), "peak", "deleted") for row in rows.tolist()]
    effective = effective_labels(index, deleted)
    library = effective_library(run, index, effective).set_index("prototype_id")
    assert library.loc[prototype, "dominant_label"] == UNLABELLED
    assert len(member_origins(run, index, effective, prototype)) == 0


def test_deleted_beats_are_no_candidates(run: Run, index: BeatIndex, said: Reading) -> None:
    place = _strip(index)
    rows = index.rows_of_strip(place)
    seed = said(target_of(run, index, rows[0]), "seed", "Normal")
    before = mine(run, effective_labels(index, [seed]), 100, 5)
    best = int(before["row"].iloc[0])
    after = mine(run, effective_labels(index, [seed, said(target_of(run, index, best), "peak", "deleted")]), 100, 5)
    assert best not in after["row"].tolist() and len(after) == 5
