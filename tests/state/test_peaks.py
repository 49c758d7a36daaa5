"""R-peaks added, moved and deleted: what follows at once, and after preprocessing has taken them in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_engine.labels import NOISE, UNLABELLED
from ecg_engine.peak_edits import edited
from state.anchors import BeatIndex, TakenIn, members_payload
from state.deciding import Decision, active
from state.derived import label_counts, noise_share, prototype_mix
from state.effective import Effective, effective_labels, out_of_date
from state.errors import DecisionError
from state.peaks import peak_edits
from state.reviewing import verdict_label, verdicts
from state.targets import beat_target, normal_value, parse_target, prototype_target, strip_target
from tests.state.runs_for_tests import START, Reading, index_of, strip_hash

NORMAL, PAC, PVC = 0, 1, 2


def _beat(strip: int, time: int) -> str:
    return beat_target(strip_hash(strip), time)


@pytest.fixture
def said() -> Reading:
    return Reading()


@pytest.fixture
def index() -> BeatIndex:
    """Two strips of three beats, the second one's file label is Noise, and one without beats."""
    made = index_of(
        [[500, 1500, 2500], [400, 1400, 2400], []],
        labels=[NORMAL, NOISE, PVC],
        flags=[0, 1, 0, 0, 1, 0],
        prototypes=[3, -1, 3, 4, -1, 4],
    )
    return replace(made, strip_labels=np.array([NORMAL, NOISE, PVC], dtype=np.int32))


def _lie(effective: Effective, index: BeatIndex) -> dict[tuple[int, int], int]:
    """(strip, time) to label of every beat there is."""
    rows = np.flatnonzero(~effective.deleted)
    lie = {(int(index.strip_of_beat[row]), int(effective.time_ms[row])): int(effective.labels[row]) for row in rows}
    return lie | {(beat.place, beat.time_ms): beat.label for beat in effective.added}


@pytest.mark.parametrize(
    ("value", "kept"), [("added", "added"), (" Deleted", "deleted"), (3420, "3420"), ("3420.0", "3420"), ("", None)]
)
def test_words_on_a_peak_have_one_spelling(value: str | int, kept: str | None) -> None:
    assert normal_value(parse_target(_beat(0, 500)), "peak", value) == kept


@pytest.mark.parametrize("value", ["gone", -5, "3.5", True, "1e3", "٣", 10**12])
def test_other_words_on_a_peak_are_refused(value: str | int) -> None:
    with pytest.raises(DecisionError, match="must be added, deleted or the new time of the R-peak in whole ms"):
        normal_value(parse_target(_beat(0, 500)), "peak", value)


def test_only_beats_have_a_peak() -> None:
    with pytest.raises(DecisionError, match="A strip has no 'peak'"):
        normal_value(parse_target(strip_target(strip_hash(0))), "peak", "added")


def test_a_deleted_beat_is_no_beat(index: BeatIndex, said: Reading) -> None:
    words = [said(_beat(0, 500), "label", "PVC"), said(_beat(0, 500), "seed", "PVC"), said(_beat(0, 500), "unsure", 1)]
    effective = effective_labels(index, [*words, said(_beat(0, 510), "peak", "deleted")])
    assert effective.deleted.tolist() == [True] + [False] * 5
    # Out of the windows (flag 1), and not taught as noise (label -1 with flag 0).
    assert (effective.noise_flags[0], effective.labels[0], effective.unsure[0]) == (1, UNLABELLED, False)
    assert effective.seed_of == {} and not len(effective.seeds)
    assert effective.unmatched == ()
    assert label_counts(effective) == {NOISE: 2, NORMAL: 1}
    assert noise_share(index, effective).tolist()[:2] == [0.5, 1.0]
    mix = prototype_mix(index, effective).set_index("prototype_id")
    assert (mix.loc[3, "size"], mix.loc[3, "label_mix_top3"]) == (1, "0:1")
    brought_back = effective_labels(index, [*words, said(_beat(0, 500), "peak", None)])
    assert (brought_back.labels[0], brought_back.deleted.any()) == (PVC, False)


def test_an_added_beat_carries_what_is_said_of_it(index: BeatIndex, said: Reading) -> None:
    added = said(_beat(0, 1000), "peak", "added")
    (bare,) = effective_labels(index, [added]).added
    assert (bare.place, bare.strip_hash, bare.time_ms, bare.anchor_ms) == (0, strip_hash(0), 1000, 1000)
    assert (bare.label, bare.source, bare.noise, bare.seed, bare.unsure, bare.note) == (
        NORMAL, "strip", False, None, False, ""
    )  # fmt: skip
    words = [("label", "PVC"), ("seed", "PAC"), ("unsure", 1), ("note", "late")]
    effective = effective_labels(index, [added, *(said(_beat(0, 1010), name, new) for name, new in words)])
    (told,) = effective.added
    assert (told.label, told.source, told.seed, told.unsure, told.note) == (PVC, "beat", "PAC", True, "late")
    assert effective.unmatched == () and not len(effective.seeds)
    assert label_counts(effective) == {NOISE: 2, NORMAL: 2, PVC: 1}
    assert noise_share(index, effective).tolist()[0] == 0.25
    (noise,) = effective_labels(index, [added, said(_beat(0, 1000), "noise", 1)]).added
    assert noise.noise and noise.label == NOISE
    of_strip = [said(_beat(2, 700), "peak", "added"), said(_beat(1, 900), "peak", "added")]
    assert [beat.label for beat in effective_labels(index, of_strip).added] == [NOISE, PVC]
    strip = said(strip_target(strip_hash(2)), "label", "Couplets")
    assert [beat.label for beat in effective_labels(index, [*of_strip, strip]).added] == [NOISE, 10]


def test_without_the_added_peak_words_on_it_find_no_place(index: BeatIndex, said: Reading) -> None:
    added, label = said(_beat(0, 1000), "peak", "added"), said(_beat(0, 1000), "label", "PVC")
    undo = Decision("u", "study", "Ada", START + timedelta(hours=1), added.target, "peak", None, undoes=added.id)
    effective = effective_labels(index, [added, label, undo])
    assert effective.added == ()
    assert [lost.decision for lost in effective.unmatched] == [label]


def test_a_moved_beat_keeps_its_words_at_its_first_time(index: BeatIndex, said: Reading) -> None:
    moved = said(_beat(0, 500), "peak", 800)
    words = [said(_beat(0, 500), "label", "PVC"), said(_beat(0, 800), "note", "seen where it is now")]
    effective = effective_labels(index, [*words, moved])
    assert (effective.time_ms[0], effective.anchor_ms[0], effective.moved[0]) == (800, 500, True)
    assert (effective.labels[0], effective.notes[0]) == (PVC, "seen where it is now")
    assert effective.unmatched == ()
    # A later run has found it at its new time, more than 75 ms off: the words follow.
    later = index_of([[805, 1500, 2500]], labels=[NORMAL], run_id="run2")
    again = effective_labels(later, [*words, moved])
    assert (again.labels[0], again.notes[0], again.time_ms[0]) == (PVC, "seen where it is now", 800)
    assert again.unmatched == () and again.added == ()


def test_a_moved_peak_that_another_run_does_not_find_stays(said: Reading) -> None:
    other = index_of([[1500, 2500]], labels=[NORMAL])
    effective = effective_labels(other, [said(_beat(0, 500), "peak", 800), said(_beat(0, 500), "label", "PVC")])
    assert [(beat.time_ms, beat.anchor_ms, beat.label, beat.what) for beat in effective.added] == [
        (800, 500, PVC, "moved")
    ]
    assert effective.unmatched == ()


def test_an_added_peak_that_a_later_run_finds_is_that_beat(said: Reading) -> None:
    words = [said(_beat(0, 1000), "peak", "added"), said(_beat(0, 1000), "label", "PVC")]
    effective = effective_labels(index_of([[500, 1040]], labels=[NORMAL]), words)
    assert effective.added == () and effective.unmatched == ()
    assert effective.labels.tolist() == [NORMAL, PVC]
    assert effective.time_ms.tolist() == [500, 1000]


def test_a_deletion_of_what_a_later_run_does_not_find_is_satisfied(said: Reading) -> None:
    words = [said(_beat(0, 1000), "label", "PVC"), said(_beat(0, 1000), "peak", "deleted")]
    effective = effective_labels(index_of([[500]], labels=[NORMAL]), words)
    assert effective.unmatched == () and effective.added == ()
    elsewhere = effective_labels(index_of([[500]], labels=[NORMAL], first=7), words)
    assert [lost.reason for lost in elsewhere.unmatched] == ["its strip is not in this run"] * 2


def test_a_prototype_s_word_reaches_moved_members(index: BeatIndex, said: Reading) -> None:
    label = said(prototype_target("run1", 3), "label", "PVC", payload=members_payload(index, 3))
    moved = said(_beat(0, 500), "peak", 800)
    later = index_of([[800, 1500, 2500]], labels=[NORMAL], run_id="run2")
    effective = effective_labels(later, [label, moved])
    assert effective.labels.tolist() == [PVC, NORMAL, PVC]
    assert effective.unmatched == ()


def test_a_deleted_beat_is_settled_for_the_queue(index: BeatIndex, said: Reading) -> None:
    deleted, moved = said(_beat(0, 500), "peak", "deleted"), said(_beat(0, 2500), "peak", 2300)
    label = said(_beat(0, 2500), "label", "PVC")
    found = verdicts(index, [deleted, moved, label])
    assert found == {0: deleted, 2: label}
    assert verdict_label(deleted) == "No beat"
    assert verdicts(index, [deleted, said(_beat(0, 500), "peak", None)]) == {}


def test_a_run_is_out_of_date_by_edits_that_it_does_not_have(index: BeatIndex, said: Reading) -> None:
    old = replace(said(_beat(0, 500), "label", "PVC"), stored_at=START)
    until = START + timedelta(minutes=1)
    for target, value in ((_beat(0, 500), "deleted"), (_beat(0, 500), 510), (_beat(0, 900), "added")):
        edit = replace(said(target, "peak", value), stored_at=START + timedelta(hours=1))
        assert out_of_date(index, [old, edit], until) == (1, (edit,))
        assert not out_of_date(index, [old, replace(edit, stored_at=START)], until)
    satisfied = replace(said(_beat(0, 1000), "peak", "deleted"), stored_at=START + timedelta(hours=1))
    assert not out_of_date(index, [old, satisfied], until)


# -- a run that has taken edits in


def _taken_in(index: BeatIndex, decisions: Iterable[Decision]) -> BeatIndex:
    """The run that preprocessing would make: the same computed peaks, edited."""
    edits = peak_edits(active(decisions))
    times: list[list[int]] = []
    taken = {}
    for place, name in enumerate(index.names):
        computed = index.time_ms[index.rows_of_strip(place)].tolist()
        peaks = sorted((one for one in edited(computed, edits.get(name, ())) if one.present), key=lambda p: p.time_ms)
        times.append([one.time_ms for one in peaks])
        if name in edits:
            taken[place] = TakenIn(tuple(computed), tuple(one.base for one in peaks), tuple(times[-1]))
    made = index_of(times, labels=index.strip_labels.tolist(), run_id="run2")
    return replace(made, taken_in=taken, strip_labels=index.strip_labels)


def test_a_run_that_has_the_edits_shows_them_as_its_own(index: BeatIndex, said: Reading) -> None:
    decisions = [
        said(_beat(0, 500), "peak", "deleted"),
        said(_beat(0, 1500), "peak", 1700),
        said(_beat(0, 1500), "label", "PVC"),
        said(_beat(0, 1000), "peak", "added"),
        said(_beat(0, 1000), "label", "PAC"),
    ]
    later = _taken_in(index, decisions)
    effective = effective_labels(later, decisions)
    assert effective.time_ms[:3].tolist() == [1000, 1700, 2500]
    assert effective.anchor_ms[:3].tolist() == [1000, 1500, 2500]
    assert effective.labels[:3].tolist() == [PAC, PVC, NORMAL]
    assert not effective.moved.any() and not effective.deleted.any() and effective.added == ()
    assert effective.unmatched == ()
    # Each of them is undone at once.
    undone = effective_labels(later, decisions[2:3])
    assert _lie(undone, later) == {**_lie(effective_labels(index, decisions[2:3]), index)}
    assert undone.time_ms[1] == 1500 and undone.moved[1] and undone.deleted[0]
    assert [(beat.time_ms, beat.what) for beat in undone.added] == [(500, "added")]
    assert out_of_date(later, [], None).beats == 0


_ANCHORS = (500, 520, 1000, 1500, 1480, 2000, 2500)
_WORDS = st.tuples(
    st.sampled_from(_ANCHORS),
    st.sampled_from(["peak"] * 3 + ["label"]),
    st.sampled_from(["added", "deleted", None, 40, -160, 260]),
)


@settings(max_examples=250, deadline=None)
@given(words=st.lists(_WORDS, max_size=10), then=st.sets(st.integers(0, 9)), now=st.sets(st.integers(0, 9)))
def test_it_makes_no_difference_which_edits_a_run_has_taken_in(
    words: list[tuple[int, str, str | int | None]], then: set[int], now: set[int]
) -> None:
    said, plain = Reading(), index_of([[500, 1500, 2500]], labels=[NORMAL])
    decisions = []
    for anchor, name, value in words:
        if name == "label":
            decisions.append(said(_beat(0, anchor), "label", "PVC"))
        else:
            decisions.append(said(_beat(0, anchor), "peak", anchor + value if isinstance(value, int) else value))
    later = _taken_in(plain, [made for place, made in enumerate(decisions) if place in then])
    hold = [made for place, made in enumerate(decisions) if place in now]
    peaks_only = [made for made in hold if made.field == "peak"]
    expected = effective_labels(plain, peaks_only)
    found = effective_labels(later, peaks_only)
    assert sorted(_lie(found, later)) == sorted(_lie(expected, plain))
    # Words at the time where a peak is are found by both.
    for time in {time for _, time in _lie(expected, plain)}:
        label = said(_beat(0, time), "label", "PVC")
        lie = [_lie(effective_labels(run, [*peaks_only, label]), run) for run in (plain, later)]
        assert lie[0] == lie[1]
