"""Keys to a reader's liking: never two on one key, none on those that the app keeps, and always a way back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.errors import StoreError
from state.reader_keys import ALLOWED, KeyTakenError, change, merged

STANDARD = {"label:0": "n", "label:2": "v", "label:-1": "x", "action:undo": "u", "action:note": "."}
WORDS = {"label:0": "Normal", "label:2": "PVC", "label:-1": "Noise", "action:undo": "Undo", "action:note": "Note"}
FIXED = {"u": "Undo", "q": "Stop"}


def test_nothing_changed_is_the_standard() -> None:
    assert merged(STANDARD, {}) == STANDARD


def test_a_change_holds_and_the_standard_can_be_had_back() -> None:
    kept = change(STANDARD, {}, "label:2", "7", WORDS)
    assert kept == {"label:2": "7"}
    assert merged(STANDARD, kept) == {**STANDARD, "label:2": "7"}
    assert change(STANDARD, kept, "label:2", "V", WORDS) == {}, "standard again: nothing to remember"


@pytest.mark.parametrize("key", ["c", "r", "C", "R"])
def test_the_keys_of_streamlit_are_refused(key: str) -> None:
    with pytest.raises(StoreError, match=f"{key.upper()} is kept by the app"):
        change(STANDARD, {}, "action:undo", key, WORDS)


@pytest.mark.parametrize("key", ["Enter", "F5", "?", "é", "", "ab"])
def test_what_no_button_can_answer_to_is_refused(key: str) -> None:
    with pytest.raises(StoreError, match="a letter or a digit"):
        change(STANDARD, {}, "action:undo", key, WORDS)


def test_a_clash_names_the_other_one_and_swapping_solves_it() -> None:
    with pytest.raises(KeyTakenError, match="V is the key of PVC already") as caught:
        change(STANDARD, {}, "label:0", "v", WORDS)
    assert caught.value.by == "label:2"
    kept = change(STANDARD, {}, "label:0", "v", WORDS, swap=True)
    assert merged(STANDARD, kept) == {**STANDARD, "label:0": "v", "label:2": "n"}


def test_a_label_gets_no_key_that_means_something_else_beside_it() -> None:
    kept = change(STANDARD, {}, "action:undo", "z", WORDS, fixed=FIXED)
    with pytest.raises(StoreError, match="on other pages it is Undo"):
        change(STANDARD, kept, "label:2", "u", WORDS, fixed=FIXED)
    with pytest.raises(StoreError, match="cannot be swapped"):
        change(STANDARD, {}, "action:undo", "v", WORDS, fixed=FIXED, swap=True)
    assert change(STANDARD, kept, "action:undo", "u", WORDS, fixed=FIXED) == {}


def test_a_standard_key_out_of_the_ordinary_can_be_had_back() -> None:
    kept = change(STANDARD, {}, "action:note", "o", WORDS)
    assert change(STANDARD, kept, "action:note", ".", WORDS) == {}


def test_what_is_kept_and_makes_no_sense_any_more_does_not_count() -> None:
    damaged = {"label:2": "c", "action:gone": "g", "label:0": "Enter", "label:-1": ""}
    assert merged(STANDARD, damaged) == STANDARD


names = st.sampled_from(sorted(STANDARD))


@given(st.dictionaries(names, st.sampled_from([*"nvxucr79.", "Enter"])))
def test_no_two_things_share_a_key_whatever_was_kept(changes: dict[str, str]) -> None:
    keys = merged(STANDARD, changes, FIXED)
    assert len(set(keys.values())) == len(STANDARD)
    assert all(key in ALLOWED or key == STANDARD[name] for name, key in keys.items())


@given(st.lists(st.tuples(names, st.sampled_from("nvxu79ab"), st.booleans()), max_size=12))
def test_what_was_agreed_to_holds(steps: list[tuple[str, str, bool]]) -> None:
    kept: dict[str, str] = {}
    for name, key, swap in steps:
        try:
            kept = change(STANDARD, kept, name, key, WORDS, fixed=FIXED, swap=swap)
        except StoreError:
            continue
        keys = merged(STANDARD, kept, FIXED)
        assert keys[name] == key
        assert len(set(keys.values())) == len(STANDARD)
