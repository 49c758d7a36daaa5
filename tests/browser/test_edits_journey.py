"""A PVC that was flagged as noise, a missed R-peak, an undo, and preprocessing again: on real strips, in Chromium."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, expect

from ecg_engine.queue import REASON_TITLES
from state.runs import PREPROCESS
from state.targets import parse_target
from tests.browser.conftest import Server
from tests.browser.reading import PATIENCE, until
from tests.browser.strip_desk import Desk

pytestmark = [pytest.mark.browser, pytest.mark.real, pytest.mark.timeout(600)]

FS = 260.4


def true_beats(folder: Path, strip: int, classes: str = "NSVFQ") -> np.ndarray:
    """Moments in ms of a strip's true beats of some AAMI classes."""
    table = pd.read_csv(folder / "mitdb_ds1_small_beats.csv")
    table = table[(table["source_row"] == strip) & table["aami"].isin(list(classes))]
    return table["sample"].to_numpy() / FS * 1000


def nearest(times: np.ndarray, moment: float) -> float:
    """Distance in ms to the nearest of some moments."""
    return float(np.min(np.abs(np.asarray(times, dtype=float) - moment))) if len(times) else np.inf


def test_what_a_reader_corrects_outlives_new_settings(server: Server, browser: Browser, real_data: Path) -> None:
    desk = Desk(browser, server)
    reader, page, store = desk.reader, desk.page, desk.store

    # From the spreadsheet to the queue, with no model yet.
    reader.open()
    page.locator('input[type="file"]').first.set_input_files(real_data / "mitdb_ds1_small.xlsx")
    until(lambda: store.studies.all(), "no study was made for the file")
    reader.see("mitdb_ds1_small.xlsx")
    reader.rest()
    reader.choose_profile("Reference")
    reader.click("preprocess")
    first = until(lambda: store.runs.newest(desk.study, PREPROCESS), "the file was not preprocessed")
    reader.go("Review")
    queue = page.locator(".queue:not(.nothing):not(.waiting)[data-item]")
    expect(queue).to_be_visible(timeout=PATIENCE)
    reader.by_key("review_settings").click()
    page.get_by_role("button", name=re.compile(REASON_TITLES["ectopic"])).click()
    page.keyboard.press("Escape")
    reader.rest()

    # A beat that was flagged as noise and is a PVC: marked as valid, and labelled.
    def truly_v() -> bool:
        target = parse_target(str(queue.get_attribute("data-item")))
        if target.kind != "beat":
            return False
        assert desk.run.strips is not None
        hashes = [str(name) for name in desk.run.strips.strip_hash]
        strip = int(desk.run.strips.source_row[hashes.index(target.name)])
        return nearest(true_beats(real_data, strip, "V"), target.number) <= 75

    for _ in range(30):
        if truly_v():
            break
        page.keyboard.press("j")
        page.wait_for_timeout(150)
    assert truly_v(), "none of the first 30 is a PVC"
    item = str(queue.get_attribute("data-item"))
    page.keyboard.press("g")
    reader.see("Strips", role="heading")
    until(lambda: desk.shown() is not None, "the strip was not drawn")
    reader.rest()
    shown = desk.now()
    strip, anchor = int(shown.state["number"]), parse_target(item).number
    assert shown.beat["anchor"] == anchor and shown.beat["noise"] == 1
    noisy = sum(beat["noise"] for beat in shown.state["beats"])
    page.screenshot(path=server.folder / "1 flagged.png")
    page.keyboard.press("o")
    valid = desk.kept(strip, 1)[0]
    assert (valid.target, valid.field, valid.new) == (item, "noise", "0")
    assert sum(beat["noise"] for beat in desk.now().state["beats"]) == noisy - 1
    page.mouse.click(desk.now().x(anchor), desk.now().y(18))
    page.keyboard.press("v")
    labelled = desk.kept(strip, 2)[1]
    assert (labelled.target, labelled.field, labelled.new) == (item, "label", "PVC")

    # A true beat that the detector missed, on whichever strip has one well inside.
    def missed(number: int) -> list[float]:
        times = desk.beats(number)["time_ms"].to_numpy()
        return [t for t in true_beats(real_data, number) if 700 < t < 9200 and nearest(times, t) > 250]

    assert desk.run.strips is not None
    with_missed = next(number for number in desk.run.strips.source_row.tolist() if number != strip and missed(number))
    moment = missed(with_missed)[0]
    desk.open_strip(with_missed)
    before = desk.now().times
    page.mouse.click(desk.now().x(moment), desk.now().y(100))
    (added,) = desk.kept(with_missed, 1)
    time = parse_target(added.target).number
    assert (added.field, added.new) == ("peak", "added") and abs(time - moment) <= 60
    page.screenshot(path=server.folder / "2 added.png")

    # Another one by mistake: undone.
    widest = int(np.argmax(np.diff(desk.now().times)))
    page.mouse.click(desk.now().x(sum(desk.now().times[widest : widest + 2]) / 2), desk.now().y(100))
    desk.kept(with_missed, 2)
    page.keyboard.press("u")
    desk.kept(with_missed, 1)
    assert desk.now().times == sorted([*before, time]) == desk.beats(with_missed)["time_ms"].tolist()

    # The page says that features are of before, and History tells it all.
    reader.see(re.compile(r"preprocess", re.IGNORECASE))
    page.screenshot(path=server.folder / "3 out of date.png")
    reader.go("History")
    reader.see(re.compile("4 decisions"))
    reader.see(re.compile("1 undone"))
    assert len(store.decisions.listing(desk.study)) == 5
    page.screenshot(path=server.folder / "4 history.png")

    # Preprocessing again with another filter: everything is still in its place.
    reader.go("Upload")
    page.get_by_test_id("stMain").get_by_text("Files and settings", exact=True).first.click()
    reader.rest()
    high = page.get_by_role("spinbutton", name="Filter to (Hz)")
    high.fill("35")
    high.press("Enter")
    reader.rest()
    reader.click("preprocess")
    second = until(
        lambda: (run := store.runs.newest(desk.study, PREPROCESS)) and run.id != first.id and run,
        "the file was not preprocessed again",
    )
    assert second.config["high_hz"] == 35
    for name in ("run", "index"):
        desk.__dict__.pop(name, None)  # those of the new run
    there = desk.beats(strip)
    beat = there.iloc[int(np.argmin(np.abs(there["time_ms"] - anchor)))]
    assert abs(beat["time_ms"] - anchor) <= 75 and (beat["label"], beat["noise"], beat["source"]) == (2, 0, "beat")
    now = desk.beats(with_missed)
    peak = now.iloc[int(np.argmin(np.abs(now["time_ms"] - time)))]
    assert peak["time_ms"] == time and peak["row"] >= 0, "the added R-peak is a beat of the new run"
    desk.open_strip(strip)
    taken = next(beat for beat in desk.now().state["beats"] if abs(beat["time"] - anchor) <= 75)
    assert (taken["label"], taken["noise"]) == (2, 0)
    page.screenshot(path=server.folder / "5 again.png")
    reader.no_traceback()
    desk.close()
