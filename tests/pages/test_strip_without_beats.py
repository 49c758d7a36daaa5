"""The Strips page on a strip where no beat was found: nothing to mark, but it can be labelled as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from ecg_engine.artifacts import load_run
from ecg_engine.labels import label_id
from ecg_engine.simulate import simulate_strips
from state.runs import PREPROCESS
from state.targets import strip_target
from tests.pages.conftest import Opened, job_done
from tests.pages.test_app import texts
from tests.pages.test_strips import made, press, table

PVC = label_id("PVC")


@pytest.fixture
def bare(empty: Opened) -> tuple[Opened, int, str]:
    """A study whose last strip only drifts upwards; its number and hash."""
    strips = simulate_strips(n_per_label={0: 6, 2: 4}, n_patients=3, seed=2).strips
    count = strips["ECG Wave"].iloc[0].count(",") + 1
    line = strips.iloc[[0]].assign(**{"ECG Wave": ",".join(f"{n / 10}" for n in range(count))})
    data = strips._append(line, ignore_index=True).to_csv(index=False).encode()
    empty.store.files.add(empty.study.id, "with a drift.csv", data)
    job_done(empty.store, empty.study.id, PREPROCESS, {"pictures": False})
    row = empty.store.runs.newest(empty.study.id, PREPROCESS)
    assert row is not None
    run = load_run(empty.store.runs.path(row))
    assert run.strips is not None
    without = np.flatnonzero(~np.isin(run.strips.source_row, run.metadata["source_row"]))
    assert len(without) == 1, "the drift has no beats, all others do"
    return empty, int(run.strips.source_row[without[0]]), str(run.strips.strip_hash[without[0]])


def open_it(opened: Opened, strip: int) -> AppTest:
    return opened.page("strips", strip=strip)


def test_it_says_so_and_offers_nothing_on_beats(bare: tuple[Opened, int, str]) -> None:
    opened, strip, _ = bare
    app = open_it(opened, strip)
    assert "No beat was found on this strip" in texts(app)
    for key in ("beat_before", "beat_after", "valid", "seed", f"label_{PVC}"):
        assert app.button(key=f"strips_{key}").disabled, key
    row = table(app).set_index("strip").loc[strip]
    assert row["beats"] == 0 and np.isnan(row["noise_share"])


def test_it_is_labelled_as_a_whole(bare: tuple[Opened, int, str]) -> None:
    opened, strip, name = bare
    app = open_it(opened, strip)
    app.segmented_control(key="strips_scope").set_value("Whole strip").run()
    press(app, f"label_{PVC}")
    (decision,) = made(opened)
    assert (decision.target, decision.new) == (strip_target(name), "PVC")
    assert table(app).set_index("strip").loc[strip, "label_name"] == "PVC"
    press(app, f"undo_{decision.id}" if f"strips_undo_{decision.id}" in {one.key for one in app.button} else "undo")
    assert made(opened) == []


def test_reading_goes_past_it(bare: tuple[Opened, int, str]) -> None:
    opened, strip, _ = bare
    app = press(press(open_it(opened, strip), "previous"), "next")
    assert "No beat was found on this strip" in texts(app)
    press(app, "previous")
    assert "No beat was found on this strip" not in texts(app)
