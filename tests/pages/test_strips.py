"""The Strips page: what the reader in the browser is told, and what Python draws of the decisions that it sends.

What is typed and clicked in the reader is tried in Chromium (tests/browser/test_strip_reader.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from streamlit.testing.v1 import AppTest

from ecg_engine.labels import NOISE, label_id
from state.anchors import beat_index
from state.deciding import Decision, decide
from state.effective import Effective, effective_labels
from state.seeding import target_of
from state.targets import beat_target
from tests.conftest import REPOSITORY
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


def say(opened: Opened, row: int, field: str, new: str | int | None, reader: str = "Dr Test") -> Decision:
    """Store a decision on a beat as the browser's channel does."""
    run_row, run = run_of(opened)
    decision = decide(opened.study.id, reader, target_of(run, beat_index(run, run_row.id), row), field, new)
    opened.store.decisions.add([decision])
    return decision


def table(app: AppTest) -> pd.DataFrame:
    return next(one.value for one in app.dataframe if "decisions" in one.value.columns)


def told(app: AppTest, name: str = "strip_reader") -> Mapping[str, Any]:
    """What a component of the page is sent."""
    protos = [one.proto for one in app.get("bidi_component")]
    found = next(proto for proto in protos if proto.component_name == f"ecg_review.{name}")
    return json.loads(found.json)  # type: ignore[no-any-return]


def html(app: AppTest) -> str:
    return " ".join(one.proto.body for one in app.get("html"))


def test_without_a_run_the_page_leads_to_upload(empty: Opened) -> None:
    app = empty.page("strips")
    assert "No strips yet" in texts(app)


def test_the_reader_is_told_where_to_go_and_where_the_keys_lead(preprocessed: Opened) -> None:
    row, run = run_of(preprocessed)
    assert run.strips is not None
    beat = run.metadata.iloc[17]
    app = preprocessed.page("strips", strip=int(beat["source_row"]), beat=int(beat["beat_global_id"]))
    data = told(app)
    numbers = run.strips.source_row[np.array(data["places"])]
    assert numbers.tolist() == table(app)["strip"].tolist()
    assert data["run"] == row.id
    assert run.strips.source_row[data["at"]["place"]] == beat["source_row"]
    assert data["at"]["beat"] == round(beat["r_time_sec"] * 1000)
    assert data["paper"]["window_sec"] == [run.config.pre_sec, run.config.post_sec]
    assert data["channel"]["reader"] == "Dr Test" and data["channel"]["token"]
    assert {one["key"] for one in data["look"]["labels"]} >= set("nsvx")


def test_only_a_choice_made_elsewhere_moves_the_reader(preprocessed: Opened) -> None:
    app = preprocessed.page("strips")
    serial = told(app)["at"]["serial"]
    app.run()
    assert told(app)["at"]["serial"] == serial, "a drawing as such is no choice"
    app.selectbox(key="strips_order").set_value("Most beats").run()
    assert told(app)["at"]["serial"] == serial, "nor is another order"
    app.text_input(key="strips_search").set_value(str(table(app)["strip"].iloc[-1])).run()
    assert told(app)["at"]["serial"] != serial, "a filter that leaves the strip out takes another in hand"


def test_the_numbers_follow_decisions(preprocessed: Opened) -> None:
    strip, rows = beats_of_first_strip(preprocessed)
    app = preprocessed.page("strips", strip=strip)
    before = table(app).iloc[0]
    say(preprocessed, rows[0], "label", PVC)
    say(preprocessed, rows[1], "noise", 1)
    app.run()
    after = table(app).iloc[0]
    assert after["decisions"] == 2 and "PVC 1" in after["mix"] and "Noise" in after["mix"]
    assert after["noise_share"] > before["noise_share"]
    assert now(preprocessed).labels[rows[:2]].tolist() == [PVC, NOISE]
    assert "Decisions on this strip** (2)" in texts(app)


def test_each_decision_is_undone_and_brought_back_by_itself(preprocessed: Opened) -> None:
    strip, rows = beats_of_first_strip(preprocessed)
    labels = (PVC, NORMAL, PAC)
    first, second, third = (say(preprocessed, rows[at], "label", label) for at, label in enumerate(labels))
    app = preprocessed.page("strips", strip=strip)
    serial = told(app)["at"]["serial"]
    press(app, f"undo_{first.id}")
    assert [one.id for one in made(preprocessed)] == [second.id, third.id]
    press(app, f"redo_{first.id}")
    assert [one.id for one in made(preprocessed)] == [first.id, second.id, third.id]
    assert now(preprocessed).labels[rows[0]] == PVC
    assert told(app)["at"]["serial"] == serial, "the reader stays where she is"


def test_edited_r_peaks_are_counted_and_preprocessing_again_is_offered(preprocessed: Opened) -> None:
    strip, rows = beats_of_first_strip(preprocessed)
    app = preprocessed.page("strips", strip=strip)
    assert "R-peaks changed" not in texts(app)
    beats = table(app).iloc[0]["beats"]
    say(preprocessed, rows[2], "peak", "deleted")
    _row, run = run_of(preprocessed)
    assert run.strips is not None
    half = round(float(run.metadata["r_time_sec"].iloc[rows[:2]].mean()) * 1000)
    target = beat_target(str(run.strips.strip_hash[0]), half)
    preprocessed.store.decisions.add([decide(preprocessed.study.id, "Dr Test", target, "peak", "added")])
    app.run()
    assert table(app).iloc[0]["beats"] == beats, "one more, one less"
    assert "R-peaks changed on 1 strip:" in texts(app)
    press(app, "again")
    assert "Drop a file" in texts(app) or app.title[0].value == "Upload"


def test_a_deleted_beat_is_not_in_hand(preprocessed: Opened) -> None:
    strip, rows = beats_of_first_strip(preprocessed)
    _row, run = run_of(preprocessed)
    say(preprocessed, rows[0], "peak", "deleted")
    app = preprocessed.page("strips", strip=strip, beat=int(run.metadata["beat_global_id"].iloc[rows[0]]))
    assert told(app)["at"]["beat"] == round(run.metadata["r_time_sec"].iloc[rows[1]] * 1000)


def test_the_address_keeps_strip_and_beat(preprocessed: Opened) -> None:
    _row, run = run_of(preprocessed)
    where = {"strip": int(run.metadata["source_row"].iloc[30]), "beat": int(run.metadata["beat_global_id"].iloc[30])}
    app = preprocessed.page("strips", **where)
    app.switch_page("pages/prototypes.py").run()
    app.switch_page("pages/strips.py").run()
    assert (address(app, "strip"), address(app, "beat")) == (str(where["strip"]), str(where["beat"]))


def test_an_address_without_a_study_keeps_its_strip(preprocessed: Opened) -> None:
    strip = int(run_of(preprocessed)[1].metadata["source_row"].iloc[30])
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=60)
    app.query_params.update({"strip": str(strip)})
    app.run()
    app.switch_page("pages/strips.py").run()
    assert address(app, "strip") == str(strip)
    assert address(app, "study") == preprocessed.study.id


def test_the_search_narrows_the_list_and_says_when_nothing_matches(preprocessed: Opened) -> None:
    app = preprocessed.page("strips")
    everything = table(app)
    patient = str(everything["patient"].iloc[-1])
    app.text_input(key="strips_search").set_value(patient).run()
    assert 0 < len(table(app)) < len(everything)
    app.text_input(key="strips_search").set_value("nothing is called so").run()
    assert not [one for one in app.dataframe if "decisions" in one.value.columns]
    assert told(app)["places"] == [], "the strip in hand stays, the keys lead nowhere"
    next(button for button in app.button if button.label == "Clear the filters").click().run()
    assert len(table(app)) == len(everything)


def test_the_three_views_share_the_strip_in_hand(preprocessed: Opened) -> None:
    strip = int(run_of(preprocessed)[1].metadata["source_row"].iloc[30])
    app = preprocessed.page("strips", strip=strip)
    for name in ("RR intervals", "Full disclosure", "Read"):
        app.segmented_control(key="strips_view").set_value(name).run()
        assert not app.exception, [error.value for error in app.exception]
        assert address(app, "strip") == str(strip)
    assert told(app)["at"]["place"] == told(app)["places"][table(app)["strip"].tolist().index(strip)]
