"""The strip reader by hand: R-peaks taken, added, moved and deleted, calipers, paper true to the pixel."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, Route, expect

from ecg_engine.figures import nearest_prototypes
from ecg_engine.figures.paper import INKS
from tests.browser.conftest import Server
from tests.browser.conftest import server as _server
from tests.browser.reading import until
from tests.browser.strip_desk import Desk, Shown, prepared

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server with one study for all tests here: each works on a strip of its own."""
    begun = _server.__wrapped__(tmp_path_factory.mktemp("ward"))  # type: ignore[attr-defined]
    yield prepared(next(begun))
    next(begun, None)


@pytest.fixture
def desk(ward: Server, browser: Browser) -> Iterator[Desk]:
    desk = Desk(browser, ward)
    yield desk
    desk.close()


def strips(desk: Desk) -> list[int]:
    """Numbers of strips with at least six beats, far enough apart to click between them."""
    counts = desk.run.metadata["source_row"].value_counts()
    return sorted(int(one) for one in counts.index[counts >= 6])


def gap(shown: Shown) -> tuple[int, float]:
    """Place of the beat before the widest interval, and a moment in it that no beat is near to."""
    times = np.array(shown.times)
    wide = int(np.argmax(np.diff(times)))
    return wide, float(times[wide] + 0.45 * (times[wide + 1] - times[wide]))


def test_peaks_by_hand_and_each_step_undone(desk: Desk) -> None:
    strip = strips(desk)[0]
    before = desk.beats(strip)
    desk.open_strip(strip)
    page, shown = desk.page, desk.now()
    assert shown.times == before["time_ms"].tolist()

    # A click near an R-peak takes it, and decides nothing.
    page.mouse.click(shown.x(shown.times[3] + 60), shown.y(100))
    assert desk.now().state["at"] == 3
    until(lambda: desk.at()[1] == str(before["beat_id"][3]), "the address names the beat in hand")
    assert desk.made() == []

    # A click elsewhere adds one, at the local extremum within 40 ms.
    wide, moment = gap(shown)
    page.mouse.click(shown.x(moment), shown.y(100))
    (added,) = desk.kept(strip, 1)
    assert (added.field, added.new) == ("peak", "added")
    time = int(added.target.rsplit(":", 1)[1])
    assert abs(time - moment) <= 45
    desk.says("R-peak added")
    assert desk.now().beat["time"] == time and desk.now().beat["peak"] == "added"
    assert sorted([*shown.times, time]) == desk.now().times == desk.beats(strip)["time_ms"].tolist()

    # A drag of its marker moves it; with Alt it stays where it is dropped.
    now = desk.now()
    page.mouse.move(now.x(time), now.y(18))
    page.mouse.down()
    page.keyboard.down("Alt")
    page.mouse.move(now.x(time + 30), now.y(20), steps=4)
    page.mouse.move(now.x(time + 80), now.y(20), steps=4)
    page.mouse.up()
    page.keyboard.up("Alt")
    moved = desk.kept(strip, 2)[1]
    assert moved.target == added.target, "a moved beat keeps the name that its other decisions have"
    assert abs(int(moved.new or 0) - (time + 80)) <= 1000 / now.state["mm"] / now.state["speed"] + 4
    assert desk.beats(strip)["time_ms"].tolist() == desk.now().times

    # Delete deletes it; the neighbours' RR is that of before.
    page.keyboard.press("Delete")
    desk.kept(strip, 3)
    assert desk.now().times == shown.times
    assert desk.beats(strip)["rr_next"].tolist() == before["rr_next"].tolist()

    # Undo, step by step.
    for held in ([*shown.times, int(moved.new or 0)], [*shown.times, time], shown.times):
        page.keyboard.press("u")
        assert desk.now().times == sorted(held)
        until(lambda held=held: desk.beats(strip)["time_ms"].tolist() == sorted(held), "the undo was not kept")
    assert desk.made(strip) == []

    # A computed one is moved by samples: one decision for steps in a row. Deleted and brought back, it is the same.
    page.mouse.click(shown.x(shown.times[2]), shown.y(18))
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    (nudged,) = desk.kept(strip, 1)
    assert int(nudged.new or 0) == round(
        (round(shown.times[2] * shown.state["fs"] / 1000) + 3) / shown.state["fs"] * 1000
    )
    page.keyboard.press("Delete")
    desk.kept(strip, 2)
    page.keyboard.press("u")
    page.keyboard.press("u")
    desk.kept(strip, 0)
    assert desk.now().times == shown.times
    assert desk.beats(strip).drop(columns="anchor_ms").equals(before.drop(columns="anchor_ms"))

    # Insert adds between the beat in hand and the next, at the tallest point.
    page.mouse.click(shown.x(shown.times[wide]), shown.y(18))
    page.keyboard.press("Insert")
    desk.kept(strip, 1)
    assert shown.times[wide] < desk.now().beat["time"] < shown.times[wide + 1]
    expect(page.get_by_text(re.compile("R-peaks changed on 1 strip"))).to_be_visible(timeout=20_000)
    page.keyboard.press("u")
    desk.kept(strip, 0)


def test_calipers_measure_what_lies_between(desk: Desk) -> None:
    strip = strips(desk)[1]
    desk.open_strip(strip)
    page, shown = desk.page, desk.now()
    pixel = 1000 / shown.state["mm"] / shown.state["speed"]
    one, other = shown.times[1], shown.times[2]
    page.mouse.move(shown.x(one), shown.y(110))
    page.mouse.down()
    page.mouse.move(shown.x(other), shown.y(140), steps=6)
    page.mouse.up()
    words = desk.page.locator(".reader .said").inner_text()
    found = re.search(r"(\d+) ms · (\d+)/min · ([+−][\d.]+) mV", words)
    assert found, words
    assert abs(int(found[1]) - (other - one)) <= 2 * pixel
    assert abs(int(found[2]) - 60_000 / (other - one)) <= 2
    height = float(found[3].replace("−", "-"))
    assert height == pytest.approx(-30 / shown.state["mm"] / 10, abs=2 / shown.state["mm"] / 10)
    assert desk.made(strip) == [], "to measure is not to decide"
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("g")
    desk.says(f"{shown.times[2] - shown.times[1]} ms")


def picture(desk: Desk) -> tuple[np.ndarray, int]:
    """The paper as it is drawn: int (rows, columns, 3), and its width in pixels."""
    found = desk.place.evaluate(
        """el => { const { canvas } = el.reader.paper;
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          let text = "";
          for (let at = 0; at < data.length; at += 8192) text += String.fromCharCode(...data.subarray(at, at + 8192));
          return { width: canvas.width, data: btoa(text) }; }"""
    )
    pixels = np.frombuffer(base64.b64decode(found["data"]), dtype=np.uint8)
    return pixels.reshape(-1, found["width"], 4)[..., :3].astype(int), int(found["width"])


def lines(away: np.ndarray) -> list[int]:
    """Where the large lines begin: they stand out from the paper twice as much as the small ones."""
    dark = np.flatnonzero(away >= 0.75 * np.sort(away)[-5:].mean())
    return dark[np.flatnonzero(np.diff(dark, prepend=-9) > 1)].tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(("theme", "width", "density"), [("light", 1440, 1), ("dark", 1280, 2), ("light", 1024, 1)])
def test_the_paper_is_true_to_the_pixel(ward: Server, browser: Browser, theme: str, width: int, density: int) -> None:
    desk = Desk(browser, ward, theme, width, density)
    strip = strips(desk)[2]
    desk.open_strip(strip)
    shown = desk.now()
    state = shown.state
    draw = (
        "(el, beats) => { const strip = el.reader.desk.strip();"
        " el.reader.paper.draw(beats ? strip : { ...strip, beats: [] }, el.reader.view(strip, -1)); }"
    )
    desk.place.evaluate(draw, True)
    image, width_px = picture(desk)
    desk.place.evaluate(draw, False)
    bare, _ = picture(desk)
    css = desk.place.evaluate("el => el.reader.paper.canvas.getBoundingClientRect().width")
    assert width_px == pytest.approx(css * density, abs=0.01), "one pixel of the canvas is one of the screen"

    # Large boxes: lines at whole multiples of one whole number of pixels, the same in both directions.
    top, bottom, box = state["paper_top"], state["paper_bottom"], state["box"]
    assert box == int(box)
    ink = np.array([int(INKS[theme].paper[at : at + 2], 16) for at in (1, 3, 5)])
    right = width_px - 1 - (width_px - 1) % box
    away = np.abs(bare[top : bottom + 1, right - box // 10] - ink).sum(axis=1)  # beyond the strip's end: grid alone
    assert lines(away) == list(range(0, bottom - top + 1, box))
    away = np.abs(bare[top + density, : right + 1] - ink).sum(axis=1)  # above the markers
    assert lines(away) == list(range(0, right + 1, box))
    assert state["origin"] == 2 * box, "the strip begins on a large line"

    # The tick under each marker stands at its beat's time, within a pixel.
    row = top + 31 * density
    marked = np.abs(image[row] - bare[row]).sum(axis=1)
    for beat in state["beats"]:
        expected = (10 + beat["time"] / 1000 * 25) * box / 5
        near = slice(round(expected) - 4 * density, round(expected) + 4 * density + 1)
        found = near.start + np.flatnonzero(marked[near] >= 0.6 * marked[near].max())
        assert abs(found.mean() + 0.5 - expected) <= 1.0, (beat["time"], found, expected)

    # Printed in light, whatever the page is in.
    corner = """el => { const { canvas, geometry } = el.reader.paper;
      return [...canvas.getContext("2d").getImageData(2, geometry().top + 2, 1, 1).data]; }"""
    desk.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert min(desk.place.evaluate(corner)[:3]) > 150
    desk.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert (min(desk.place.evaluate(corner)[:3]) > 150) == (theme == "light")
    if (
        density == 1
    ):  # a trace that is drawn in less than a frame's time leaves room for all else; here: it is drawn at all
        assert desk.page.locator(".tachogram canvas").count() == 1
    desk.close()


def test_a_trace_that_leaves_the_paper_is_cut_and_said(desk: Desk) -> None:
    strip = strips(desk)[2]
    desk.open_strip(strip)
    cut = "el => el.reader.paper.geometry().cut"
    assert desk.place.evaluate(cut) is False
    box = desk.now().state["box"]
    desk.page.locator('.reader button[aria-label="mm/mV 20"]').click()
    desk.place.evaluate("el => el.reader.data.paper.span_mv = 0.1")
    desk.place.evaluate("el => el.reader.draw()")
    assert desk.place.evaluate(cut) is True
    assert desk.now().state["box"] == box, "nothing is rescaled"
    desk.page.locator('.reader button[aria-label="mm/s 50"]').click()
    desk.page.reload()
    until(lambda: desk.shown(strip), "the strip came back")
    assert desk.now().state["speed"] == 50, "how it is printed is kept"
    page = desk.page
    page.keyboard.press("End")
    shown = desk.now()
    assert shown.x(shown.times[-1]) < 1440 - 40, "the beat in hand is in view"
    assert desk.now().state["from"] > 0


def test_the_overlay_compares_as_the_engine_does(desk: Desk) -> None:
    strip = strips(desk)[3]
    desk.open_strip(strip)
    rows = np.flatnonzero(desk.run.metadata["source_row"].to_numpy() == strip)
    row = int(rows[1])
    desk.page.keyboard.press("ArrowRight")
    beat = np.asarray(desk.run.beats[row])
    near = nearest_prototypes(beat, desk.run.prototype_waves, 1)[0]
    legend = desk.page.locator(".beat-panel .legend")
    expect(legend).to_contain_text(f"prototype {near.prototype_id},", timeout=20_000)
    words = legend.inner_text()
    found = re.search(rf"prototype {near.prototype_id}, [^,]+, (-?[\d.]+)", words)
    assert found and float(found[1]) == pytest.approx(near.similarity, abs=0.011), words
    assert "median beat of the strip" in words and "template of" in words and "rms" in words


def test_a_click_in_the_list_and_keys_right_after_it(desk: Desk) -> None:
    first, second = strips(desk)[3], strips(desk)[4]
    desk.open_strip(first)
    page = desk.page
    listed = page.locator(".st-key-strips_table canvas").first
    listed.scroll_into_view_if_needed()
    places = desk.place.evaluate("el => el.reader.shelf.places")
    assert desk.run.strips is not None
    row = [int(desk.run.strips.source_row[place]) for place in places].index(second)
    box = listed.bounding_box()
    assert box
    page.mouse.click(box["x"] + 150, box["y"] + 36 + 30 * row + 15)
    page.keyboard.press("v")
    page.keyboard.press("n")
    decisions = desk.kept(second, 2)
    assert [one.new for one in decisions] == ["PVC", "Normal"], "they are about the strip that was clicked"
    assert desk.made(first) == []
    until(lambda: desk.at()[0] == str(second), "the address follows")
    # What was undone elsewhere is not undone once more.
    page.keyboard.press("s")
    last = desk.kept(second, 3)[2]
    desk.store.decisions.undo(last.id, last.reader)
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(1500)
    desk.reader.rest()
    page.keyboard.press("u")
    assert [one.new for one in desk.kept(second, 1)] == ["PVC"]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("n")
    desk.kept(second, 2)
    # Undone by somebody else than this window's log: after a reload, u takes the reader's last decision back.
    page.reload()
    until(lambda: desk.shown(second), "the strip came back")
    desk.reader.rest()
    page.keyboard.press("u")
    assert [one.new for one in desk.kept(second, 1)] == ["PVC"]
    page.keyboard.press("u")
    desk.kept(second, 0)


def test_notes_doubts_and_seeds(desk: Desk) -> None:
    strip = strips(desk)[5]
    desk.open_strip(strip)
    page = desk.page
    page.keyboard.press(".")
    page.keyboard.type("vnx: look again")
    page.keyboard.press("Enter")
    page.keyboard.press("l")
    page.keyboard.press("m")
    note, unsure, seed = desk.kept(strip, 3)
    assert (note.field, note.new) == ("note", "vnx: look again")
    assert (unsure.field, unsure.new) == ("unsure", "1")
    assert seed.field == "seed" and seed.new
    assert note.target == unsure.target == seed.target, "none of them moves on"
    page.keyboard.press(".")
    page.keyboard.type("never kept")
    page.keyboard.press("Escape")
    page.locator(".reader button", has_text="Whole strip").click()
    page.keyboard.press("v")
    whole = desk.kept(strip, 4)[3]
    assert whole.target.startswith("strip:") and whole.new == "PVC"
    assert desk.now().state["number"] != strip, "the next strip is in hand"
    for count in (3, 2, 1, 0):
        page.keyboard.press("u")
        desk.kept(strip, count)
    assert desk.now().state["number"] == strip, "undo shows what it undid"


def test_keys_wait_for_a_strip_that_is_on_its_way(desk: Desk) -> None:
    first, second = strips(desk)[6], strips(desk)[7]
    desk.open_strip(first)
    page = desk.page
    held: list[Route] = []
    page.route("**/channel/strips", lambda route: held.append(route))
    desk.place.evaluate("el => el.reader.shelf.strips.clear()")
    places = desk.place.evaluate("el => el.reader.shelf.places")
    assert desk.run.strips is not None
    numbers = [int(desk.run.strips.source_row[place]) for place in places]
    for _ in range(numbers.index(second) - numbers.index(first)):
        page.keyboard.press("j")
    page.keyboard.press("v")
    page.keyboard.press("n")
    expect(page.locator(".reader .wait")).to_contain_text("on its way")
    page.wait_for_timeout(300)
    assert desk.made(second) == [] and held
    page.unroute("**/channel/strips")  # what was held back goes on
    assert [one.new for one in desk.kept(second, 2)] == ["PVC", "Normal"]
    assert desk.made(first) == []
    page.keyboard.press("u")
    page.keyboard.press("u")
    desk.kept(second, 0)
