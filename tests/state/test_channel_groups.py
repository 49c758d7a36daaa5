"""What the channel says of groups of look-alike beats, and keeps of them: items, leases, one decision for all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ecg_engine.artifacts import load_run, save_run
from ecg_engine.config import PreprocessConfig
from ecg_engine.preprocess import preprocess
from ecg_engine.simulate import simulate_strips
from ecg_engine.strips import read_strips
from state.anchors import beat_index
from state.effective import effective_labels
from state.store import Store
from state.studies import Study
from state.targets import parse_target
from tests.state.channel_for_tests import Served, decision, enter, serving


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run that knows groups."""
    folder = tmp_path_factory.mktemp("made")
    simulate_strips(n_per_label={0: 6, 2: 6}, n_patients=2, seed=5).strips.to_csv(folder / "a.csv", index=False)
    config = PreprocessConfig(profile="arrhythmia")
    save_run(preprocess(read_strips(folder / "a.csv", config), config), folder / "run", pictures=False)
    return folder / "run"


@pytest.fixture
def served(store: Store) -> Iterator[Served]:
    with serving(store) as one:
        yield one


def test_a_group_is_leased_answered_once_and_gone(served: Served, study: Study, made: Path) -> None:
    store = served.store
    row = enter(
        store, study, "preprocess", lambda folder: shutil.copytree(made, folder), config=PreprocessConfig().to_dict()
    )
    page = served.page(study)
    asked = {"queue": {"run": row.id, "order": "gain"}, "tab": "one", "count": 5, "have": [], "strips": []}
    frame = page.post("items", asked).frame
    item = next(one for one in frame.header["items"] if one["kind"] == "group")
    index = beat_index(load_run(store.runs.path(row)), row.id)
    group = parse_target(item["key"]).number
    rows = np.flatnonzero(index.groups == group)

    assert item["count"] == len(rows) == sum(map(len, item["members"].values()))
    beats = frame.header["strips"][item["strip"]]["beats"]
    assert item["shown"] == f"beat:{item['strip']}:{beats[item['beat']]['anchor']}"
    assert beats[item["beat"]]["id"] in set(index.beat_ids[rows].tolist())
    assert len(frame.trace(item["waves"])) % item["waves"]["each"] == 0
    for place, name, anchor in item["others"]:
        assert index.names[place] == name and anchor in item["members"][name]

    other = page.post("items", asked | {"tab": "two"}).frame.header
    assert item["key"] not in {one["key"] for one in other["items"]}, "two tabs never hold one group"
    assert page.post("leases", {"tab": "one", "have": [item["key"]]}).json["held"] == [item["key"]]

    payload = {"members": item["members"], "shown": item["shown"]}
    word = decision(item["key"], id="g1", payload=payload)
    for _ in range(2):
        assert page.post("decisions", {"decisions": [word]}).json["acknowledged"] == ["g1"]
    (kept,) = store.decisions.listing(study.id)
    assert kept.payload == payload
    now = effective_labels(index, [kept])
    assert set(now.labels[rows]) == {2} and set(now.source[rows]) == {"group"}
    again = page.post("items", asked | {"count": 100}).frame.header
    assert item["key"] not in {one["key"] for one in again["items"]}
    shown = page.post("strips", {"run": row.id, "strips": [item["others"][0][0]]}).frame.header["strips"]
    by_anchor = {beat["anchor"]: beat for beat in shown[item["others"][0][1]]["beats"]}
    assert by_anchor[item["others"][0][2]]["source"] == "group"
