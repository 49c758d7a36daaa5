"""Which keys are the page's: none that is typed into a widget, whatever kind it is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import free_port
from tests.browser.reading import PATIENCE, until
from tests.conftest import REPOSITORY

pytestmark = [pytest.mark.browser, pytest.mark.timeout(200)]


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "tests/browser/fields_page.py", "--server.port", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "ECG_REVIEW_DATA": str(tmp_path)}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2).close()
                break
            except OSError:
                time.sleep(0.2)
        context = browser.new_context(viewport={"width": 1200, "height": 1600})
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{port}")
        page.wait_for_function("globalThis.counted", timeout=PATIENCE)
        expect(page.get_by_test_id("stDataFrame")).to_have_count(2, timeout=PATIENCE)
        yield page
        page.screenshot(path=tmp_path / "last.png")
        context.close()
    finally:
        process.kill()
        process.wait()


def count(page: Page) -> int:
    return int(page.evaluate("counted.length"))


def test_keys_count_on_the_page_and_on_its_buttons_but_in_no_widget(page: Page) -> None:
    # On the page itself; Streamlit's own shortcut of the same key stays still.
    page.locator("h1").first.click()
    page.keyboard.type("vn")
    assert count(page) == 2
    for name in ("Plain", "Own"):
        page.get_by_role("button", name=name, exact=True).focus()
        before = count(page)
        page.keyboard.type("vn")
        assert count(page) == before + 2, name
    # A key held down counts once; one that moves goes on.
    before = count(page)
    for key, times in (("v", 1), ("ArrowRight", 3)):
        for _ in range(3):
            page.keyboard.down(key)
        page.keyboard.up(key)
        assert count(page) == before + times
        before = count(page)
    # With Ctrl or Alt it is the browser's.
    page.keyboard.press("Control+v")
    page.keyboard.press("Alt+n")
    assert count(page) == before

    # In none of the widgets, and the shortcut stays still there too.
    fields = {
        "text": page.get_by_label("Text"),
        "area": page.get_by_label("Area"),
        "number": page.get_by_label("Number"),
        "select": page.get_by_role("combobox", name="Select"),
        "several": page.get_by_role("combobox", name="Several"),
        "date": page.get_by_role("textbox", name="Select a date").or_(page.get_by_label("Date")).first,
        "slider": page.get_by_role("slider").first,
        "radio": page.get_by_text("two", exact=True).first,
        "own field": page.get_by_label("Own field"),
        "editor": page.get_by_test_id("stDataFrame").nth(0).locator("canvas").first,
        "table": page.get_by_test_id("stDataFrame").nth(1).locator("canvas").first,
    }
    for name, field in fields.items():
        if name in ("editor", "table"):
            field.click(position={"x": 80, "y": 50}, force=True)
        else:
            field.click(force=True)
        page.wait_for_timeout(150)
        page.keyboard.type("vn")
        page.keyboard.press("ArrowRight")
        assert count(page) == before, f"keys typed in {name} were counted"
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
    page.wait_for_timeout(500)
    expect(page.get_by_text("Shortcut pressed 0 times")).to_be_visible()
    expect(page.get_by_label("Text")).to_have_value("vn")

    # Not while a dialog is open, and again when it is closed.
    page.get_by_role("button", name="Open a dialog").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible(timeout=PATIENCE)
    page.keyboard.type("vn")
    assert count(page) == before
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden(timeout=PATIENCE)
    page.locator("h1").first.click()
    page.keyboard.type("v")
    until(lambda: count(page) == before + 1, "the page has its keys again")
    assert page.locator('[data-testid="stException"]').count() == 0
