"""Reading by keys: each key typed is one decision, on successive beats; keys typed into a field are none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from ecg_engine.labels import label_name
from state.targets import beat_target
from tests.browser.conftest import Server
from tests.browser.reading import until
from tests.browser.strip_desk import Desk, prepared

pytestmark = [pytest.mark.browser, pytest.mark.timeout(200)]

TYPED = "vnvsvv"
NAMES = {"v": label_name(2), "n": label_name(0), "s": label_name(1)}


@pytest.fixture
def desk(server: Server, browser: Browser) -> Iterator[Desk]:
    desk = Desk(browser, prepared(server))
    yield desk
    desk.close()


def test_keys_are_decisions_on_successive_beats_and_fields_keep_theirs(desk: Desk, browser: Browser) -> None:
    run = desk.run
    assert run.strips is not None
    counts = run.metadata["source_row"].value_counts()
    strip = int(counts.index[counts > len(TYPED)].min())
    beats = run.metadata[run.metadata["source_row"] == strip]
    place = int(np.flatnonzero(run.strips.source_row == strip)[0])
    name = str(run.strips.strip_hash[place])
    targets = [beat_target(name, round(time * 1000)) for time in beats["r_time_sec"]]
    desk.open_strip(strip)
    page, reader = desk.page, desk.reader

    # Typed quicker than a hand can: each is on the screen before the next.
    for count, key in enumerate(TYPED, 1):
        page.keyboard.press(key)
        assert desk.now().state["at"] == count, "the next beat is in hand at once"
        page.wait_for_timeout(30)
    until(lambda: len(desk.made()) >= len(TYPED), f"only {len(desk.made())} of {len(TYPED)} keys were kept")
    desk.nothing_more(len(TYPED))
    assert [made.new for made in desk.made()] == [NAMES[key] for key in TYPED]
    assert [made.target for made in desk.made()] == targets[: len(TYPED)], "beat after beat, none left out"
    until(lambda: desk.at()[1] == str(beats["beat_global_id"].iloc[len(TYPED)]), "the address is at the next beat")
    shown = [label_name(beat["label"]) for beat in desk.now().state["beats"]]
    assert shown[: len(TYPED)] == [NAMES[key] for key in TYPED]

    # Back two beats and one on; undo takes the last label away.
    for key in ("ArrowLeft", "ArrowLeft", "ArrowRight", "u"):
        page.keyboard.press(key)
    until(lambda: len(desk.made()) == len(TYPED) - 1, "the undo was not kept")
    until(lambda: desk.at()[1] == str(beats["beat_global_id"].iloc[len(TYPED) - 1]), "undo shows what it undid")
    kept = len(desk.made())

    # A letter that is held down is one decision.
    page.keyboard.down("v")
    page.keyboard.down("v")
    page.keyboard.down("v")
    page.keyboard.up("v")
    until(lambda: len(desk.made()) == kept + 1, "the key was not kept")
    kept += 1
    desk.nothing_more(kept)

    # The same label again is no second decision; a page left in mid-typing loses none.
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("v")
    desk.nothing_more(kept)
    page.keyboard.press("n")
    page.keyboard.press("j")
    page.keyboard.press("v")
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="History", exact=True).click()
    until(lambda: len(desk.made()) == kept + 2, "leaving the page lost a key")
    kept += 2
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Strips", exact=True).click()
    until(lambda: desk.shown() is not None, "the strip came back")
    assert desk.now().state["number"] != strip, "where the reader had gone on to, though Python was not told"
    page.keyboard.press("k")

    # Letters typed into a field are text.
    search = reader.by_key("strips_search", "input")
    search.click()
    page.keyboard.type("vnxu")
    expect(search).to_have_value("vnxu")
    desk.nothing_more(kept)
    search.fill("")
    reader.rest()
    page.locator('input[aria-label="Reader"]').first.click()
    page.keyboard.type("vx")
    desk.nothing_more(kept)
    page.keyboard.press("Escape")
    page.locator("h1").first.click()

    # The panel of keys; while it is open, a key is not a decision.
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys of this page")
    expect(sheet).to_be_visible()
    page.keyboard.press("v")
    desk.nothing_more(kept)
    page.keyboard.press("?")
    expect(sheet).to_be_hidden()

    # A reload comes back to the strip and the beat.
    page.keyboard.press("j")
    until(lambda: desk.at()[0] != str(strip), "j goes to the next strip")
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(1000)
    reader.rest()
    before = desk.at()
    page.reload()
    until(lambda: desk.shown(int(before[0])), "the strip came back")
    reader.rest()
    assert desk.at() == before
    reader.no_traceback()
    assert len(desk.made()) == kept

    # Dark as well, and nobody outside this computer was asked for anything.
    dark = Desk(browser, desk.server, "dark")
    dark.open_strip(strip)
    for one, backdrop in ((desk, "light"), (dark, "dark")):
        colour = one.page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
        levels = [int(part) for part in re.findall(r"\d+", colour)[:3]]
        assert (min(levels) > 200) == (backdrop == "light"), colour
        assert len(one.now().times) > 3
        one.reader.no_traceback()
    here = urlsplit(desk.server.url).netloc
    assert desk.asked | dark.asked == {here}
    dark.close()
