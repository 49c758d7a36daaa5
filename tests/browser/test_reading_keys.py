"""Reading by keys: each key typed is one decision, on successive beats; keys typed into a field are none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from ecg_engine.artifacts import load_run
from ecg_engine.labels import label_name
from ecg_engine.simulate import simulate_strips
from state.deciding import Decision
from state.runs import PREPROCESS
from state.store import Store
from state.targets import beat_target
from tests.browser.conftest import Server
from tests.browser.reading import PATIENCE, Reader, until
from tests.pages.conftest import job_done

pytestmark = [pytest.mark.browser, pytest.mark.timeout(200)]

TYPED = "vnvsvv"
NAMES = {"v": label_name(2), "n": label_name(0), "s": label_name(1)}


class Desk:
    """A study that is preprocessed, and a reader in front of it who notes where the browser turns to."""

    def __init__(self, browser: Browser, server: Server, theme: str) -> None:
        self.server, self.asked = server, set[str]()
        context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=theme)  # type: ignore[arg-type]
        page = context.new_page()
        page.on("request", lambda request: self.ask(request.url))
        page.on("websocket", lambda socket: self.ask(socket.url))
        self.reader = Reader(page, server.url, server.folder)
        self.store: Store = self.reader.store()

    @property
    def page(self) -> Page:
        return self.reader.page

    def ask(self, url: str) -> None:
        if not url.startswith(("data:", "blob:")):  # what the page made itself
            self.asked.add(urlsplit(url).netloc)

    def made(self) -> list[Decision]:
        return self.store.decisions.active(self.store.studies.all()[0].id)

    def open_strip(self, strip: int) -> None:
        study = self.store.studies.all()[0].id
        self.reader.open(f"strips?study={study}&strip={strip}")
        expect(self.markers.first).to_be_visible(timeout=PATIENCE)
        expect(self.reader.by_key("strips_label_0")).to_be_enabled(timeout=PATIENCE)
        self.reader.rest()

    @property
    def markers(self) -> Locator:
        return self.page.locator(".st-key-strips_paper .scatterlayer text")

    def at(self) -> tuple[str, str]:
        """Strip and beat of the address."""
        query = parse_qs(urlsplit(self.page.evaluate("location.href")).query)
        return query["strip"][0], query["beat"][0]

    def nothing_more(self, count: int) -> None:
        """After a rest there are as many decisions as before."""
        self.reader.rest()
        assert len(self.made()) == count


def prepared(server: Server) -> Server:
    """A study of simulated strips on the server's data, preprocessed in this process."""
    reader_store = Reader(None, server.url, server.folder).store()  # type: ignore[arg-type]
    study = reader_store.studies.create("Ward 3")
    table = simulate_strips(n_per_label={0: 8, 2: 6}, n_patients=4, seed=5).strips
    reader_store.files.add(study.id, "ward 3.csv", table.to_csv(index=False).encode())
    job_done(reader_store, study.id, "preprocess", {"pictures": False})
    reader_store.close()
    return server


@pytest.fixture
def desk(server: Server, browser: Browser) -> Iterator[Desk]:
    desk = Desk(browser, prepared(server), "light")
    yield desk
    desk.page.screenshot(path=server.folder / "last.png")
    desk.page.context.close()
    desk.store.close()


def test_keys_are_decisions_on_successive_beats_and_fields_keep_theirs(desk: Desk, browser: Browser) -> None:
    row = desk.store.runs.newest(desk.store.studies.all()[0].id, PREPROCESS)
    assert row is not None
    run = load_run(desk.store.runs.path(row))
    assert run.strips is not None
    counts = run.metadata["source_row"].value_counts()
    strip = int(counts.index[counts > len(TYPED)].min())
    beats = run.metadata[run.metadata["source_row"] == strip]
    place = int(np.flatnonzero(run.strips.source_row == strip)[0])
    name = str(run.strips.strip_hash[place])
    targets = [beat_target(name, round(time * 1000)) for time in beats["r_time_sec"]]
    desk.open_strip(strip)
    page, reader = desk.page, desk.reader

    # Typed as quickly as a hand can, while the page is still at work on the keys before.
    for key in TYPED:
        page.keyboard.press(key)
        page.wait_for_timeout(60)
    until(lambda: len(desk.made()) >= len(TYPED), f"only {len(desk.made())} of {len(TYPED)} keys were kept")
    desk.nothing_more(len(TYPED))
    assert [made.new for made in desk.made()] == [NAMES[key] for key in TYPED]
    assert [made.target for made in desk.made()] == targets[: len(TYPED)], "beat after beat, none left out"
    until(lambda: desk.at()[1] == str(beats["beat_global_id"].iloc[len(TYPED)]), "the focus is on the next beat")
    letters = desk.markers.all_text_contents()
    assert [one for one in letters if one in "NSV"][: len(TYPED)] == list("VNVSVV"), letters

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
    reader.rest()
    before = desk.at()
    page.reload()
    reader.see(re.compile(rf"^Strip {before[0]} ·"))
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
        expect(one.markers.first).to_be_visible()
        one.reader.no_traceback()
    here = urlsplit(desk.server.url).netloc
    assert desk.asked | dark.asked == {here}
    dark.page.context.close()
    dark.store.close()
