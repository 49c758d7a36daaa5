"""Leases: two tabs never have one item, whatever they do at the same time; a tab that died gives its items back."""

from __future__ import annotations

import random
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from state import schema
from state.channel.leases import FORGOTTEN, LEASE, Holder, Leases
from state.db import reading
from state.store import Store
from state.studies import Study
from state.targets import strip_target

KEYS = [strip_target(f"{number:08x}") for number in range(60)]
ADA, ADAS_OTHER, BEN = Holder("Ada", "t1"), Holder("Ada", "t2"), Holder("Ben", "t3")


class Clock:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.time = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def on(self, step: timedelta) -> None:
        self.time += step


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(store: Store, clock: Clock) -> Leases:
    return Leases(store.engine, clock=clock)


def test_each_tab_is_given_the_next_items_that_nobody_has(leases: Leases, study: Study) -> None:
    assert leases.take(study.id, ADA, KEYS, 10) == (KEYS[:10], [])
    assert leases.take(study.id, ADAS_OTHER, KEYS, 10) == (KEYS[10:20], [])
    assert leases.take(study.id, BEN, KEYS[::-1], 5) == (KEYS[:-6:-1], [])
    # More for the first tab, in the order that it asks for now.
    new, held = leases.take(study.id, ADA, KEYS[::-1], 3, have=KEYS[5:10])
    assert (new, held) == (KEYS[-6:-9:-1], KEYS[5:10])


def test_what_a_tab_no_longer_names_is_let_go_of(leases: Leases, study: Study) -> None:
    leases.take(study.id, ADA, KEYS, 10)
    assert leases.renew(study.id, ADA, KEYS[2:4]) == KEYS[2:4]
    assert leases.take(study.id, BEN, KEYS, 10)[0] == KEYS[:2] + KEYS[4:12]
    assert leases.renew(study.id, ADA, []) == []
    assert leases.take(study.id, ADAS_OTHER, KEYS, 2)[0] == KEYS[2:4]


def test_a_lease_runs_out_and_is_taken_over(leases: Leases, clock: Clock, study: Study) -> None:
    leases.take(study.id, ADA, KEYS, 3)
    clock.on(LEASE - timedelta(seconds=1))
    assert leases.take(study.id, BEN, KEYS, 1)[0] == [KEYS[3]]
    clock.on(timedelta(seconds=1))
    assert leases.take(study.id, BEN, KEYS, 1, have=[KEYS[3]]) == ([KEYS[0]], [KEYS[3]])
    # The first tab comes back: what another one has by now is lost to it, the rest is its own again.
    assert leases.renew(study.id, ADA, KEYS[:3]) == KEYS[1:3]


def test_a_tab_that_lives_keeps_its_items(leases: Leases, clock: Clock, study: Study) -> None:
    leases.take(study.id, ADA, KEYS, 3)
    for _ in range(10):
        clock.on(LEASE - timedelta(seconds=1))
        assert leases.renew(study.id, ADA, KEYS[:3]) == KEYS[:3]
        assert leases.held_by_others(study.id, BEN) == set(KEYS[:3])


def test_the_same_tab_of_another_reader_is_another_holder(leases: Leases, study: Study) -> None:
    leases.take(study.id, ADA, KEYS, 3)
    eve = Holder("Eve", ADA.tab)
    assert leases.renew(study.id, eve, KEYS[:3]) == []
    assert leases.take(study.id, eve, KEYS, 1)[0] == [KEYS[3]]
    assert leases.held_by_others(study.id, eve) == set(KEYS[:3])


def test_studies_do_not_meddle(store: Store, leases: Leases, study: Study) -> None:
    other = store.studies.create("Ward 4")
    assert leases.take(study.id, ADA, KEYS, 3) == leases.take(other.id, BEN, KEYS, 3)
    leases.renew(other.id, BEN, [])
    assert leases.held_by_others(study.id, BEN) == set(KEYS[:3])


def test_when_all_is_taken_nothing_is_given(leases: Leases, study: Study) -> None:
    assert leases.take(study.id, ADA, KEYS, 1000)[0] == KEYS
    assert leases.take(study.id, BEN, KEYS, 5) == ([], [])
    assert leases.take(study.id, BEN, [], 5) == ([], [])


def test_leases_long_run_out_are_swept_away(store: Store, leases: Leases, clock: Clock, study: Study) -> None:
    leases.take(study.id, ADA, KEYS, 40)
    clock.on(LEASE + FORGOTTEN + timedelta(seconds=1))
    leases.take(study.id, BEN, KEYS[::-1], 1)
    with reading(store.engine) as connection:
        assert connection.execute(select(func.count()).select_from(schema.leases)).scalar() == 1


def test_tabs_that_ask_at_the_same_moment_never_share_an_item(store: Store, study: Study) -> None:
    """Six tabs of three readers take, renew and let go at random; after each answer nobody else has what is theirs."""
    leases = Leases(store.engine)
    owner: dict[str, Holder] = {}
    lock = threading.Lock()
    shared: list[tuple[str, Holder, Holder]] = []
    given: Counter[Holder] = Counter()

    def own(holder: Holder, keys: list[str]) -> None:
        with lock:
            for key in keys:
                other = owner.setdefault(key, holder)
                if other != holder:
                    shared.append((key, holder, other))

    def tab(holder: Holder, seed: int) -> None:
        chance = random.Random(seed)
        have: list[str] = []
        for _ in range(25):
            # What is let go of is nobody's from now on, as far as this test knows: before the store is told.
            keep = [key for key in have if chance.random() < 0.6]
            with lock:
                for key in set(have) - set(keep):
                    del owner[key]
            wanted = chance.sample(KEYS, len(KEYS)) if chance.random() < 0.5 else KEYS
            new, held = leases.take(study.id, holder, wanted, chance.randint(0, 12), have=keep)
            assert held == keep, "nobody takes what is held"
            own(holder, new)
            given[holder] += len(new)
            have = held + new

    holders = [Holder(reader, f"{reader}{number}") for reader in ("Ada", "Ben", "Eve") for number in range(2)]
    threads = [threading.Thread(target=tab, args=(holder, seed)) for seed, holder in enumerate(holders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shared == []
    assert sum(given.values()) > 100 and len(given) == len(holders)
