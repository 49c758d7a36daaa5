"""A reader at the review queue in Chromium: what is on the screen, what she types, what the store has of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, expect

from components.keymap import LABEL_KEYS
from ecg_engine.labels import label_name
from ecg_engine.simulate import simulate_strips
from state import demo
from state.deciding import Decision
from state.store import Store, open_store
from tests.browser.conftest import Server, free_port
from tests.browser.reading import PATIENCE, until
from tests.pages.conftest import job_done

NAMES = {key: label_name(label) for label, key in LABEL_KEYS.items() if label >= 0}
"""Key to the name of its label."""


def make_study(folder: Path) -> str:
    """A study of simulated strips with a model that is sure of nothing, so that every beat is in the queue."""
    store = open_store(f"sqlite:///{folder / 'review.db'}", folder)
    store.studies.archive(store.studies.ensure(demo.KEY, demo.NAME)[0].id)
    study = store.studies.create("Ward 3")
    table = simulate_strips(n_per_label={0: 24, 1: 8, 2: 12}, n_patients=8, seed=5).strips
    store.files.add(study.id, "ward 3.csv", table.to_csv(index=False).encode())
    training = {"epochs": 2, "batch_size": 32, "min_proto_size": 10, "min_proto_purity": 0.5}
    for kind, params in (
        ("preprocess", {"pictures": False}),
        ("train", {"config": training}),
        ("predict", {"config": {"min_class_conf": 1.0}}),
    ):
        job_done(store, study.id, kind, params)
    store.close()
    return study.id


class Desk:
    """One reader in front of one browser window; windows of one context share what the browser keeps."""

    def __init__(self, server: Server, study: str, context: BrowserContext, reader: str) -> None:
        self.server, self.study, self.context, self.reader = server, study, context, reader
        self.page: Page = context.new_page()
        self.store: Store = open_store(f"sqlite:///{server.folder / 'review.db'}", server.folder)

    def open(self, **address: str) -> Desk:
        """Go to the queue and wait for its first item."""
        more = "".join(f"&{name}={value}" for name, value in address.items())
        self.page.goto(f"{self.server.url}/review?study={self.study}&reader={self.reader}{more}")
        return self.see_item()

    def see_item(self) -> Desk:
        """Wait until there is an item in hand, with its strip."""
        expect(self.page.locator(".queue:not(.nothing):not(.waiting)[data-item]")).to_be_visible(timeout=PATIENCE)
        return self

    def at(self) -> str:
        """Target of the item in hand; empty if there is none."""
        return str(self.page.locator(".queue").get_attribute("data-item"))

    def press(self, key: str) -> tuple[str, str]:
        """Type one key; returns the item that it was typed at, and the key."""
        item = self.at()
        self.page.keyboard.press(key)
        return item, key

    def type(self, keys: Sequence[str], pause_ms: int = 50) -> list[tuple[str, str]]:
        """Type keys at a hand's speed; what each stands for: (item, name of its label)."""
        typed = []
        for key in keys:
            item, _ = self.press(key)
            typed.append((item, NAMES[key]))
            self.page.wait_for_timeout(pause_ms)
        return typed

    def waiting(self) -> int:
        """Decisions that the server has not acknowledged."""
        return int(self.page.evaluate("globalThis.ecgChannel ? ecgChannel.waiting() : 0"))

    def all_kept(self) -> None:
        """Wait until nothing waits for the server."""
        until(lambda: self.waiting() == 0, "decisions still wait for the server")

    def stored(self) -> list[Decision]:
        """All that this reader has in the store, undos too, in the order in which it was made."""
        return self.store.decisions.listing(self.study, reader=self.reader)

    def labels(self) -> list[tuple[str, str | None]]:
        """Target and label of each label that is stored, in order."""
        return [(made.target, made.new) for made in self.stored() if made.field == "label"]

    def expect_stored(self, typed: Sequence[tuple[str, str]]) -> None:
        """What was typed is what is stored: once, and in order."""
        until(lambda: len(self.labels()) >= len(typed), f"only {len(self.labels())} of {len(typed)} are stored")
        self.page.wait_for_timeout(300)
        stored = self.labels()
        wrong = [number for number, (one, other) in enumerate(zip(stored, typed, strict=False)) if one != other]
        assert len(stored) == len(typed), f"{len(stored)} are stored of {len(typed)} that were typed"
        assert not wrong, f"from {wrong[0]} on: stored {stored[wrong[0] :][:3]}, typed {typed[wrong[0] :][:3]}"

    def close(self) -> None:
        """Close the store."""
        self.store.close()


def started(folder: Path) -> tuple[Server, str]:
    """A running app on a study that is ready to be reviewed."""
    study = make_study(folder)
    server = Server(folder, port=free_port())
    server.start()
    return server, study


def new_context(browser: Browser, theme: str = "light") -> BrowserContext:
    """A browser of its own, as another person or computer would have."""
    return browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=theme)  # type: ignore[arg-type]
