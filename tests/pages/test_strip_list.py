"""The list of strips beside the reader, and what Python adds about the beat in hand."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from components import strip_desk
from components.pickers import rows_taken
from ecg_engine.labels import label_id
from state.deciding import decide
from state.targets import prototype_target
from tests.pages.conftest import Opened
from tests.pages.test_app import address
from tests.pages.test_prototypes import run_of
from tests.pages.test_strips import beats_of_first_strip, html, say, table, told

PVC, NORMAL, AFIB = (label_id(name) for name in ("PVC", "Normal", "AFib"))


def strips_in(app: AppTest) -> list[int]:
    return table(app)["strip"].tolist()  # type: ignore[no-any-return]


def test_the_keys_follow_the_list(preprocessed: Opened) -> None:
    app = preprocessed.page("strips")
    app.selectbox(key="strips_order").set_value("Most beats").run()
    app.multiselect(key="strips_labels").set_value([PVC]).run()
    assert (np.diff(table(app)["beats"]) <= 0).all() and set(table(app)["label_name"]) == {"PVC"}
    strips = run_of(preprocessed)[1].strips
    assert strips is not None
    assert strips.source_row[np.array(told(app)["places"])].tolist() == strips_in(app)
    assert address(app, "strip") == str(strips_in(app)[0]), "a filter takes its first strip in hand"


def test_a_strip_that_leaves_the_list_stays_in_hand(preprocessed: Opened) -> None:
    """Who works through "without decisions" is not sent on before she is done with a strip."""
    strip, rows = beats_of_first_strip(preprocessed)
    app = preprocessed.page("strips")
    app.segmented_control(key="strips_decided").set_value("Without").run()
    order = strips_in(app)
    assert order[0] == strip
    serial = told(app)["at"]["serial"]
    say(preprocessed, rows[0], "label", PVC)
    app.run()
    assert strips_in(app) == order[1:]
    assert address(app, "strip") == str(strip) and told(app)["at"]["serial"] == serial


def test_noise_in_the_list_follows_and_is_filtered_by(preprocessed: Opened) -> None:
    strip, rows = beats_of_first_strip(preprocessed)
    app = preprocessed.page("strips", strip=strip)
    before = table(app).iloc[0]
    decision = say(preprocessed, rows[0], "noise", 1)
    app.run()
    assert table(app).iloc[0]["noise_share"] == pytest.approx(before["noise_share"] + 100 / len(rows))
    app.slider(key="strips_noise").set_value((1, 100)).run()
    assert strip in strips_in(app) and (table(app)["noise_share"] > 0).all()
    preprocessed.store.decisions.undo(decision.id, "Dr Test")
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
    strip = strips_in(preprocessed.page("strips"))[2]
    app = preprocessed.page("strips", strip=strip)
    assert app.session_state["strips_table"]["selection"]["rows"] == [2]


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
    say(preprocessed, int(usable[0]), "label", NORMAL)
    assert "decided on this beat by Dr Test" in html(app.run())


def test_the_beat_has_its_quality(preprocessed: Opened) -> None:
    _row, run = run_of(preprocessed)
    usable = np.flatnonzero((np.asarray(run.noise_flags) == 0) & (run.metadata["beat_index_in_record"] == 2))
    beat = run.metadata.iloc[usable[0]]
    facts = html(preprocessed.page("strips", strip=int(beat["source_row"]), beat=int(beat["beat_global_id"])))
    assert f"{beat['quality_score']:.2f} (higher is worse)" in facts
    assert f"edges {beat['z_edge']:+.1f}" in facts


def test_the_calipers_give_way_to_the_readers_own_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strip_desk, "all_keys", lambda: {"label:2": "g", "action:undo": "h"})
    assert strip_desk.calipers_key() == "q"
    monkeypatch.setattr(strip_desk, "all_keys", lambda: {"label:2": "v", "action:open_strip": "g"})
    assert strip_desk.calipers_key() == "g", "opening a strip is no action of this page"
