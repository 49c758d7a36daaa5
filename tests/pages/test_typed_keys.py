"""Keys that the browser sends, some of them again: each is done once, in order."""

from __future__ import annotations

from typing import Any

import pytest
import streamlit as st

from components import typed_keys

NAMED = {"v": "v", "n": "n", "ArrowRight": "Right"}


class Browser:
    """What arrives from one or the other browser window, and what is done for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state: dict[str, Any] = {"keys": {}}
        self.done: list[str] = []
        monkeypatch.setattr(st, "session_state", self.state)

    def send(self, life: str, *keys: tuple[int, str]) -> list[str]:
        """Send the keys that wait in a window; returns all that was done so far."""
        self.state["keys"] = {"typed": {"life": life, "tries": 1, "keys": [list(key) for key in keys]}}
        typed_keys._answer("keys", NAMED, self.done.append)
        return self.done


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Browser:
    return Browser(monkeypatch)


def test_keys_are_done_in_order_by_the_names_that_buttons_have(browser: Browser) -> None:
    assert browser.send("a", (1, "v"), (2, "ArrowRight"), (3, "v")) == ["v", "Right", "v"]


def test_a_key_that_is_sent_again_is_done_once(browser: Browser) -> None:
    browser.send("a", (1, "v"))
    browser.send("a", (1, "v"), (2, "v"))
    assert browser.send("a", (2, "v"), (3, "n")) == ["v", "v", "n"]


def test_a_new_window_counts_from_one_again(browser: Browser) -> None:
    browser.send("a", (1, "v"), (2, "v"))
    assert browser.send("b", (1, "n")) == ["v", "v", "n"]


def test_what_is_no_key_of_the_page_is_passed_over(browser: Browser) -> None:
    assert browser.send("a", (1, "q"), (2, "v")) == ["v"]
    browser.state["keys"] = {"typed": "nonsense"}
    typed_keys._answer("keys", NAMED, browser.done.append)
    assert browser.done == ["v"]


def test_a_key_that_fails_is_not_tried_for_ever(browser: Browser) -> None:
    def fail(_key: str) -> None:
        raise RuntimeError("broken")

    browser.state["keys"] = {"typed": {"life": "a", "keys": [[1, "v"]]}}
    with pytest.raises(RuntimeError):
        typed_keys._answer("keys", NAMED, fail)
    assert browser.send("a", (1, "v"), (2, "n")) == ["n"]
