"""A study that is preprocessed, and a reader in front of it: hands and eyes for the strip reader."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pandas as pd
from playwright.sync_api import Browser, Locator, Page, expect

from ecg_engine.artifacts import load_run
from ecg_engine.preprocess import Run
from ecg_engine.simulate import simulate_strips
from state.anchors import BeatIndex, beat_index
from state.deciding import Decision
from state.effective import effective_labels
from state.runs import PREPROCESS
from state.store import Store
from state.strip_beats import strip_beats
from tests.browser.conftest import Server
from tests.browser.reading import PATIENCE, Reader, until
from tests.pages.conftest import job_done

_STATE = """el => {
  const { desk, paper } = el.reader;
  const strip = desk.strip();
  if (!strip) return null;
  const box = paper.canvas.getBoundingClientRect();
  const g = paper.geometry();
  return { place: desk.place, number: strip.number, hash: strip.hash, fs: strip.fs, at: desk.at(strip),
    beats: strip.beats,
    left: box.left, top: box.top, scale: box.width / paper.canvas.width, origin: g.origin,
    mm: g.mm, box: g.box, from: g.from, paper_top: g.top, paper_bottom: g.bottom, dpr: g.dpr, speed: g.speed };
}"""


@dataclass
class Shown:
    """The strip on the screen: its beats as they are drawn, and where a moment lies in the window."""

    state: dict[str, Any]

    @property
    def times(self) -> list[int]:
        return [int(beat["time"]) for beat in self.state["beats"]]

    @property
    def beat(self) -> dict[str, Any]:
        """The one in hand."""
        return self.state["beats"][self.state["at"]]  # type: ignore[no-any-return]

    def x(self, ms: float) -> float:
        """Where the paper's own rules put a moment: 10 mm for the calibration pulse, then so many mm a second."""
        mm = 10 + (ms / 1000 - self.state["from"]) * self.state["speed"]
        return float(self.state["left"] + mm * self.state["mm"] * self.state["scale"])

    def y(self, down: float) -> float:
        """So many CSS pixels below the paper's upper edge."""
        return float(self.state["top"] + self.state["paper_top"] * self.state["scale"] + down)


class Desk:
    """A person with a browser window of her own in front of a study."""

    def __init__(
        self, browser: Browser, server: Server, theme: str = "light", width: int = 1440, density: int = 1
    ) -> None:
        self.server, self.asked = server, set[str]()
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=theme,  # type: ignore[arg-type]
            device_scale_factor=density,
        )
        page = context.new_page()
        self.failures: list[str] = []
        page.on("pageerror", lambda error: self.failures.append(str(error)))
        page.on("request", lambda request: self._ask(request.url))
        page.on("websocket", lambda socket: self._ask(socket.url))
        self.reader = Reader(page, server.url, server.folder)
        self.store: Store = self.reader.store()

    def _ask(self, url: str) -> None:
        if not url.startswith(("data:", "blob:")):  # what the page made itself
            self.asked.add(urlsplit(url).netloc)

    @property
    def page(self) -> Page:
        return self.reader.page

    @cached_property
    def study(self) -> str:
        return self.store.studies.all()[0].id

    @cached_property
    def run(self) -> Run:
        row = self.store.runs.newest(self.study, PREPROCESS)
        assert row is not None
        return load_run(self.store.runs.path(row))

    @cached_property
    def index(self) -> BeatIndex:
        return beat_index(self.run)

    def open_strip(self, strip: int) -> None:
        """Open the page on a strip, and wait until it is drawn."""
        self.reader.open(f"strips?study={self.study}&strip={strip}")
        self.page.wait_for_function("document.title")
        until(lambda: self.shown(strip) is not None, f"strip {strip} was not drawn")
        self.reader.rest()

    @property
    def place(self) -> Locator:
        return self.page.locator(".reader")

    def shown(self, strip: int | None = None) -> Shown | None:
        """What is on the screen; None if there is no strip, or another than asked for."""
        if not self.place.count():
            return None
        state = self.place.evaluate(_STATE)
        return Shown(state) if state and strip in (None, state["number"]) else None

    def now(self) -> Shown:
        shown = self.shown()
        assert shown is not None, "no strip is on the screen"
        return shown

    def made(self, strip: int | None = None) -> list[Decision]:
        """Decisions that hold, on one strip or all."""
        active = self.store.decisions.active(self.study)
        if strip is None:
            return active
        assert self.run.strips is not None
        name = str(self.run.strips.strip_hash[self.run.strips.source_row.tolist().index(strip)])
        return [one for one in active if name in one.target]

    def beats(self, strip: int) -> pd.DataFrame:
        """The strip's beats as the store has them."""
        assert self.run.strips is not None
        place = self.run.strips.source_row.tolist().index(strip)
        return strip_beats(
            self.run, self.index, effective_labels(self.index, self.store.decisions.listing(self.study)), place
        )

    def kept(self, strip: int, count: int) -> list[Decision]:
        """Wait until so many decisions on a strip hold."""
        until(lambda: len(self.made(strip)) == count, f"{len(self.made(strip))} decisions hold, not {count}")
        return self.made(strip)

    def nothing_more(self, count: int) -> None:
        """After a rest there are as many decisions as before."""
        self.page.wait_for_timeout(900)
        self.reader.rest()
        assert len(self.made()) == count

    def at(self) -> tuple[str, str | None]:
        """Strip and beat of the address."""
        query = parse_qs(urlsplit(self.page.evaluate("location.href")).query)
        return query["strip"][0], query.get("beat", [None])[0]

    def says(self, words: str) -> None:
        """Wait until the reader's line says something."""
        expect(self.page.locator(".reader .said")).to_contain_text(words, timeout=PATIENCE)

    def close(self) -> None:
        self.page.screenshot(path=self.server.folder / "last.png")
        self.page.context.close()
        self.store.close()
        assert not self.failures, self.failures


def prepared(server: Server, profile: str = "reference") -> Server:
    """A study of simulated strips on the server's data, preprocessed in this process."""
    store = Reader(None, server.url, server.folder).store()  # type: ignore[arg-type]
    study = store.studies.create("Ward 3")
    table = simulate_strips(n_per_label={0: 8, 2: 6}, n_patients=4, seed=5).strips
    store.files.add(study.id, "ward 3.csv", table.to_csv(index=False).encode())
    job_done(store, study.id, PREPROCESS, {"pictures": False, "config": {"profile": profile}})
    store.close()
    return server
