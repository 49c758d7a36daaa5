"""Decisions are only ever added, each once, and any single one can be undone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, text, update
from sqlalchemy.exc import DBAPIError

from state import schema
from state.db import writing
from state.decisions import Decision, activity, decide
from state.errors import DecisionError, NotFoundError
from state.plain import new_id
from state.store import Store
from state.studies import Study
from state.targets import beat_target, parse_target, prototype_target, strip_target
from tests.state.runs_for_tests import START, strip_hash

BEAT = beat_target(strip_hash(1), 1234.4)


def _label(study: Study, new: Any, **more: Any) -> Decision:
    return decide(study.id, "Ada", BEAT, "label", new, **more)


def test_a_decision_comes_back_as_it_was_given(store: Store, study: Study) -> None:
    given_ = decide(
        study.id, "Ada", BEAT, "label", 2, old="Normal", reason="wide", payload={"members": {strip_hash(1): [3, 4]}}
    )
    assert store.decisions.add([given_]).stored == [given_.id]
    kept = store.decisions.get(given_.id)
    assert kept == given_
    assert (kept.new, kept.old, kept.payload) == ("PVC", "Normal", given_.payload)
    assert kept.stored_at is not None
    assert [reader.name for reader in store.readers.all()] == ["Ada"]


def test_sending_twice_stores_once(store: Store, study: Study) -> None:
    one, two = _label(study, "PVC"), _label(study, "PAC")
    assert store.decisions.add([one, two, one]).stored == [one.id, two.id]
    assert store.decisions.add([two, one]) == ([], [two.id, one.id], [])
    assert len(store.decisions.listing(study.id)) == 2


def test_an_id_taken_by_another_decision_is_told_and_the_first_holds(store: Store, study: Study) -> None:
    one = _label(study, "PVC")
    store.decisions.add([one])
    assert store.decisions.add([replace(one, new="PAC")]).conflicting == [one.id]
    assert store.decisions.get(one.id).new == "PVC"


@pytest.mark.parametrize(
    "change",
    [
        lambda table: update(table).values(new="PAC"),
        lambda table: delete(table),
        lambda table: text("UPDATE decisions SET reason = 'other' WHERE seq = 1"),
    ],
)
def test_the_database_refuses_to_change_or_delete(store: Store, study: Study, change: Callable[[Any], Any]) -> None:
    one = _label(study, "PVC")
    store.decisions.add([one])
    with pytest.raises(DBAPIError, match="only ever added"), writing(store.engine) as connection:
        connection.execute(change(schema.decisions))
    assert store.decisions.get(one.id) == one


def test_the_database_refuses_the_back_doors(store: Store, study: Study) -> None:
    one = _label(study, "PVC")
    store.decisions.add([one])
    columns = "id, study_id, reader, at, stored_at, target, field, reason, payload"
    replaced = f"INSERT OR REPLACE INTO decisions ({columns}) SELECT {columns} FROM decisions"
    back_door = replaced if store.engine.dialect.name == "sqlite" else "TRUNCATE decisions"
    with pytest.raises(DBAPIError, match="only ever added"), writing(store.engine) as connection:
        connection.execute(text(back_door))
    assert store.decisions.get(one.id) == one


def test_undo_of_an_undo_is_a_redo(store: Store, study: Study) -> None:
    one, two = _label(study, "PVC"), _label(study, "PAC")
    store.decisions.add([one, two])
    undo = store.decisions.undo(one.id, "Berta", reason="slip")
    assert (undo.undoes, undo.reader, undo.target, undo.old, undo.new) == (one.id, "Berta", BEAT, "PVC", None)
    assert store.decisions.active(study.id) == [two]
    redo = store.decisions.undo(undo.id, "Ada")
    assert store.decisions.active(study.id) == [one, two]
    store.decisions.undo(redo.id, "Ada")
    assert store.decisions.active(study.id) == [two]
    assert len(store.decisions.listing(study.id)) == 5


def test_undoing_what_is_undone_makes_no_second_undo(store: Store, study: Study) -> None:
    one = _label(study, "PVC")
    store.decisions.add([one])
    first = store.decisions.undo(one.id, "Ada")
    assert store.decisions.undo(one.id, "Berta") == first
    assert len(store.decisions.redo(one.id, "Ada")) == 1
    assert store.decisions.redo(one.id, "Ada") == []
    assert store.decisions.active(study.id) == [one]
    again = store.decisions.undo(one.id, "Ada")
    assert again.id != first.id
    assert store.decisions.active(study.id) == []


def test_two_undos_that_crossed_on_their_way_are_taken_back_together(store: Store, study: Study) -> None:
    one = _label(study, "PVC")
    undos = [replace(_label(study, None, old="PVC"), undoes=one.id) for _ in range(2)]
    store.decisions.add([*undos, one])
    assert store.decisions.active(study.id) == []
    assert len(store.decisions.redo(one.id, "Ada")) == 2
    assert store.decisions.active(study.id) == [one]


def test_only_known_decisions_are_undone(store: Store, study: Study) -> None:
    with pytest.raises(NotFoundError, match="no decision"):
        store.decisions.undo("nothing", "Ada")
    with pytest.raises(NotFoundError, match="no study"):
        store.decisions.add([decide("nowhere", "Ada", BEAT, "label", "PVC")])


def test_redo_from_one_tab_takes_back_the_undo_of_the_other_tab_too(store: Store, study: Study) -> None:
    one = _label(study, "PVC")
    mine, theirs = (replace(_label(study, None, old="PVC"), undoes=one.id) for _ in range(2))
    store.decisions.add([one, mine, theirs])
    redo = replace(_label(study, "PVC"), undoes=mine.id)  # all that this tab knows of
    store.decisions.add([redo])
    assert store.decisions.active(study.id) == [one]
    assert activity(store.decisions.listing(study.id))[theirs.id] is False
    again = replace(_label(study, None, old="PVC"), undoes=one.id)
    store.decisions.add([again])
    assert store.decisions.active(study.id) == []
    store.decisions.add([replace(_label(study, "PVC"), undoes=again.id)])
    assert store.decisions.active(study.id) == [one]
    store.decisions.undo(redo.id, "Ada")  # only of what it had brought back, and that is brought back by now anyway
    assert store.decisions.active(study.id) == [one]


def test_an_undo_from_the_browser_is_kept_as_it_was_sent(store: Store, study: Study) -> None:
    one = decide(study.id, "Ada", BEAT, "label", "PVC", old="Unknown/Review")
    sent = replace(_label(study, None), old="PVC", new="Unknown/Review", undoes=one.id)
    assert store.decisions.add([sent]).stored == [sent.id]  # what it undoes is still on its way
    assert store.decisions.add([sent, one]) == ([one.id], [sent.id], [])
    assert store.decisions.get(sent.id) == sent
    assert store.decisions.active(study.id) == []
    for bad, words in (
        (replace(sent, id="b1", field="colour"), "has no 'colour'"),
        (replace(sent, id="b2", undoes="no id!"), "not the id of a decision"),
        (replace(sent, id="b3", undoes="x" * 65), "not the id of a decision"),
        (replace(sent, id="b4", undoes="b4"), "cannot undo itself"),
    ):
        with pytest.raises(DecisionError, match=words):
            store.decisions.add([bad])
    assert len(store.decisions.listing(study.id)) == 2


def test_another_study_s_undo_changes_nothing_here(store: Store, study: Study) -> None:
    one, two = _label(study, "PVC"), _label(study, "PAC")
    other = store.studies.create("Ward 4")
    foreign = [replace(_label(other, None), undoes=made.id) for made in (one, two)]
    store.decisions.add([foreign[0]])  # before anybody can know what it undoes
    store.decisions.add([one])
    with pytest.raises(DecisionError, match="belongs to another study"):
        store.decisions.add([foreign[1], two])
    store.decisions.add([two])
    with pytest.raises(DecisionError, match="belongs to another study"):
        store.decisions.add([foreign[1]])
    assert store.decisions.active(study.id) == [one, two]
    assert [made.id for made in store.decisions.listing(other.id)] == [foreign[0].id]
    assert store.decisions.undo(one.id, "Ada").study_id == study.id
    assert store.decisions.active(study.id) == [two]


@pytest.mark.parametrize(
    ("target", "field", "new", "words"),
    [
        ("beat:xyz:12", "label", "PVC", "cannot be about"),
        ("beat", "label", "PVC", "cannot be about"),
        (BEAT, "colour", "red", "label, noise, seed"),
        (BEAT, "label", "PVX", "The labels are: Noise, Normal"),
        (BEAT, "label", "Unknown/Review", "not a label that a beat can be given"),
        (BEAT, "label", 77, "not a label"),
        (BEAT, "noise", "perhaps", "must be 1 or 0"),
        (BEAT, "note", "x" * 5000, "5,000 characters"),
        (strip_target(strip_hash(1)), "noise", 1, "A strip has no 'noise'"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(target: str, field: str, new: Any, words: str) -> None:
    with pytest.raises(DecisionError, match=words):
        decide("study", "Ada", target, field, new)


def test_one_bad_decision_keeps_all_from_being_stored(store: Store, study: Study) -> None:
    for bad in (
        replace(_label(study, "PVC"), new="PVX"),
        replace(_label(study, "PVC"), reader=" "),
        replace(_label(study, "PVC"), id="x" * 65),
        replace(_label(study, "PVC"), at=datetime(2026, 1, 1)),
    ):
        with pytest.raises(DecisionError):
            store.decisions.add([_label(study, "PVC"), bad])
    assert store.decisions.listing(study.id) == []


def test_values_have_one_spelling() -> None:
    assert [decide("s", "Ada", BEAT, "label", value).new for value in (2, "2", "pvc", " PVC ")] == ["PVC"] * 4
    assert [decide("s", "Ada", BEAT, "noise", value).new for value in (True, 1, "1", 0, False, None)] == [
        *"11100",
        None,
    ]
    assert decide("s", "Ada", BEAT, "note", "a\x00b \ud800").new == "ab ?"
    assert decide("s", "Ada", BEAT, "label", "PVC", old="Unknown/Review").old == "Unknown/Review"
    assert decide("s", "Ada", strip_target(strip_hash(1)), "label", -999).new == "Unlabelled"
    for target in (BEAT, strip_target(strip_hash(2)), prototype_target("run1", 7)):
        assert str(parse_target(target)) == target


def test_listing_filters(store: Store, study: Study) -> None:
    other = decide(study.id, "Berta", beat_target(strip_hash(2), 500), "noise", 1)
    mine = [_label(study, "PVC"), _label(study, "PAC")]
    store.decisions.add([mine[0], other, mine[1]])
    listing = store.decisions.listing
    assert listing(study.id, reader="Berta") == [other]
    assert listing(study.id, field="label") == mine
    assert listing(study.id, target=BEAT) == mine
    assert listing(study.id, target=f"beat:{strip_hash(2)}%") == [other]
    assert listing(study.id, limit=1, newest_first=True) == [max([*mine, other], key=lambda d: d.order)]
    assert listing(study.id, stored_until=START) == []


def test_the_version_grows_with_each_decision(store: Store, study: Study) -> None:
    versions = [store.decisions.version(study.id)]
    for _ in range(2):
        store.decisions.add([_label(study, "PVC")])
        versions.append(store.decisions.version(study.id))
    assert versions == sorted(set(versions))


def test_undos_in_a_circle_hold_nothing() -> None:
    one = decide("s", "Ada", BEAT, "label", "PVC", id="one")
    circle = [replace(one, id=id, undoes=undoes) for id, undoes in [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")]]
    assert activity([one, *circle]) == {"one": True, "a": False, "b": False, "c": False, "d": True}


def test_eight_threads_add_at_once(store: Store, study: Study) -> None:
    errors: list[BaseException] = []
    shared = [_label(study, "PVC") for _ in range(20)]

    def read(number: int) -> None:
        try:
            for turn in range(20):
                mine = decide(study.id, f"Reader {number}", BEAT, "label", turn % 3)
                added = store.decisions.add([shared[turn], mine])
                assert mine.id in added.stored
                store.decisions.undo(shared[turn].id, f"Reader {number}")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    listing = store.decisions.listing(study.id)
    # 8 x 20 of their own, 20 shared ones stored once, and one undo for each however many asked.
    assert len(listing) == 160 + 20 + 20
    assert len({decision.id for decision in listing}) == len(listing)
    assert len(store.decisions.active(study.id)) == 160


def test_who_reads_on_misses_nothing_while_others_write(store: Store, study: Study) -> None:
    done = threading.Event()
    seen: list[str] = []
    errors: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for _ in range(25):
                store.decisions.add([decide(study.id, f"Reader {number}", BEAT, "label", "PVC") for _ in range(3)])
        except BaseException as error:
            errors.append(error)

    def read() -> None:
        version = 0
        while True:
            last = done.is_set()
            newer, version = store.decisions.newer(study.id, version)
            seen.extend(one.id for one in newer)
            if last:
                return

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert errors == []
    assert sorted(seen) == sorted(one.id for one in store.decisions.listing(study.id))


@st.composite
def _histories(draw: st.DrawFn) -> list[tuple[str, int | None]]:
    """Steps: a decision on one of 3 beats, or an undo of any earlier step."""
    steps: list[tuple[str, int | None]] = []
    for place in range(draw(st.integers(1, 14))):
        undoes = draw(st.none() | st.integers(0, place - 1)) if place else None
        steps.append((draw(st.sampled_from(["Normal", "PAC", "PVC", "Noise"])), undoes))
    return steps


def _as_decisions(study_id: str, steps: list[tuple[str, int | None]]) -> list[Decision]:
    made: list[Decision] = []
    for place, (label, undoes) in enumerate(steps):
        at = START + timedelta(seconds=place // 2)  # some share their time: then the id decides
        target = beat_target(strip_hash(1), 1000 * (place % 3))
        decision = decide(study_id, "Ada", target, "label", label, id=f"{new_id()}-{place:02d}", at=at)
        if undoes is not None:
            undone = made[undoes]
            decision = replace(decision, target=undone.target, old=undone.new, new=undone.old, undoes=undone.id)
        made.append(decision)
    return made


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_histories(), data=st.data())
def test_what_holds_does_not_depend_on_order_or_number_of_sendings(
    store: Store, steps: list[tuple[str, int | None]], data: st.DataObject
) -> None:
    study = store.studies.create("Any order")
    made = _as_decisions(study.id, steps)
    sent = data.draw(st.permutations(made)) + data.draw(st.lists(st.sampled_from(made), max_size=6))
    while sent:
        size = data.draw(st.integers(1, len(sent)))
        store.decisions.add(sent[:size])
        sent = sent[size:]
    # By the rule: a decision holds unless an undo of it does. An undo holds unless it is undone itself, or came before
    # the undo of another undo of the same decision.
    undos_of = {
        place: [later for later, (_, undone) in enumerate(steps) if undone == place] for place in range(len(made))
    }

    def holds(place: int) -> bool:
        if any(holds(undo) for undo in undos_of[place]):
            return False
        undone = steps[place][1]
        beside = [] if undone is None else undos_of[undone]
        redos = [redo for undo in beside for redo in undos_of[undo]]
        return not any(made[redo].order > made[place].order and holds(redo) for redo in redos)

    expected = [d for place, d in enumerate(made) if steps[place][1] is None and holds(place)]
    assert store.decisions.active(study.id) == sorted(expected, key=lambda d: d.order)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choices=st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=12))
def test_undo_and_redo_toggle_one_decision_and_no_other(store: Store, choices: list[tuple[bool, int]]) -> None:
    study = store.studies.create("Toggling")
    made = [_label(study, "PVC") for _ in range(3)]
    store.decisions.add(made)
    held = {decision.id: True for decision in made}
    for wanted, number in choices:
        chosen = made[number % 3].id
        if wanted:
            store.decisions.redo(chosen, "Ada")
        else:
            store.decisions.undo(chosen, "Ada")
        held[chosen] = wanted
        assert {decision.id for decision in store.decisions.active(study.id)} == {id for id in held if held[id]}


def test_unknown_study_in_the_table_is_refused_by_the_database(store: Store) -> None:
    row = {"id": "x", "study_id": "nowhere", "reader": "Ada", "at": START, "stored_at": START}
    with pytest.raises(DBAPIError), writing(store.engine) as connection:
        values = {**row, "target": BEAT, "field": "label", "payload": {}}
        connection.execute(insert(schema.decisions).values(**values))
