"""Full disclosure in Chromium: all strips of a patient are seen, and each is a click or a key away from being read.

With it the chart of RR intervals, in which beats are chosen with the mouse.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from ecg_engine.artifacts import load_run
from ecg_engine.simulate import simulate_strips
from state import demo
from state.runs import PREPROCESS
from state.store import Store, open_store
from tests.browser.conftest import Server, chromium
from tests.browser.reading import PATIENCE, Reader, until
from tests.pages.conftest import job_done

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

HERS, HIS = 54, 6
INSIDE = """(run) => {
  const trees = [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')].map((one) => one.shadowRoot);
  const holder = trees.map((tree) => tree && tree.querySelector(".disclosure")).find(Boolean);
  return holder && holder.disclosure ? (new Function("it", `return ${run}`))(holder.disclosure) : null;
}"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A study of two patients, preprocessed, behind a running app."""
    chromium()
    folder = tmp_path_factory.mktemp("disclosure")
    store = open_store(f"sqlite:///{folder / 'review.db'}", folder)
    store.studies.archive(store.studies.ensure(demo.KEY, demo.NAME)[0].id)
    study = store.studies.create("Ward 3")
    table = simulate_strips(n_per_label={0: 40, 2: HERS + HIS - 40}, n_patients=1, seed=4).strips
    table["Patient ID"] = [7] * HERS + [8] * HIS
    store.files.add(study.id, "ward 3.csv", table.to_csv(index=False).encode())
    job_done(store, study.id, "preprocess", {"pictures": False})
    store.close()
    server = Server(folder)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def reader(desk: Server, browser: Browser) -> Iterator[Reader]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield Reader(context.new_page(), desk.url, desk.folder)
    context.close()


def inside(page: Page, run: str) -> Any:
    return page.evaluate(INSIDE, run)


def open_all(reader: Reader, strip: int = 0) -> Page:
    reader.open(f"strips?strip={strip}")
    reader.page.get_by_role("radio", name="Full disclosure").click()
    reader.rest()
    until(lambda: inside(reader.page, "it.layout && it.strips.size > 0"), "no strip came")
    return reader.page


def loaded(page: Page, count: int) -> None:
    until(lambda: inside(page, "it.strips.size") == count, f"not all of {count} strips came")


def tile(page: Page, at: int) -> tuple[float, float]:
    """Upper left corner of a tile on the screen."""
    left, top = inside(page, f"[it.layout.left({at}), it.layout.top({at}) - it.box.scrollTop]")
    box = page.locator(".disclosure .canvas").bounding_box()
    assert box is not None
    return box["x"] + left, box["y"] + top


def address(page: Page, name: str) -> str | None:
    return parse_qs(urlsplit(page.evaluate("location.href")).query).get(name, [None])[0]


def reads(page: Page, strip: int) -> None:
    """The strip is open to be read."""
    expect(page.locator(".disclosure")).to_have_count(0, timeout=PATIENCE)
    until(lambda: address(page, "strip") == str(strip), f"strip {strip} is not open")
    expect(page.get_by_role("radio", name="Read", exact=True)).to_be_checked(timeout=PATIENCE)


def colours(page: Page, at: int) -> int:
    """How many different colours a tile shows: an empty one has few."""
    return int(inside(page, f"""(() => {{
      const scale = it.canvas.width / it.box.clientWidth;
      const corner = [it.layout.left({at}), it.layout.top({at}) - it.box.scrollTop];
      const [x, y] = corner.map((one) => Math.round(one * scale));
      const [w, h] = [it.layout.tile, it.layout.height].map((one) => Math.round(one * scale));
      const data = it.context.getImageData(x, y, w, h).data;
      const seen = new Set();
      for (let k = 0; k < data.length; k += 4) seen.add(data[k] * 65536 + data[k + 1] * 256 + data[k + 2]);
      return seen.size;
    }})()"""))  # fmt: skip


def test_all_strips_of_the_patient_are_there_and_drawn(reader: Reader) -> None:
    page = open_all(reader)
    loaded(page, HERS)
    expect(page.locator(".disclosure .who")).to_have_text(f"Patient 7, {HERS} strips")
    assert page.locator(".disclosure .state").inner_text() == ""
    first, last = inside(page, "it.seen()")
    assert first == 0 and last < HERS, "they do not all fit on the screen"
    reader.page.wait_for_timeout(300)
    assert colours(page, 1) > 30
    page.keyboard.press("End")
    page.wait_for_timeout(300)
    assert inside(page, "it.cursor") == HERS - 1
    assert inside(page, "it.seen()")[1] == HERS and colours(page, HERS - 1) > 30
    size = page.locator(".disclosure .canvas").bounding_box()
    assert size is not None and size["height"] < 800, "the canvas is as large as what is seen, not as all of it"


def test_arrows_move_and_enter_reads(reader: Reader) -> None:
    page = open_all(reader)
    columns = inside(page, "it.layout.columns")
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    expect(page.locator(".disclosure .spoken")).to_contain_text(f"Strip {2 * columns},")
    page.keyboard.press("Enter")
    reads(page, 2 * columns)


def test_a_click_on_a_beat_reads_the_strip_at_that_beat(reader: Reader) -> None:
    page = open_all(reader)
    loaded(page, HERS)
    left, top = tile(page, 4)
    time, beat, ahead = inside(page, """(() => { const strip = it.strips.get(it.entries[4].place);
      const beat = strip.beats[3];
      return [beat.time, beat.id, 8 + beat.time / 1000 * it.layout.perSecond]; })()""")  # fmt: skip
    page.mouse.click(left + ahead, top + 60)
    reads(page, 4)
    until(lambda: address(page, "beat") == str(beat), f"the beat at {time} ms is not the one in hand")
    row = reader.store().runs.newest(reader.store().studies.all()[0].id, PREPROCESS)
    assert row is not None
    metadata = load_run(reader.store().runs.path(row)).metadata.set_index("beat_global_id")
    assert metadata.loc[beat, "source_row"] == 4
    assert round(1000 * metadata.loc[beat, "r_time_sec"]) == time


def test_another_patient(reader: Reader) -> None:
    page = open_all(reader)
    loaded(page, HERS)
    inside(page, "it.channel.token = 'worn out'")  # a new one is asked for
    page.locator('[class*="st-key-disclosure_patient"] input').click()
    page.get_by_role("option", name=f"Patient 8 ({HIS} strips)").click()
    reader.rest()
    expect(page.locator(".disclosure .who")).to_have_text(f"Patient 8, {HIS} strips", timeout=PATIENCE)
    loaded(page, HIS)
    assert address(page, "strip") == str(HERS)


def test_what_does_not_come_is_said_and_asked_for_again(reader: Reader) -> None:
    page = reader.page
    page.route(
        "**/channel/strips",
        lambda route: route.abort() if "small" in (route.request.post_data or "") else route.continue_(),
    )
    reader.open("strips?strip=0")
    page.get_by_role("radio", name="Full disclosure").click()
    expect(page.locator(".disclosure .state")).to_contain_text(
        f"{HERS} of {HERS} strips could not be loaded", timeout=PATIENCE
    )
    page.unroute("**/channel/strips")
    page.locator(".disclosure .retry").click()
    loaded(page, HERS)
    expect(page.locator(".disclosure .state")).to_have_text("")


def labelled(store: Store) -> int:
    return len(store.decisions.active(store.studies.all()[0].id))


def test_beats_chosen_in_the_rr_chart_are_labelled_together_and_undone_in_one_step(reader: Reader) -> None:
    reader.open("strips?strip=0")
    page, store = reader.page, reader.store()
    page.get_by_role("radio", name="RR intervals").click()
    reader.rest()
    area = page.locator('[class*="st-key-rr_scatter"] .nsewdrag').first
    expect(area).to_be_visible(timeout=PATIENCE)
    box = area.bounding_box()
    assert box is not None
    centre, reach = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2), 0.49
    page.mouse.move(centre[0] + reach * box["width"], centre[1])
    page.mouse.down()
    for turn in np.linspace(0, 2 * np.pi, 40):
        page.mouse.move(
            centre[0] + reach * box["width"] * np.cos(turn), centre[1] + reach * box["height"] * np.sin(turn)
        )
    page.mouse.up()
    reader.rest()
    chosen = page.get_by_text("beats chosen").first
    expect(chosen).to_be_visible(timeout=PATIENCE)
    count = int(chosen.inner_text().split()[0].replace(",", ""))
    before = labelled(store)
    page.locator(".st-key-rr_label_all button").first.click()
    page.locator(".st-key-rr_label input").click()
    page.get_by_role("option", name="AFib").click()
    reader.rest()
    page.locator(".st-key-rr_label_yes button").click()
    until(lambda: labelled(store) == before + count, f"{count} beats were chosen, {labelled(store) - before} labelled")
    reader.rest()
    page.keyboard.press("Escape")
    reader.click("rr_undo")
    until(lambda: labelled(store) == before, "one undo takes all of it back")
