"""What a model found on a strip stands above it, and follows the keys in the same moment."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest
from playwright.sync_api import Browser, expect

from ecg_engine.prediction import STRIPS_FILE
from state.runs import PREDICT
from tests.browser.conftest import Server
from tests.browser.reading import PATIENCE, Reader
from tests.browser.strip_desk import Desk, prepared
from tests.pages.conftest import job_done

STRANGE = 0.9
"""A limit so high that some ordinary strips of this small study are unknown patterns."""
pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.fixture
def desk(server: Server, browser: Browser) -> Iterator[Desk]:
    store = Reader(None, server.url, server.folder).store()  # type: ignore[arg-type]
    prepared(server, profile="arrhythmia")
    study = store.studies.all()[0]
    job_done(store, study.id, "train", {"config": {"profile": "arrhythmia", "epochs": 4}})
    job_done(store, study.id, "predict", {"config": {"min_known_share": STRANGE}})
    store.close()
    desk = Desk(browser, server)
    yield desk
    desk.close()


def test_the_words_above_the_strip_are_those_of_the_strip_in_hand(desk: Desk) -> None:
    row = desk.store.runs.newest(desk.study, PREDICT)
    assert row is not None
    found = pd.read_csv(desk.store.runs.path(row) / STRIPS_FILE).set_index("source_row")
    words = desk.page.locator(".strip-words")
    numbers = found.index.tolist()
    desk.open_strip(numbers[0])
    for number in numbers[:6]:
        # The page's own answer to a key takes a second; these words come with the strip itself.
        first = str(found.loc[number, "findings"]).split("; ")[0]
        expect(words.locator(".first")).to_have_text(first, timeout=PATIENCE)
        assert desk.now().state["number"] == number
        strange = bool(found.loc[number, "known_share"] < STRANGE)
        assert ("Unknown pattern" in words.inner_text()) == strange
        desk.page.keyboard.press("j")
    assert (found["known_share"].iloc[:6] < STRANGE).nunique() == 2, "some of these strips are strange, some are not"
