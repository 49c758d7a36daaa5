"""The history in words: kept up to date piece by piece, it is what it would be if it were told anew."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from ecg_engine.labels import label_id
from state import schema
from state.db import writing
from state.deciding import Decision, decide
from state.history import DOINGS, History, HistoryFilter, filtered_history, page_of, step
from state.pace import DECISIONS, ITEMS, counts_by_doing, counts_per_hour, reader_totals
from state.plain import new_id
from state.store import Store
from state.targets import beat_target
from state.telling import HISTORY_COLUMNS, history_table

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
PVC = label_id("PVC")
STRIP = "ab" * 32


def said(study: str, k: int, *, by: str = "Ada", ms: int = 500, minutes: float = 1, **more: object) -> Decision:
    return decide(study, by, beat_target(STRIP, ms), "label", PVC, at=START + timedelta(minutes=minutes * k), **more)  # type: ignore[arg-type]


def undoing(one: Decision, k: int) -> Decision:
    at = START + timedelta(minutes=k)
    return Decision(new_id(), one.study_id, "Ben", at, one.target, one.field, one.old, one.new, undoes=one.id)


def same(history: History, store: Store, study: str) -> pd.DataFrame:
    """Check the kept history against one that is told anew."""
    told = history.told()
    anew = history_table(store.decisions.listing(study), None, None)
    pd.testing.assert_frame_equal(told.table[list(HISTORY_COLUMNS)], anew)
    assert told.version == store.decisions.version(study)
    return told.table


@pytest.mark.parametrize("seed", range(3))
def test_in_whatever_order_decisions_and_undos_come_it_is_as_if_told_anew(store: Store, seed: int) -> None:
    study = store.studies.create("Ward").id
    history = History(store.engine, study, None, None)
    rng = random.Random(seed)
    made = [said(study, k, ms=500 + 10 * k) for k in range(12)]
    made += [undoing(one, 20 + k) for k, one in enumerate(made[:6])]
    made += [undoing(one, 40 + k) for k, one in enumerate(made[12:15])]
    rng.shuffle(made)
    while made:
        part = [made.pop() for _ in range(min(len(made), rng.randint(1, 5)))]
        store.decisions.add(part)
        same(history, store, study)


def test_what_another_writer_stored_under_an_earlier_number_is_not_missed(store: Store) -> None:
    study = store.studies.create("Ward").id
    history = History(store.engine, study, None, None)
    store.readers.add("Ada")
    first, late, last = (said(study, k, ms=500 + k) for k in range(3))

    def stored(made: Decision, seq: int) -> None:
        """As if it had been given its number, and its commit had taken a while."""
        row = {**store.decisions._row(made), "stored_at": START, "seq": seq}
        with writing(store.engine) as connection:
            connection.execute(schema.decisions.insert(), row)

    stored(late, 1_000_000)
    stored(last, 999_999)
    same(history, store, study)
    stored(first, 999_990)
    assert len(same(history, store, study)) == 3


def test_nothing_new_is_the_same_table(store: Store) -> None:
    study = store.studies.create("Ward").id
    history = History(store.engine, study, None, None)
    assert len(same(history, store, study)) == 0
    store.decisions.add([said(study, 0)])
    table = same(history, store, study)
    assert history.told().table is table


def test_other_studies_do_not_get_in(store: Store) -> None:
    ours, theirs = (store.studies.create(name).id for name in ("Ward", "Other"))
    store.decisions.add([said(theirs, 0), said(ours, 1)])
    assert len(same(History(store.engine, ours, None, None), store, ours)) == 1


@pytest.fixture
def table(store: Store) -> pd.DataFrame:
    study = store.studies.create("Ward").id
    made = [said(study, k, by="Ada" if k < 6 else "Ben", ms=500 + 10 * (k % 4)) for k in range(10)]
    made += [decide(study, "Ben", beat_target(STRIP, 900), "peak", new, at=START + timedelta(hours=2, minutes=k))
             for k, new in enumerate(("added", 940, "deleted"))]  # fmt: skip
    store.decisions.add([*made, undoing(made[1], 15)])
    return History(store.engine, study, None, None).told().table


def test_filters(table: pd.DataFrame) -> None:
    def count(**wanted: object) -> int:
        return len(filtered_history(table, HistoryFilter(**wanted)))  # type: ignore[arg-type]

    assert count() == 13 and count(undos=True) == 14
    assert count(readers=["Ada"]) == 6 and count(state="Undone") == 1
    assert count(doings=["R-peak moved"]) == count(doings=["R-peak added"]) == 1
    assert count(since=START + timedelta(minutes=3), until=START + timedelta(minutes=5)) == 2
    assert count(strips=[3]) == 0, "their strip is in no run"
    assert set(table["doing"]) <= set(DOINGS)


def test_pages_go_through_all_once_and_keep_their_place(table: pd.DataFrame) -> None:
    seen: list[str] = []
    top: str | None = None
    for _ in range(4):
        page = page_of(table, top, 4)
        assert (page.newer, page.older) == (len(seen), len(table) - len(seen) - len(page.rows))
        seen += page.rows["id"].tolist()
        top = step(table, page, 4, True)
    assert seen == table["id"].tolist()
    page = page_of(table, seen[8], 4)
    assert step(table, page, 4, False) == seen[4]
    assert step(table, page_of(table, seen[4], 4), 4, False) is None, "the newest page follows what comes in"
    assert page_of(table.iloc[0:3], seen[8], 4).start == 0, "no longer among those shown"


def test_counts_by_hour_reader_and_kind(table: pd.DataFrame) -> None:
    hours = counts_per_hour(table)
    assert hours.loc[pd.Timestamp("2026-03-01 08:00")].to_dict() == {"Ada": 6, "Ben": 4}
    assert hours.loc[pd.Timestamp("2026-03-01 10:00"), "Ben"] == 3
    assert counts_per_hour(table, what=ITEMS).loc[pd.Timestamp("2026-03-01 10:00"), "Ben"] == 1
    assert counts_per_hour(table, "Asia/Kolkata").index[-1] == pd.Timestamp("2026-03-01 13:00"), "half an hour apart"
    assert int(hours.to_numpy().sum()) == 13, "undos are no decisions"
    done = counts_by_doing(table)
    assert done.loc["Label", "Ada"] == 6 and done.index[0] == "Label"


def test_the_pace_leaves_pauses_out(table: pd.DataFrame) -> None:
    totals = reader_totals(table).set_index("reader")
    ada = totals.loc["Ada"]
    assert (ada["decisions"], ada["of which undone"], ada["items"], ada["minutes"]) == (6, 1, 4, 5.0)
    assert ada["items an hour"] == pytest.approx(60 * 4 / 5)
    assert totals.loc["Ben", "minutes"] < 20, "two hours' pause are not work"
    assert totals.loc["Ben", "undos"] == 1


def test_counts_of_nothing() -> None:
    nothing = history_table([], None, None).assign(doing="")
    assert not len(counts_per_hour(nothing, what=DECISIONS)) and not len(reader_totals(nothing))
