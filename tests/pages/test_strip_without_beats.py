"""The Strips page on a strip where no beat was found: nothing to mark, but it can be labelled as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from ecg_engine.artifacts import load_run
from ecg_engine.labels import label_id
from ecg_engine.simulate import simulate_strips
from state.deciding import decide
from state.runs import PREPROCESS
from state.targets import beat_target, strip_target
from tests.pages.conftest import Opened, job_done
from tests.pages.test_strips import made, press, table, told

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


def test_it_is_shown_without_a_beat(bare: tuple[Opened, int, str]) -> None:
    opened, strip, _ = bare
    app = open_it(opened, strip)
    assert told(app)["at"]["beat"] is None
    row = table(app).set_index("strip").loc[strip]
    assert row["beats"] == 0 and np.isnan(row["noise_share"])


def test_it_is_labelled_as_a_whole(bare: tuple[Opened, int, str]) -> None:
    opened, strip, name = bare
    decision = decide(opened.study.id, "Dr Test", strip_target(name), "label", PVC)
    opened.store.decisions.add([decision])
    app = open_it(opened, strip)
    assert table(app).set_index("strip").loc[strip, "label_name"] == "PVC"
    press(app, f"undo_{decision.id}")
    assert made(opened) == []


def test_the_first_beat_of_all_can_be_added_by_hand(bare: tuple[Opened, int, str]) -> None:
    opened, strip, name = bare
    opened.store.decisions.add([decide(opened.study.id, "Dr Test", beat_target(name, 4000), "peak", "added")])
    app = open_it(opened, strip)
    assert table(app).set_index("strip").loc[strip, "beats"] == 1
