"""Hands and eyes of the browser tests: find things by their key, wait until the app is at rest, ask the store."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from state.store import Store, open_store

AT_REST = '[data-testid="stApp"][data-test-script-state="notRunning"]'
PATIENCE = 90_000
"""Milliseconds that a slow machine may take for one step."""


@dataclass
class Reader:
    """A person in front of the app."""

    page: Page
    url: str
    folder: Path

    def store(self) -> Store:
        """The store behind the app, opened from outside."""
        return open_store(f"sqlite:///{self.folder / 'review.db'}", self.folder)

    def rest(self) -> None:
        """Wait until nothing runs any more."""
        # A click takes a moment to reach the server; only then does the app say that it runs.
        self.page.wait_for_timeout(250)
        self.page.wait_for_selector(AT_REST, timeout=PATIENCE)

    def open(self, name: str = "") -> None:
        """Open a page by its address."""
        self.page.goto(f"{self.url}/{name}")
        self.page.wait_for_selector('[data-testid="stSidebarNav"]', timeout=PATIENCE)
        self.rest()

    def go(self, title: str) -> None:
        """Change the page by the navigation."""
        self.page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True).click()
        self.see(title, role="heading")
        self.rest()

    def see(self, text: str | re.Pattern[str], *, role: str = "") -> Locator:
        """Wait until a text (or a heading, a button) is on the screen."""
        found = self.page.get_by_role(role, name=text) if role else self.page.get_by_text(text)  # type: ignore[arg-type]
        expect(found.first).to_be_visible(timeout=PATIENCE)
        return found.first

    def by_key(self, key: str, inside: str = "button") -> Locator:
        """The widget that has this key in the code."""
        return self.page.locator(f".st-key-{key} {inside}").first

    def click(self, key: str) -> None:
        """Click the button with this key."""
        self.by_key(key).click(timeout=PATIENCE)
        self.rest()

    def type_key(self, key: str) -> None:
        """Type one key where no field has the focus."""
        self.page.keyboard.press(key)
        self.rest()

    def choose_profile(self, name: str) -> None:
        """Choose a profile on the Upload page, by the name that stands there."""
        self.page.get_by_role("radiogroup", name="Profile").get_by_text(name, exact=True).click(timeout=PATIENCE)
        self.rest()

    def no_traceback(self) -> None:
        """Nothing on the screen looks like a failure of the program."""
        assert self.page.locator('[data-testid="stException"]').count() == 0
        assert "Traceback" not in self.page.inner_text("body")


def until(what: Callable[[], Any], why: str, seconds: float = PATIENCE / 1000) -> Any:
    """Ask again until the answer is true; fails with the reason when time is over."""
    end = time.monotonic() + seconds
    while True:
        answer = what()
        if answer:
            return answer
        assert time.monotonic() < end, why
        time.sleep(0.2)
