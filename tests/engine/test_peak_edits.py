"""R-peaks that readers added, moved and deleted: the rule, and preprocessing that takes them in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_engine.artifacts import load_run, save_run
from ecg_engine.config import PreprocessConfig
from ecg_engine.peak_edits import ADDED, COMPUTED, DELETED, MOVED, PeakEdit, edited
from ecg_engine.preprocess import PEAK_EDITS_KEY, Run, preprocess
from ecg_engine.strips import Strips, read_strips
from tests.engine.making import cell, ecg, write_xlsx

CONFIG = PreprocessConfig(min_local_cluster=3)


def _times(computed: list[int], *edits: PeakEdit) -> list[int]:
    return sorted(peak.time_ms for peak in edited(computed, edits) if peak.present)


# -- the rule


def test_peaks_are_added_moved_and_deleted() -> None:
    computed = [1000, 2000, 3000]
    assert _times(computed) == computed
    assert _times(computed, PeakEdit(1500, ADDED)) == [1000, 1500, 2000, 3000]
    assert _times(computed, PeakEdit(2000, MOVED, 2200)) == [1000, 2200, 3000]
    assert _times(computed, PeakEdit(2000, DELETED)) == [1000, 3000]
    assert _times(computed, PeakEdit(2000, DELETED), PeakEdit(2010, COMPUTED)) == computed
    assert _times(computed, PeakEdit(1500, ADDED), PeakEdit(1520, COMPUTED)) == computed
    assert _times([], PeakEdit(1500, ADDED)) == [1500]


@pytest.mark.parametrize(("off", "found"), [(-75, True), (75, True), (-76, False), (76, False)])
def test_a_word_finds_the_peak_within_75_ms(off: int, found: bool) -> None:
    computed = [1000 + off, 3000]
    assert (_times(computed, PeakEdit(1000, DELETED)) == [3000]) is found
    assert _times(computed, PeakEdit(1000, MOVED, 1500)) == ([1500, 3000] if found else [1000 + off, 1500, 3000])
    assert len(_times(computed, PeakEdit(1000, ADDED))) == (2 if found else 3)


def test_an_added_peak_that_is_found_by_now_is_that_peak_and_stays_where_the_reader_put_it() -> None:
    (peak,) = edited([1030], [PeakEdit(1000, ADDED)])
    assert (peak.base, peak.time_ms, peak.anchor_ms, peak.present) == (0, 1000, 1000, True)


def test_a_peak_put_where_one_was_deleted_brings_it_back_there() -> None:
    (peak,) = edited([1000], [PeakEdit(1000, DELETED), PeakEdit(1040, ADDED)])
    assert (peak.base, peak.time_ms, peak.anchor_ms) == (0, 1040, 1000)


def test_a_peak_added_where_another_one_was_moved_from_is_another_one() -> None:
    moved, new = edited([1000], [PeakEdit(1000, MOVED, 1400), PeakEdit(1010, ADDED)])
    assert (moved.base, moved.time_ms) == (0, 1400)
    assert (new.base, new.time_ms) == (-1, 1010)
    # A later run has the peak at its new time: what was said of the old time follows.
    assert edited([1402], [PeakEdit(1000, MOVED, 1400)])[0].places == {1402, 1000, 1400}


def test_deleting_what_is_not_there_changes_nothing_but_takes_up_what_is_said_of_it() -> None:
    there, gone = edited([1000], [PeakEdit(2000, DELETED)])
    assert there.present and not gone.present
    assert gone.places == {2000}
    assert _times([1000], PeakEdit(2000, COMPUTED)) == [1000]


_EDITS = st.lists(
    st.one_of(
        st.builds(PeakEdit, st.integers(0, 4000), st.sampled_from([ADDED, DELETED, COMPUTED])),
        st.builds(PeakEdit, st.integers(0, 4000), st.just(MOVED), st.integers(0, 4000)),
    ),
    max_size=8,
)


@given(edits=_EDITS, computed=st.lists(st.integers(0, 4000), unique=True, max_size=5).map(sorted))
def test_no_computed_peak_is_lost_or_doubled(edits: list[PeakEdit], computed: list[int]) -> None:
    peaks = edited(computed, edits)
    assert [peak.base for peak in peaks] == [*range(len(computed)), *[-1] * (len(peaks) - len(computed))]
    for peak in peaks:
        assert peak.base < 0 or computed[peak.base] in peak.places
        assert not peak.present or peak.time_ms in peak.places
    if not edits:
        assert [peak.time_ms for peak in peaks] == computed
    untouched = [time for time in computed if all(abs(time - edit.anchor_ms) > 75 for edit in edits)]
    moved_near = [edit.time_ms for edit in edits if edit.what == MOVED]
    for time in untouched:
        if all(abs(time - to) > 75 for to in moved_near):
            assert time in [peak.time_ms for peak in peaks if peak.present]


# -- preprocessing takes them in


@pytest.fixture(scope="module")
def strips(tmp_path_factory: pytest.TempPathFactory) -> Strips:
    rows = [[101, cell(ecg(seed)), 0] for seed in range(6)]
    path = write_xlsx(tmp_path_factory.mktemp("peaks") / "a.xlsx", rows)
    return read_strips(path, CONFIG)


@pytest.fixture(scope="module")
def plain(strips: Strips) -> Run:
    return preprocess(strips, CONFIG)


def _ms(run: Run, place: int) -> list[int]:
    table = run.metadata[run.metadata["source_row"] == place]
    return np.rint(table["r_time_sec"].to_numpy() * 1000).astype(int).tolist()


def test_edits_are_exactly_where_the_reader_put_them(strips: Strips, plain: Run) -> None:
    name, before = str(strips.strip_hash[2]), _ms(plain, 2)
    between = (before[3] + before[4]) // 2
    edits = [PeakEdit(before[1], DELETED), PeakEdit(before[2], MOVED, before[2] + 90), PeakEdit(between, ADDED)]
    run = preprocess(strips, CONFIG, peaks={name: edits})
    sample = 1000 / strips.fs
    wanted = [before[0], before[2] + 90, before[3], between, *before[4:]]
    assert np.abs(np.array(_ms(run, 2)) - wanted).max() <= sample / 2 + 0.1
    told = run.summary[PEAK_EDITS_KEY]
    assert (told["added"], told["moved"], told["deleted"], told["satisfied"], told["refused"]) == (1, 1, 1, 0, [])
    # RR and the slices go by the edited peaks; the other strips are as they were.
    table = run.metadata[run.metadata["source_row"] == 2]
    r_index = table["r_index"].to_numpy()
    np.testing.assert_allclose(table["rr_next_sec"].to_numpy()[:-1], np.diff(r_index) / strips.fs, rtol=1e-6)
    before_r = round(CONFIG.pre_sec * strips.fs)
    assert run.conditioned is not None
    start = int(strips.offsets[2]) + int(r_index[3]) - before_r
    np.testing.assert_array_equal(run.beats[table.index[3]], run.conditioned[start : start + run.beat_len])
    for place in (0, 1, 3, 4, 5):
        assert _ms(run, place) == _ms(plain, place)


def test_without_edits_nothing_changes(strips: Strips, plain: Run) -> None:
    for peaks in (None, {}):
        run = preprocess(strips, CONFIG, peaks=peaks)
        assert run.summary == plain.summary
        assert PEAK_EDITS_KEY not in run.summary
        np.testing.assert_array_equal(run.metadata["r_index"], plain.metadata["r_index"])


def test_what_could_not_be_taken_in_is_listed(strips: Strips, plain: Run) -> None:
    name, before = str(strips.strip_hash[0]), _ms(plain, 0)
    edits = [
        PeakEdit(5, ADDED),
        PeakEdit(before[1], MOVED, before[2]),
        PeakEdit((before[4] + before[5]) // 2, DELETED),
    ]
    run = preprocess(strips, CONFIG, peaks={name: edits, "f" * 64: [PeakEdit(500, ADDED), PeakEdit(900, DELETED)]})
    told = run.summary[PEAK_EDITS_KEY]
    assert told["elsewhere"] == 2
    assert (told["added"], told["moved"], told["deleted"], told["satisfied"]) == (0, 0, 0, 1)
    reasons = {one["time_ms"]: one["reason"] for one in told["refused"]}
    assert "too near the edge" in reasons[5]
    assert "another R-peak is at that very place" in reasons[before[2]]
    assert {one["strip_hash"] for one in told["refused"]} == {name}
    assert any("2 R-peaks that a reader set could not become beats" in text for text in run.summary["warnings"])
    assert _ms(run, 0) == [before[0], *before[2:]]


def test_a_strip_without_beats_gets_those_that_a_reader_adds(tmp_path: Path) -> None:
    wave = ecg(1)
    wave[:] = np.where(np.arange(len(wave)) % 2 == 0, 950, 952)  # nothing like a heartbeat
    strips = read_strips(write_xlsx(tmp_path / "a.xlsx", [[1, cell(ecg(0)), 0], [1, cell(wave), 0]]), CONFIG)
    bare = preprocess(strips, CONFIG)
    found = _ms(bare, 1)
    edits = [*(PeakEdit(time, DELETED) for time in found), PeakEdit(3000, ADDED), PeakEdit(4000, ADDED)]
    run = preprocess(strips, CONFIG, peaks={str(strips.strip_hash[1]): edits})
    assert np.abs(np.array(_ms(run, 1)) - [3000, 4000]).max() <= 2
    assert 1 not in run.skipped["source_row"].tolist()
    none = preprocess(strips, CONFIG, peaks={str(strips.strip_hash[1]): edits[:-2]})
    assert 1 in none.skipped["source_row"].tolist()


def test_what_came_of_the_edits_is_kept_with_the_run(strips: Strips, plain: Run, tmp_path: Path) -> None:
    name, before = str(strips.strip_hash[3]), _ms(plain, 3)
    run = preprocess(strips, CONFIG, peaks={name: [PeakEdit(before[0], DELETED)]})
    save_run(run, tmp_path / "run", pictures=False)
    told = load_run(tmp_path / "run").summary[PEAK_EDITS_KEY]
    assert told["strips"][name]["computed_ms"] == before
    assert told["strips"][name]["base"] == list(range(1, len(before)))
    assert told == run.summary[PEAK_EDITS_KEY]
