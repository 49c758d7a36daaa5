"""The Review page on a run that knows groups of look-alike beats: what comes first, what is offered, what it says."""

from __future__ import annotations

from components.review_queue import BY_DOUBT, BY_GAIN
from ecg_engine.queue import ORDERS, REASON_TITLES
from state.anchors import beat_index, group_payload
from state.deciding import decide
from state.queue_groups import members_by_group
from state.runs import PREPROCESS
from state.targets import group_target
from tests.pages.conftest import Opened, job_done
from tests.pages.test_prototypes import run_of
from tests.pages.test_review import told


def test_groups_come_first_where_the_run_has_them_and_each_kind_of_run_keeps_its_own_order(with_files: Opened) -> None:
    job_done(
        with_files.store, with_files.study.id, "preprocess", {"pictures": False, "config": {"profile": "arrhythmia"}}
    )
    app = with_files.page("review")
    data = told(app)
    assert data["queue"]["order"] == BY_GAIN
    order = next(one for one in app.radio if one.label == "Order")
    assert order.options == [one.title for one in ORDERS.values()]
    offered = next(one for one in app.button_group if one.label == "Only for these reasons").options
    assert REASON_TITLES["group"] in offered
    assert REASON_TITLES["pattern"] not in offered, "without a model nothing is unlike what it knows"
    order.set_value("first").run()
    assert told(app)["queue"]["order"] == "first"

    row, run = run_of(with_files)
    index = beat_index(run, row.id)
    members = members_by_group(index)
    before = data["counts"]
    group = max(members, key=lambda one: len(members[one]))
    payload = group_payload(index, group, "")
    word = decide(with_files.study.id, "Dr Test", group_target(row.id, group), "label", "PVC", payload=payload)
    with_files.store.decisions.add([word])
    app.run()
    after = told(app)["counts"]
    assert (before["total"] - before["left"], after["total"] - after["left"]) == (0, 1)
    assert told(app)["steps"][-1][0]["target"] == word.target

    job_done(with_files.store, with_files.study.id, "preprocess", {"pictures": False})
    newest = with_files.store.runs.newest(with_files.study.id, PREPROCESS)
    assert newest is not None and newest.id != row.id
    app = with_files.page("review")
    assert told(app)["queue"]["order"] == BY_DOUBT
    order = next(one for one in app.radio if one.label == "Order")
    assert ORDERS[BY_GAIN].title not in order.options
