"""The review queue in Chromium: typed = stored, once, in order, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle, islice

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import func, select

from ecg_engine.artifacts import load_run
from ecg_engine.queue import REASON_TITLES
from state.deciding import decide
from state.runs import PREPROCESS
from state.schema import leases
from state.targets import strip_target
from tests.browser.conftest import Server
from tests.browser.queue_desk import Desk, new_context, started
from tests.browser.reading import PATIENCE, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(200)]

Opener = Callable[..., Desk]


@pytest.fixture(scope="module")
def app(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """One app for all tests here: each has a reader of its own, and the queue is long enough for all."""
    server, study = started(tmp_path_factory.mktemp("queue"))
    yield server, study
    server.kill()


@pytest.fixture
def desk_for(app: tuple[Server, str], browser: Browser) -> Iterator[Opener]:
    """Opens queues: the same ``context`` for windows of one browser."""
    contexts, desks = {}, []

    def open_it(reader: str, context: str = "") -> Desk:
        held = contexts.get(context or reader) or new_context(browser)
        contexts[context or reader] = held
        desks.append(Desk(*app, held, reader))
        return desks[-1].open()

    yield open_it
    for number, desk in enumerate(desks):
        if not desk.page.is_closed():
            desk.page.screenshot(path=app[0].folder / f"last {number}.png")
            desk.page.goto("about:blank")  # its items are let go of, for the next test
        desk.close()
    for held in contexts.values():
        held.close()


def keys(count: int, start: str = "nvsnpv") -> list[str]:
    return list(islice(cycle(start), count))


def test_sixty_keys_are_sixty_decisions_through_reruns(desk_for: Opener) -> None:
    desk = desk_for("Dr Quick")
    typed = desk.type(keys(30))
    # The hand rests for as long as the page waits before it is drawn anew, and goes on while it is.
    desk.page.wait_for_timeout(760)
    typed += desk.type(keys(10), 20)
    desk.page.keyboard.press("r")  # Streamlit's own key: it draws the page anew
    typed += desk.type(keys(20))
    desk.expect_stored(typed)
    assert len({item for item, _ in typed}) == 60, "each key went to an item of its own"
    moments = [made.at for made in desk.stored()]
    assert moments == sorted(moments) and len(set(moments)) == len(moments)
    expect(desk.page.locator(".counts")).to_contain_text("settled")
    expect(desk.page.locator(".wait")).to_contain_text("Every answer is kept")
    until(lambda: desk.page.evaluate("new URLSearchParams(location.search).get('item')") == desk.at(),
          "the address has the place")  # fmt: skip
    assert desk.page.locator('[data-testid="stException"]').count() == 0


def test_a_reload_loses_nothing_that_the_server_has_not_acknowledged(desk_for: Opener) -> None:
    desk = desk_for("Dr Reload")
    typed = desk.type(keys(5))
    desk.all_kept()
    # Nothing gets through, not even the last words of a page that goes.
    desk.page.evaluate("ecgChannel.flush = () => {}")
    desk.page.route("**/channel/decisions", lambda route: route.abort())
    typed += desk.type(keys(12))
    count = desk.waiting()
    assert count == 12, "one key, one decision"
    told = f"{count} decisions wait for the server; they are kept in this browser"
    expect(desk.page.locator(".wait")).to_contain_text(told)
    desk.page.reload()
    desk.see_item()
    until(lambda: desk.waiting() == count, "the outbox was not taken over")
    assert desk.at() not in {item for item, _ in typed}, "what waits is settled here"
    typed += desk.type(keys(20))
    assert len(desk.labels()) == 5
    assert len({item for item, _ in typed}) == len(typed), "none is asked twice"
    desk.page.unroute("**/channel/decisions")
    desk.expect_stored(typed)


def test_leaving_the_page_in_mid_typing_and_coming_back(desk_for: Opener) -> None:
    desk = desk_for("Dr Leaves")
    navigation = desk.page.get_by_test_id("stSidebarNav")
    typed = desk.type(keys(15), 20)
    navigation.get_by_role("link", name="History", exact=True).click()
    desk.page.keyboard.press("v")
    expect(desk.page.get_by_role("heading", name="History")).to_be_visible(timeout=PATIENCE)
    desk.page.keyboard.press("v")
    navigation.get_by_role("link", name="Review", exact=True).click()
    desk.see_item()
    # A letter typed while the queue was still on the screen went to it; one typed on History did not.
    desk.all_kept()
    typed += desk.labels()[len(typed) :]  # type: ignore[arg-type]
    assert len(typed) in (15, 16)
    assert desk.at() not in {item for item, _ in typed}
    typed += desk.type(keys(15), 20)
    desk.expect_stored(typed)


def test_a_reader_who_is_called_back_is_taken_on_her_way_once_more(desk_for: Opener) -> None:
    """As when a word of the page that she leaves reaches the server the moment after the click."""
    desk = desk_for("Dr Called Back")
    desk.page.get_by_test_id("stSidebarNav").get_by_role("link", name="History", exact=True).click()
    expect(desk.page.get_by_role("heading", name="History")).to_be_visible(timeout=PATIENCE)
    desk.page.evaluate("history.replaceState(null, '', '/review')")
    desk.page.wait_for_function("location.pathname === '/history'", timeout=PATIENCE)


def test_offline_a_closed_tab_and_a_new_one(desk_for: Opener) -> None:
    desk = desk_for("Dr Offline")
    desk.context.set_offline(True)
    typed = desk.type(keys(10))
    assert desk.waiting() >= 10 and desk.labels() == []
    desk.page.close()
    desk.context.set_offline(False)
    again = desk_for("Dr Offline")
    until(lambda: len(again.labels()) >= 10, "the new tab did not take over")
    typed += again.type(keys(4))
    again.expect_stored(typed)


def test_two_tabs_and_two_readers_never_get_the_same_item(desk_for: Opener) -> None:
    desks = [desk_for("Dr One", "one"), desk_for("Dr One", "one"), desk_for("Dr Two")]
    typed: list[list[tuple[str, str]]] = [[], [], []]
    for key in keys(15):
        for desk, said in zip(desks, typed, strict=True):
            desk.page.bring_to_front()
            said += desk.type([key], 15)
    items = [item for said in typed for item, _ in said]
    assert len(items) == len(set(items)) == 45
    for desk in desks:
        desk.all_kept()
    assert sorted(desks[0].labels()) == sorted(typed[0] + typed[1])
    desks[2].expect_stored(typed[2])


def test_each_answer_says_what_it_means_and_is_undone_step_by_step(desk_for: Opener) -> None:
    desk = desk_for("Dr Means")
    only_the_model(desk)
    items = [desk.press(key)[0] for key in "yxol"]
    desk.all_kept()
    made = desk.stored()
    assert [one.target for one in made] == items
    assert [(one.field, one.new) for one in made[1:]] == [("noise", "1"), ("noise", "0"), ("unsure", "1")]
    assert made[0].field == "refined" and made[0].reason.startswith("review of ")
    for item in reversed(items):
        desk.press("u")
        assert desk.at() == item, "undo goes back to the item"
    desk.all_kept()
    assert [one for one in desk.store.decisions.active(desk.study) if one.reader == desk.reader] == []

    # What a reader said herself is overruled by a label, not by a suggestion that was accepted.
    item = desk.press("p")[0]
    desk.press("k")
    assert desk.at() == item
    desk.press("y")
    desk.all_kept()
    assert [one.field for one in desk.stored()[-2:]] == ["label", "label"]

    # Skipping and going back decide nothing; a note and a seed leave the item in hand.
    before, here = len(desk.stored()), desk.at()
    desk.press("j")
    assert desk.at() != here
    desk.press("k")
    assert desk.at() == here
    desk.press(".")
    desk.page.keyboard.type("vnx u, late peak")
    desk.page.keyboard.press("Enter")
    desk.press("m")
    desk.all_kept()
    note, seed = desk.stored()[before:]
    assert (note.field, note.new, note.target) == ("note", "vnx u, late peak", here)
    assert seed.field == "seed" and seed.target == here == desk.at()


def test_all_alike_on_a_strip_are_one_step(desk_for: Opener) -> None:
    desk = desk_for("Dr Batch")
    only_the_model(desk)
    button = desk.page.get_by_role("button", name="alike on this strip")
    for _ in range(60):
        if button.is_enabled():
            break
        desk.press("j")
    count = int(button.inner_text().split()[1])
    item = desk.press("h")[0]
    desk.all_kept()
    made = desk.stored()
    assert len(made) == count > 1 and item in {one.target for one in made}
    assert len({one.payload["batch"] for one in made}) == 1
    assert len({(one.target.split(":")[1], one.new) for one in made}) == 1, "of one strip, with one suggestion"
    desk.press("u")
    desk.all_kept()
    assert [one for one in desk.store.decisions.active(desk.study) if one.reader == desk.reader] == []
    # After a reload, undo goes through what Python knows of.
    desk.press("v")
    desk.all_kept()
    desk.page.reload()
    desk.see_item()
    desk.press("u")
    desk.all_kept()
    assert [one for one in desk.store.decisions.active(desk.study) if one.reader == desk.reader] == []


def only_the_model(desk: Desk) -> None:
    """Leave out of the queue what is not the model's, so that every item is a beat with a suggestion."""
    desk.page.locator(".st-key-review_settings button").first.click()
    desk.page.get_by_role("button", name=REASON_TITLES["confidence"]).click()
    until(lambda: "filtered" in desk.page.locator(".st-key-review_settings").inner_text(), "the filter was not taken")
    desk.page.keyboard.press("Escape")
    desk.page.wait_for_timeout(300)
    desk.see_item()


def test_from_the_first_item_to_the_last_without_a_mouse(desk_for: Opener, app: tuple[Server, str]) -> None:
    """A second reader's list: strips that another reader was unsure of, whose label is not shown."""
    desk = desk_for("Dr Second")
    row = desk.store.runs.newest(desk.study, PREPROCESS)
    assert row is not None
    hashes = first_hashes(desk, 5)
    unsure = [
        decide(desk.study, "Dr First", strip_target(name), field, new)
        for name in hashes
        for field, new in (("label", "VFib"), ("unsure", "1"))
    ]
    desk.store.decisions.add(unsure)
    desk.page.reload()
    desk.see_item()
    only_reason(desk.page, "unsure")
    desk.see_item()
    done = []
    for _ in hashes:
        assert "VFib" not in desk.page.locator(".queue .now").inner_text()
        assert desk.page.locator(".queue").get_attribute("data-kind") == "strip"
        done += desk.type(["n"])
    expect(desk.page.locator(".queue .idle")).to_contain_text("Every item of this queue is settled", timeout=PATIENCE)
    desk.expect_stored(done)
    assert {item for item, _ in done} == {strip_target(name) for name in hashes}
    # Back, and the last one anew.
    desk.press("u")
    desk.see_item()
    assert desk.at() == done[-1][0]
    done[-1:] = desk.type(["v"])
    desk.all_kept()
    holds = {one.target: one.new for one in desk.store.decisions.active(desk.study) if one.reader == "Dr Second"}
    assert holds == dict(done)


def first_hashes(desk: Desk, count: int) -> list[str]:
    row = desk.store.runs.newest(desk.study, PREPROCESS)
    assert row is not None
    run = load_run(desk.store.runs.path(row))
    assert run.strips is not None
    return [str(name) for name in run.strips.strip_hash[:count]]


def only_reason(page: Page, reason: str) -> None:
    """Choose a reason with the keyboard alone."""
    page.locator(".st-key-review_settings button").first.focus()
    page.keyboard.press("Enter")
    pill = page.get_by_role("button", name=REASON_TITLES[reason])
    pill.focus()
    page.keyboard.press("Enter")
    until(lambda: "filtered" in page.locator(".st-key-review_settings").inner_text(), "the filter was not taken")
    page.keyboard.press("Escape")
    page.wait_for_timeout(300)


def test_what_others_settled_meanwhile_is_not_asked_again(desk_for: Opener) -> None:
    """A queue that is come back to, from another page or another filter, begins anew from the server."""
    desk, other = desk_for("Dr Back"), desk_for("Dr Meanwhile")
    desk.page.get_by_test_id("stSidebarNav").get_by_role("link", name="History", exact=True).click()
    expect(desk.page.get_by_role("heading", name="History")).to_be_visible(timeout=PATIENCE)
    until(lambda: not held(desk), "the items were not let go of")
    other.page.reload()
    other.see_item()
    settled = {item for item, _ in other.type(keys(10))}
    other.all_kept()
    desk.page.get_by_test_id("stSidebarNav").get_by_role("link", name="Review", exact=True).click()
    desk.see_item()
    mine = desk.type(keys(12))
    assert not settled & {item for item, _ in mine}
    desk.expect_stored(mine)
    # Under a filter, items of the same queue are settled; without it, they do not come back.
    only_the_model(desk)
    mine += desk.type(keys(5))
    desk.page.locator(".st-key-review_settings button").first.click()
    desk.page.get_by_role("button", name=REASON_TITLES["confidence"]).click()
    until(lambda: "filtered" not in desk.page.locator(".st-key-review_settings").inner_text(), "the filter stays")
    desk.page.keyboard.press("Escape")
    desk.page.wait_for_timeout(300)
    desk.see_item()
    mine += desk.type(keys(12))
    assert len({item for item, _ in mine}) == len(mine)
    desk.expect_stored(mine)


def held(desk: Desk) -> int:
    with desk.store.engine.connect() as connection:
        count = select(func.count()).select_from(leases).where(leases.c.reader == desk.reader)
        return int(connection.execute(count).scalar_one())
