"""What is kept in memory: made once, never out of date, and never more than a few."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from state import kept, opened
from state.deciding import decide
from state.kept import Kept
from state.store import Store
from state.studies import Study
from state.targets import beat_target

BEAT = beat_target("ab" * 32, 100)


def test_threads_that_ask_for_one_thing_have_it_made_once() -> None:
    things: Kept[object] = Kept(2)
    made: list[int] = []
    start = threading.Barrier(8)

    def make() -> object:
        made.append(1)
        time.sleep(0.02)
        return object()

    def ask() -> object:
        start.wait(10)
        return things.get("a", make)

    with ThreadPoolExecutor(8) as pool:
        found = {id(one.result()) for one in [pool.submit(ask) for _ in range(8)]}
    assert len(found) == 1 and made == [1]


def test_the_newest_few_are_kept_and_what_fails_is_not() -> None:
    things: Kept[str] = Kept(2)
    made: list[str] = []

    def make(name: str) -> str:
        made.append(name)
        return name

    for name in "abacab":  # "b" went when "c" came
        assert things.get(name, lambda name=name: make(name)) == name  # type: ignore[misc]
    assert made == ["a", "b", "c", "b"]
    with pytest.raises(ZeroDivisionError):
        things.get("x", lambda: str(1 / 0))
    assert things.get("x", lambda: "x") == "x"


def test_decisions_that_hold_are_brought_up_to_date_and_equal_the_stores(store: Store, study: Study) -> None:
    other = store.studies.create("Ward 4")
    made = []

    def now_kept() -> list[object]:
        return list(kept.active_of(store, study.id, store.decisions.version(study.id)))

    assert now_kept() == []
    for number in range(6):
        made += store.decisions.add([decide(study.id, "Ada", BEAT, "note", f"{number}{part}") for part in "ab"]).stored
        store.decisions.add([decide(other.id, "Ben", BEAT, "note", "elsewhere")])
        assert now_kept() == store.decisions.active(study.id)
        if number % 2:
            undo = store.decisions.undo(made[number], "Ada")
            assert now_kept() == store.decisions.active(study.id)
            store.decisions.undo(undo.id, "Ben")
    assert now_kept() == store.decisions.active(study.id)
    # Who asks with a version of before is given that, or newer.
    assert list(kept.active_of(store, study.id, 1)) == store.decisions.active(study.id)


def test_what_is_newer_than_a_version(store: Store, study: Study) -> None:
    assert store.decisions.newer(study.id, 0) == ([], 0)
    first = decide(study.id, "Ada", BEAT, "note", "1")
    store.decisions.add([first])
    version = store.decisions.version(study.id)
    assert store.decisions.newer(study.id, 0) == ([first], version)
    # In the order of storing, not of deciding.
    late = [decide(study.id, "Ada", BEAT, "note", text, id=id) for text, id in (("2", "b"), ("3", "a"))]
    store.decisions.add(late)
    found, newest = store.decisions.newer(study.id, version)
    assert {one.id for one in found} == {"a", "b"} and newest == store.decisions.version(study.id)
    assert store.decisions.newer(study.id, newest) == ([], newest)


def test_the_store_is_opened_once_and_anew_for_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setattr(opened, "ensure_demo", lambda store: None)
    count: list[Store] = []
    open_store = opened.open_store

    def counted() -> Store:
        count.append(open_store())
        return count[-1]

    monkeypatch.setattr(opened, "open_store", counted)
    for number in range(2):
        monkeypatch.setenv("ECG_REVIEW_DATA", str(tmp_path / str(number)))
        with ThreadPoolExecutor(6) as pool:
            found = {id(one.result()) for one in [pool.submit(opened.opened_store) for _ in range(12)]}
        assert len(found) == 1 and len(count) == number + 1
        assert count[-1].folder == tmp_path / str(number)
    for store in count:
        store.close()
