"""The list of strips beside the reader, and how the strip is printed."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from components.pickers import rows_taken
from components.strip_paper import FILTERED
from ecg_engine.labels import NOISE, label_id
from state.deciding import decide
from state.targets import prototype_target
from tests.pages.conftest import Opened
from tests.pages.test_app import address, texts
from tests.pages.test_prototypes import run_of
from tests.pages.test_strips import beats_of_first_strip, made, press, table

PVC, NORMAL, AFIB = (label_id(name) for name in ("PVC", "Normal", "AFib"))


def figure(app: AppTest, key: str = "strips_paper") -> dict[str, Any]:
    """The chart on the screen, as it is sent."""
    protos = [one.proto for one in app.get("plotly_chart")]
    found = next(proto for proto in protos if key in proto.id)
    return json.loads(found.spec)  # type: ignore[no-any-return]


def printed(app: AppTest) -> str:
    return " ".join(note["text"] for note in figure(app)["layout"]["annotations"])


def letters(app: AppTest) -> list[str]:
    return next(trace["text"] for trace in figure(app)["data"] if trace.get("name") == "beats")  # type: ignore[no-any-return]


def html(app: AppTest) -> str:
    return " ".join(one.proto.body for one in app.get("html"))


def strips_in(app: AppTest) -> list[int]:
    return table(app)["strip"].tolist()  # type: ignore[no-any-return]


def test_next_and_previous_follow_the_list(preprocessed: Opened) -> None:
    app = preprocessed.page("strips")
    app.selectbox(key="strips_order").set_value("Most beats").run()
    app.multiselect(key="strips_labels").set_value([PVC]).run()
    order = strips_in(app)
    assert (np.diff(table(app)["beats"]) <= 0).all() and set(table(app)["label_name"]) == {"PVC"}
    assert address(app, "strip") == str(order[0]), "a filter takes its first strip in hand"
    assert app.button(key="strips_previous").disabled
    seen = [int(address(app, "strip") or -1)]
    while not app.button(key="strips_next").disabled:
        press(app, "next")
        seen.append(int(address(app, "strip") or -1))
    assert seen == order


def test_a_strip_that_leaves_the_list_has_its_place_all_the_same(preprocessed: Opened) -> None:
    """Who works through "without decisions" comes to each strip once."""
    app = preprocessed.page("strips")
    app.segmented_control(key="strips_decided").set_value("Without").run()
    order = strips_in(app)
    for number in range(3):
        assert address(app, "strip") == str(order[number])
        press(app, f"label_{PVC}")
        assert strips_in(app) == order[number + 1 :]
        assert f"not among the {len(order) - number - 1} shown" in texts(app)
        press(app, "next")


def test_noise_and_counts_in_the_list_follow_at_once(preprocessed: Opened) -> None:
    strip, rows = beats_of_first_strip(preprocessed)
    app = preprocessed.page("strips", strip=strip)
    before = table(app).iloc[0]
    press(app, f"label_{NOISE}")
    after = table(app).iloc[0]
    assert after["noise_share"] == pytest.approx(before["noise_share"] + 100 / len(rows))
    assert "Noise" in after["mix"] and after["decisions"] == 1
    assert f"{table(app)['decisions'].sum()} decisions" in texts(app)
    app.slider(key="strips_noise").set_value((1, 100)).run()
    assert strip in strips_in(app) and (table(app)["noise_share"] > 0).all()
    press(app, "undo")
    app.slider(key="strips_noise").set_value((0, 100)).run()
    assert table(app).iloc[0].to_dict() == before.to_dict()


def test_filters_stay_when_the_page_is_left(preprocessed: Opened) -> None:
    app = preprocessed.page("strips")
    app.multiselect(key="strips_holds").set_value([AFIB]).run()
    shown = strips_in(app)
    assert 0 < len(shown) < 66
    app.switch_page("pages/history.py").run()
    app.switch_page("pages/strips.py").run()
    assert strips_in(app) == shown


def test_a_click_takes_the_row_and_the_mark_follows_the_strip(preprocessed: Opened) -> None:
    assert rows_taken({"rows": [0], "cells": [(7, "patient")]}) == [7], "a cell says its row"
    assert rows_taken({"rows": [3, 5], "cells": []}) == [3, 5]
    assert rows_taken({"rows": [], "cells": []}) == []
    app = preprocessed.page("strips")
    press(press(app, "next"), "next")
    assert app.session_state["strips_table"]["selection"]["rows"] == [2]


def test_beats_are_marked_by_what_holds(preprocessed: Opened) -> None:
    strip, rows = beats_of_first_strip(preprocessed)
    app = preprocessed.page("strips", strip=strip)
    assert len(letters(app)) == len(rows)
    press(press(app, f"label_{PVC}"), f"label_{NOISE}")
    assert letters(app)[:2] == ["V", "×"]
    noise = next(trace for trace in figure(app)["data"] if trace.get("name") == "noise")
    assert "marked by reader" in noise["text"]


def test_the_beat_says_where_its_label_comes_from(preprocessed: Opened) -> None:
    row, run = run_of(preprocessed)
    usable = np.flatnonzero(np.asarray(run.cluster_ids) >= 0)
    beat, cluster = run.metadata.iloc[usable[0]], int(run.cluster_ids[usable[0]])
    where = {"strip": int(beat["source_row"]), "beat": int(beat["beat_global_id"])}
    assert "the strip&#x27;s label in the file" in html(preprocessed.page("strips", **where))
    target = prototype_target(row.id, cluster)
    preprocessed.store.decisions.add([decide(preprocessed.study.id, "Dr Other", target, "label", PVC)])
    app = preprocessed.page("strips", **where)
    assert f"decided on its prototype {cluster} by Dr Other" in html(app)
    app.toggle(key="strips_move_on").set_value(False).run()
    press(app, f"label_{NORMAL}")
    assert "decided on this beat by Dr Test" in html(app)
    assert address(app, "beat") == str(where["beat"]), "it does not move on unless told"


def test_the_beat_has_its_numbers(preprocessed: Opened) -> None:
    _row, run = run_of(preprocessed)
    usable = np.flatnonzero((np.asarray(run.noise_flags) == 0) & (run.metadata["beat_index_in_record"] == 2))
    beat = run.metadata.iloc[usable[0]]
    app = preprocessed.page("strips", strip=int(beat["source_row"]), beat=int(beat["beat_global_id"]))
    facts = html(app)
    for words in (
        f"{beat['rr_prev_sec'] * 1000:.0f} ms",
        f"{beat['rr_next_sec'] * 1000:.0f} ms",
        f"{beat['quality_score']:.2f} (higher is worse)",
        f"edges {beat['z_edge']:+.1f}",
    ):
        assert words in facts


def test_print_settings_change_the_paper_and_nothing_else(preprocessed: Opened) -> None:
    app = preprocessed.page("strips")
    assert "25 mm/s" in printed(app) and "10 mm/mV" in printed(app) and "unfiltered" in printed(app)
    height = figure(app)["layout"]["height"]
    app.segmented_control(key="strips_speed").set_value(50.0).run()
    assert "50 mm/s" in printed(app)
    start, end = figure(app)["layout"]["xaxis"]["range"]
    assert end - start < 6, "at twice the speed half of the strip is in view"
    beats = next(trace for trace in figure(app)["data"] if trace.get("name") == "beats")
    while not app.button(key="strips_beat_after").disabled:
        press(app, "beat_after")
        start, end = figure(app)["layout"]["xaxis"]["range"]
        at = chosen_time(app, beats)
        assert start < at < end, "the beat in hand is in view"
    app.segmented_control(key="strips_gain").set_value(20.0).run()
    assert "20 mm/mV" in printed(app) and figure(app)["layout"]["height"] > height
    app.segmented_control(key="strips_trace").set_value(FILTERED).run()
    assert "0.5–45 Hz" in printed(app)
    assert not made(preprocessed)


def chosen_time(app: AppTest, beats: dict[str, Any]) -> float:
    ids, times = numbers(beats["customdata"]), numbers(beats["x"])
    return float(times[list(ids).index(int(address(app, "beat") or -1))])


def numbers(values: Any) -> np.ndarray:
    """Plotly sends arrays in its own packing."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"])
    return np.asarray(values)


def test_boxes_are_square_and_all_strips_have_one_height(preprocessed: Opened) -> None:
    app = preprocessed.page("strips")
    heights = set()
    for _ in range(4):
        layout = figure(app)["layout"]
        heights.add(layout["height"])
        assert layout["yaxis"]["scaleanchor"] == "x" and layout["yaxis"]["scaleratio"] == pytest.approx(10 / 25)
        assert layout["xaxis"]["constrain"] == layout["yaxis"]["constrain"] == "range", "paper is added, not stretched"
        press(app, "next")
    assert len(heights) == 1
    app.segmented_control(key="strips_size").set_value("Tall").run()
    assert figure(app)["layout"]["height"] > 1.3 * heights.pop()


def test_charts_have_words_for_who_cannot_see_them(preprocessed: Opened) -> None:
    app = preprocessed.page("strips")
    for chart in app.get("plotly_chart"):
        assert len(chart.proto.alt) > 20
    assert "in hand" in next(one.proto.alt for one in app.get("plotly_chart") if "strips_paper" in one.proto.id)
