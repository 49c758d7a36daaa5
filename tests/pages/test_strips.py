"""The Strips page: what is typed is decided, what is decided can be taken back, and the numbers follow."""

from __future__ import annotations

import numpy as np
import pandas as pd
from streamlit.testing.v1 import AppTest

from ecg_engine.labels import NOISE, label_id
from state.deciding import Decision
from state.effective import Effective, effective_labels
from state.seeding import target_of
from state.targets import beat_target, strip_target
from tests.pages.conftest import Opened
from tests.pages.test_app import address, texts
from tests.pages.test_prototypes import run_of

PVC, NORMAL, PAC = (label_id(name) for name in ("PVC", "Normal", "PAC"))


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=f"strips_{key}").click()
    app.run()
    assert not app.exception, [error.value for error in app.exception]
    return app


def made(opened: Opened) -> list[Decision]:
    return opened.store.decisions.active(opened.study.id)


def now(opened: Opened) -> Effective:
    row, run = run_of(opened)
    return effective_labels(run, made(opened), run_id=row.id)


def beats_of_first_strip(opened: Opened) -> tuple[int, np.ndarray]:
    """Number of the first strip, and the rows of its beats."""
    metadata = run_of(opened)[1].metadata
    first = int(metadata["source_row"].iloc[0])
    return first, np.flatnonzero(metadata["source_row"].to_numpy() == first)


def table(app: AppTest) -> pd.DataFrame:
    return next(one.value for one in app.dataframe if "decisions" in one.value.columns)


def test_without_a_run_the_page_leads_to_upload(empty: Opened) -> None:
    app = empty.page("strips")
    assert "No strips yet" in texts(app)


def test_labels_go_to_one_beat_after_the_other(preprocessed: Opened) -> None:
    strip, rows = beats_of_first_strip(preprocessed)
    app = preprocessed.page("strips", strip=strip)
    for label in (PVC, NORMAL, PAC):
        press(app, f"label_{label}")
    _row, run = run_of(preprocessed)
    metadata = run.metadata
    assert run.strips is not None
    place = int(np.flatnonzero(run.strips.source_row == strip)[0])
    times = metadata["r_index"].to_numpy()[rows[:3]] / run.fs * 1000
    assert [one.target for one in made(preprocessed)] == [
        beat_target(run.strips.strip_hash[place], time) for time in times
    ]
    assert [one.new for one in made(preprocessed)] == ["PVC", "Normal", "PAC"]
    assert now(preprocessed).labels[rows[:3]].tolist() == [PVC, NORMAL, PAC]
    assert address(app, "beat") == str(metadata["beat_global_id"].iloc[rows[3]]), "the next beat is in hand"
    assert table(app).iloc[0]["decisions"] == 3


def test_the_same_label_again_is_no_second_decision(preprocessed: Opened) -> None:
    strip, _ = beats_of_first_strip(preprocessed)
    app = preprocessed.page("strips", strip=strip)
    press(press(press(app, f"label_{PVC}"), "beat_before"), f"label_{PVC}")
    assert len(made(preprocessed)) == 1


def test_noise_and_back(preprocessed: Opened) -> None:
    strip, rows = beats_of_first_strip(preprocessed)
    app = press(preprocessed.page("strips", strip=strip), f"label_{NOISE}")
    assert now(preprocessed).labels[rows[0]] == NOISE
    press(press(app, "beat_before"), "valid")
    assert now(preprocessed).noise_flags[rows[0]] == 0 and now(preprocessed).labels[rows[0]] != NOISE


def test_a_flagged_beat_is_brought_back(preprocessed: Opened) -> None:
    _row, run = run_of(preprocessed)
    flagged = int(np.flatnonzero(np.asarray(run.noise_flags) == 1)[0])
    beat = run.metadata.iloc[flagged]
    app = preprocessed.page("strips", strip=int(beat["source_row"]), beat=int(beat["beat_global_id"]))
    press(app, "valid")
    assert now(preprocessed).noise_flags[flagged] == 0
    assert made(preprocessed)[0].old == "1" and made(preprocessed)[0].new == "0"


def test_the_whole_strip_is_labelled(preprocessed: Opened) -> None:
    strip, rows = beats_of_first_strip(preprocessed)
    app = preprocessed.page("strips", strip=strip)
    app.segmented_control(key="strips_scope").set_value("Whole strip").run()
    press(app, f"label_{PAC}")
    _, run = run_of(preprocessed)
    assert run.strips is not None
    assert made(preprocessed)[0].target == strip_target(run.strips.strip_hash[0])
    assert (now(preprocessed).labels[rows] == PAC).all()
    assert address(app, "strip") != str(strip), "the next strip is in hand"


def test_undo_takes_back_the_last_step_and_each_one_by_itself(preprocessed: Opened) -> None:
    strip, rows = beats_of_first_strip(preprocessed)
    app = preprocessed.page("strips", strip=strip)
    for label in (PVC, NORMAL, PAC):
        press(app, f"label_{label}")
    first, second, _ = made(preprocessed)
    press(app, "undo")
    assert [one.id for one in made(preprocessed)] == [first.id, second.id]
    press(app, f"undo_{first.id}")
    assert [one.id for one in made(preprocessed)] == [second.id]
    press(app, f"redo_{first.id}")
    assert [one.id for one in made(preprocessed)] == [first.id, second.id]
    assert now(preprocessed).labels[rows[0]] == PVC


def test_a_beat_becomes_a_seed_and_leaves_the_basket(preprocessed: Opened) -> None:
    strip, rows = beats_of_first_strip(preprocessed)
    app = press(preprocessed.page("strips", strip=strip), "seed")
    _row, run = run_of(preprocessed)
    seeds = now(preprocessed).seeds
    assert seeds["beat_global_id"].tolist() == [run.metadata["beat_global_id"].iloc[rows[0]]]
    press(app, "seed")
    assert now(preprocessed).seeds.empty


def test_the_address_keeps_strip_and_beat(preprocessed: Opened) -> None:
    app = preprocessed.page("strips")
    press(press(press(app, "next"), "next"), "beat_after")
    strip, beat = address(app, "strip"), address(app, "beat")
    again = preprocessed.page("strips", strip=strip, beat=beat)
    assert (address(again, "strip"), address(again, "beat")) == (strip, beat)
    again.switch_page("pages/prototypes.py").run()
    again.switch_page("pages/strips.py").run()
    assert (address(again, "strip"), address(again, "beat")) == (strip, beat)


def test_the_search_narrows_the_list_and_says_when_nothing_matches(preprocessed: Opened) -> None:
    app = preprocessed.page("strips")
    everything = table(app)
    patient = str(everything["patient"].iloc[-1])
    app.text_input(key="strips_search").set_value(patient).run()
    assert 0 < len(table(app)) < len(everything)
    app.text_input(key="strips_search").set_value("nothing is called so").run()
    assert not [one for one in app.dataframe if "decisions" in one.value.columns]
    next(button for button in app.button if button.label == "Clear the filters").click().run()
    assert len(table(app)) == len(everything)


def test_decisions_are_anchored_so_that_they_outlive_the_run(preprocessed: Opened) -> None:
    strip, rows = beats_of_first_strip(preprocessed)
    press(preprocessed.page("strips", strip=strip), f"label_{PVC}")
    row, run = run_of(preprocessed)
    from state.anchors import beat_index

    assert made(preprocessed)[0].target == target_of(run, beat_index(run, row.id), int(rows[0]))
