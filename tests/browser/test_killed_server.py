"""The server dies by signal 9 while a reader types: what she typed is stored once, in order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Server
from tests.browser.queue_desk import Desk, new_context, started
from tests.browser.reading import PATIENCE

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def app(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    server, study = started(tmp_path_factory.mktemp("killed"))
    yield server, study
    server.kill()


def test_three_deaths_while_two_readers_type(app: tuple[Server, str], browser: Browser) -> None:
    server, study = app
    contexts = [new_context(browser), new_context(browser, "dark")]
    desks = [Desk(server, study, held, name) for held, name in zip(contexts, ("Dr One", "Dr Two"), strict=True)]
    for desk in desks:
        desk.open()
    typed: list[list[tuple[str, str]]] = [[], []]
    letters = cycle("nvsnpv")

    def type_on(count: int) -> None:
        for key in islice(letters, count):
            for desk, said in zip(desks, typed, strict=True):
                said += desk.type([key], 25)

    for _ in range(3):
        type_on(4)
        server.kill()
        type_on(6)  # nobody hears these yet
        assert all(desk.waiting() > 0 for desk in desks)
        server.start()
        type_on(4)
    for desk, said in zip(desks, typed, strict=True):
        desk.all_kept()
        desk.expect_stored(said)
        expect(desk.page.locator(".wait")).to_contain_text("Every answer is kept", timeout=PATIENCE)
    items = [item for said in typed for item, _ in said]
    assert len(items) == len(set(items)) == 2 * 3 * 14
    for desk in desks:
        desk.page.screenshot(path=server.folder / f"{desk.reader}.png")
        assert desk.page.locator('[data-testid="stException"]').count() == 0
        desk.close()
    for held in contexts:
        held.close()


def test_a_key_between_the_last_answer_and_the_death_is_kept_through_a_closed_window(
    app: tuple[Server, str], browser: Browser
) -> None:
    server, study = app
    held = new_context(browser)
    desk = Desk(server, study, held, "Dr Dark")
    desk.open()
    typed = desk.type(list("vns"))
    desk.all_kept()
    server.kill()
    typed += desk.type(list("nvv"))
    desk.page.close()  # the light goes out: no server, no window
    desk.close()
    server.start()
    again = Desk(server, study, held, "Dr Dark")
    again.open()
    again.all_kept()
    again.expect_stored(typed)
    again.close()
    held.close()
