"""Key to paint in the review queue, on real strips in Chromium, and the same keys on a page that reruns for each.

600 decisions are typed at 10 a second. A key's time runs from its event's own time stamp to the first moment after the
frame in which the next item stands on the screen. Then the store is asked: as many decisions as keys, in their order.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from bench.common import SMALL, free_port, table
from components.keymap import LABEL_KEYS
from ecg_engine.labels import label_name
from state import demo
from state.store import Store, open_store

KEYS, PER_SECOND = 600, 10
RERUN_KEYS = 60
LABELS = (0, 2, 1, 5, 3)
SWITCHES = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync")  # fmt: skip

WATCH = """
(() => {
  const seen = window.__latency = { keys: [], took: [], last: "" };
  window.addEventListener("keydown", (event) => { seen.keys.push(event.timeStamp); }, true);
  const trees = (root, found = []) => {
    for (const element of root.querySelectorAll('[data-testid="stBidiComponentIsolated"]'))
      if (element.shadowRoot) found.push(element.shadowRoot);
    return found;
  };
  const now = () => {
    for (const tree of trees(document)) {
      const item = tree.querySelector("[data-item]");
      if (item) return item.getAttribute("data-item");
    }
    const text = document.body?.innerText.match(/Item number (\\d+)/);
    return text ? text[1] : "";
  };
  const look = () => {
    const item = now();
    if (!item || item === seen.last) return;
    seen.last = item;
    const pressed = seen.keys.length;
    requestAnimationFrame(() => {
      const after = new MessageChannel();
      after.port1.onmessage = () => {
        // All keys that are not answered yet are answered by this picture.
        while (seen.took.length < pressed) seen.took.push(performance.now() - seen.keys[seen.took.length]);
      };
      after.port2.postMessage(0);
    });
  };
  const watched = new WeakSet();
  const watch = (tree) => {
    if (watched.has(tree)) return;
    watched.add(tree);
    new MutationObserver(() => { trees(document).forEach(watch); look(); }).observe(tree,
      { subtree: true, childList: true, attributes: true, characterData: true });
  };
  const begin = () => { watch(document); trees(document).forEach(watch); look(); };
  document.addEventListener("DOMContentLoaded", begin);
})();
"""


@contextmanager
def served(script: str, folder: Path) -> Iterator[str]:
    """A Streamlit server in a process of its own; yields its address."""
    port = free_port()
    environment = {**os.environ, "ECG_REVIEW_DATA": str(folder)}
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2).close()
                break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def study_on_real_strips(folder: Path) -> tuple[Store, str]:
    """A store with one study: the small real file preprocessed, a short training, and its prediction."""
    store = open_store(folder=folder)
    store.studies.archive(store.studies.ensure(demo.KEY, demo.NAME)[0].id)
    study = store.studies.create("Latency")
    store.files.add(study.id, SMALL.name, SMALL.read_bytes())
    for kind, params in (
        ("preprocess", {"pictures": False}),
        ("train", {"config": {"epochs": 2, "batch_size": 64}}),
        ("predict", {"config": {}}),
    ):
        job = store.jobs.wait(store.jobs.submit(study.id, kind, params).id)
        if job.status != "done":
            raise SystemExit(f"{kind} ended as {job.status}: {job.error}")
    return store, study.id


def type_keys(page: Page, labels: Sequence[int], per_second: float) -> list[float]:
    """Type a key for each label at a steady pace; returns what each took, in ms."""
    start = time.perf_counter()
    for n, label in enumerate(labels):
        time.sleep(max(0.0, start + n / per_second - time.perf_counter()))
        page.keyboard.press(LABEL_KEYS[label])
    page.wait_for_timeout(3000)
    return [float(value) for value in page.evaluate("window.__latency.took")]


def _chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    raise SystemExit("This benchmark needs Chromium.")


def _opened(browser: Browser, address: str, ready: str) -> Page:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.add_init_script(WATCH)
    page.goto(address)
    page.locator(ready).first.wait_for(timeout=60_000)
    page.wait_for_timeout(4000)
    page.evaluate("() => { window.__latency.keys.length = 0; window.__latency.took.length = 0; }")
    return page


def _row(what: str, took: Sequence[float], typed: int, stored: int, in_order: bool) -> list[str]:
    p50, p95, p99 = (f"{np.percentile(took, q):.0f}" for q in (50, 95, 99)) if took else ("–", "–", "–")
    most = f"{max(took):.0f}" if took else "–"
    return [what, str(typed), p50, p95, p99, most, str(stored), "yes" if in_order else "no"]


def _stored(store: Store, study_id: str, since: int) -> list[str]:
    return [str(made.new) for made in store.decisions.listing(study_id)[since:]]


def main() -> None:
    """Measure and print."""
    folder = Path(tempfile.mkdtemp(prefix="review_latency_"))
    rows = []
    try:
        store, study_id = study_on_real_strips(folder)
        path = next(
            found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))
        )
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=list(SWITCHES))
            with served("app.py", folder) as address:
                page = _opened(browser, f"{address}/review?study={study_id}&reader=Bench", "[data-item]")
                labels = list(islice(cycle(LABELS), KEYS))
                took = type_keys(page, labels, PER_SECOND)
                kept = _stored(store, study_id, 0)
                rows.append(_row("Review queue", took, KEYS, len(kept), kept == [label_name(one) for one in labels]))
                page.context.close()
            with served(str(Path(__file__).with_name("rerun_page.py")), folder) as address:
                for pace in (2, PER_SECOND):
                    before = len(store.decisions.listing(study_id))
                    ready = "text=Item number"
                    page = _opened(browser, f"{address}/?study={study_id}&reader=Bench", ready)
                    labels = list(islice(cycle(LABELS), RERUN_KEYS))
                    took = type_keys(page, labels, pace)
                    kept = _stored(store, study_id, before)
                    same = kept == [label_name(one) for one in labels]
                    rows.append(_row(f"A rerun a key, {pace} a second", took, RERUN_KEYS, len(kept), same))
                    page.context.close()
            browser.close()
        store.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    table(
        f"Key to paint, ms, real strips ({KEYS} keys at {PER_SECOND} a second in the queue)",
        ("", "keys", "median", "p95", "p99", "max", "stored", "in order"),
        rows,
    )


if __name__ == "__main__":
    main()
