"""A group of look-alike beats in Chromium: one key labels all of it, one undo takes all back, a reload keeps it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from ecg_engine.artifacts import load_run
from ecg_engine.labels import label_id
from ecg_engine.simulate import simulate_strips
from state import demo
from state.anchors import BeatIndex, beat_index
from state.effective import Effective, effective_labels
from state.runs import PREPROCESS
from state.store import open_store
from state.targets import parse_target
from tests.browser.conftest import Server, free_port
from tests.browser.queue_desk import Desk, new_context
from tests.browser.reading import until
from tests.pages.conftest import job_done

pytestmark = [pytest.mark.browser, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """An app on a small study whose run knows groups; there is no model."""
    folder = tmp_path_factory.mktemp("groups")
    store = open_store(f"sqlite:///{folder / 'review.db'}", folder)
    store.studies.archive(store.studies.ensure(demo.KEY, demo.NAME)[0].id)
    study = store.studies.create("Ward 3")
    table = simulate_strips(n_per_label={0: 8, 2: 8}, n_patients=2, seed=5).strips
    store.files.add(study.id, "ward 3.csv", table.to_csv(index=False).encode())
    job_done(store, study.id, "preprocess", {"pictures": False, "config": {"profile": "arrhythmia"}})
    store.close()
    server = Server(folder, port=free_port())
    server.start()
    yield server, study.id
    server.kill()


@pytest.fixture
def desk(app: tuple[Server, str], browser: Browser) -> Iterator[Desk]:
    context = new_context(browser)
    desk = Desk(*app, context, "Dr Group")
    yield desk.open()
    if not desk.page.is_closed():
        desk.page.screenshot(path=app[0].folder / "last.png")
    desk.close()
    context.close()


def by_now(desk: Desk) -> tuple[BeatIndex, Effective]:
    """What holds for the beats of the run, as the store has it."""
    row = desk.store.runs.newest(desk.study, PREPROCESS)
    assert row is not None
    index = beat_index(load_run(desk.store.runs.path(row)), row.id)
    return index, effective_labels(index, desk.store.decisions.listing(desk.study))


def test_one_key_labels_a_group_and_one_undo_takes_it_back(desk: Desk) -> None:
    page = desk.page
    item = desk.at()
    target = parse_target(item)
    assert target.kind == "group", "what gains most by one key comes first"
    index, before = by_now(desk)
    rows = np.flatnonzero(index.groups == target.number)
    expect(page.locator(".whose")).to_contain_text(f"Label all {len(rows)}")
    expect(page.locator(".why")).to_contain_text(f"1 of {len(rows)} beats of patient")
    own = f"beat:{index.names[int(index.strip_of_beat[rows[0]])]}:{int(index.first_ms[rows[0]])}"

    title = page.locator(".sheet canvas").first.get_attribute("aria-label")
    desk.press("h")
    until(lambda: page.locator(".sheet canvas").first.get_attribute("aria-label") != title, "another of them is shown")
    assert desk.at() == item and desk.stored() == [], "looking at another one decides nothing"

    desk.press("v")
    assert desk.at() not in ("", item), "the next item is there at once"
    expect(page.locator(".said")).to_contain_text(f"{len(rows)} beats of patient")
    until(lambda: len(desk.stored()) == 1, "one key is one decision")
    (made,) = desk.stored()
    assert (made.target, made.field, made.new) == (item, "label", "PVC")
    assert sum(map(len, made.payload["members"].values())) == len(rows)
    assert made.payload["shown"].startswith("beat:")
    _, now = by_now(desk)
    assert set(now.labels[rows]) == {label_id("PVC")} and set(now.source[rows]) == {"group"}
    rest = np.setdiff1d(np.arange(len(index)), rows)
    assert np.array_equal(now.labels[rest], before.labels[rest])

    page.reload()
    desk.see_item()
    assert desk.at() != item, "a reload does not ask again"
    desk.press("j")
    desk.press("u")
    until(lambda: len(desk.stored()) == 2, "one undo")
    _, now = by_now(desk)
    assert np.array_equal(now.labels, before.labels) and set(now.source[rows]) == {"strip"}
    until(lambda: desk.at() == item, "what was undone is asked about again")
    desk.see_item()

    desk.press("x")
    until(lambda: len(desk.stored()) == 3, "noise, of all")
    _, now = by_now(desk)
    assert set(now.labels[rows]) == {-1}
    desk.press("u")
    until(lambda: desk.at() == item, "it is in hand again")
    # What was said of one beat by itself stands, whatever is said of the group afterwards.
    page.evaluate(f"ecgChannel.decide({{target: '{own}', field: 'label', new: 'PAC'}})")
    desk.press("v")
    until(lambda: len(desk.stored()) == 6, "the beat's word and the group's")
    _, now = by_now(desk)
    assert now.labels[rows[0]] == label_id("PAC") and set(now.labels[rows[1:]]) == {label_id("PVC")}
    page.goto(f"{desk.server.url}/history?study={desk.study}&reader={desk.reader}")
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    assert page.locator('[data-testid="stException"]').count() == 0
