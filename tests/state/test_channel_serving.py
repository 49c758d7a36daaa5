"""What the channel answers: frames, strips, shapes and items of a queue, on a small preprocessed study."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecg_engine.artifacts import load_run, save_run
from ecg_engine.conditioning import bandpass
from ecg_engine.config import PreprocessConfig
from ecg_engine.preprocess import Run, preprocess
from ecg_engine.simulate import simulate_strips
from ecg_engine.strips import read_strips
from state.channel.frames import FrameWriter, read_frame
from state.channel.leases import LEASE, Leases
from state.channel.serving import Serving
from state.channel.strip_frames import PAIRS
from state.channel.tokens import Pass
from state.errors import StoreError
from state.plain import now
from state.runs import RunRow
from state.store import Store
from state.studies import Study
from state.targets import beat_target, strip_target
from tests.state.channel_for_tests import Page, Served, decision, enter, made_up_prediction, serving

on_sqlite = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
"""For what does not depend on the database."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder, and a prediction's."""
    folder = tmp_path_factory.mktemp("made")
    table = simulate_strips(n_per_label={-1: 2, 0: 16, 2: 14}, n_patients=6, seed=5).strips
    table.to_csv(folder / "a.csv", index=False)
    config = PreprocessConfig()
    run = preprocess(read_strips(folder / "a.csv", config), config)
    save_run(run, folder / "run", pictures=False)
    made_up_prediction(run, folder / "prediction")
    return folder


class Ward:
    """A served study with a run and a prediction."""

    def __init__(self, served: Served, study: Study, made: Path) -> None:
        self.served, self.store, self.study = served, served.store, study
        self.row = self._enter("preprocess", made / "run", config=PreprocessConfig().to_dict())
        self.predicted = self._enter("predict", made / "prediction", parents=[self.row.id])
        self.run: Run = load_run(self.store.runs.path(self.row))
        self.page = served.page(study)

    def _enter(self, kind: str, source: Path, **values: Any) -> RunRow:
        return enter(self.store, self.study, kind, lambda folder: shutil.copytree(source, folder), **values)

    def queue(self, **more: Any) -> dict[str, Any]:
        return {"run": self.row.id, "prediction": self.predicted.id, "order": "first", **more}

    def items(self, page: Page, tab: str, count: int = 10, **more: Any) -> dict[str, Any]:
        message = {"queue": self.queue(), "tab": tab, "count": count, "have": [], "strips": []} | more
        return page.post("items", message).frame.header


@pytest.fixture
def ward(store: Store, study: Study, made: Path) -> Iterator[Ward]:
    with serving(store) as served:
        yield Ward(served, study, made)


# Frames


@pytest.mark.parametrize(
    "values",
    [
        np.array([0.0, 1.0, -1.0]),
        np.array([3.5]),
        np.array([], dtype=np.float32),
        np.full(10, 7.25, dtype=np.float32),
        np.arange(-20_000, 20_000, 7, dtype=np.float32),
        np.linspace(-0.001, 0.004, 999),
        np.array([1e9, 1e9 + 5]),
    ],
)
def test_a_trace_comes_back_within_half_a_step(values: np.ndarray) -> None:
    frame = FrameWriter()
    other = frame.add(np.array([5, 6, 7]))
    trace = frame.add(values)
    back = read_frame(frame.frame({"a": 1, "bad": float("nan"), "text": "é"}))
    assert back.header == {"a": 1, "bad": None, "text": "é"}
    assert np.array_equal(back.trace(other), [5, 6, 7])
    found = back.trace(trace)
    assert len(found) == len(values)
    if len(values):
        spread = float(np.ptp(values.astype(float)))
        assert np.abs(found - values).max() <= trace["scale"] / 2 + 1e-9 * np.abs(values).max()
        assert trace["scale"] <= max(spread / 60_000, 1.0)


def test_whole_numbers_are_kept_exactly() -> None:
    values = np.random.default_rng(1).integers(-32_000, 32_000, 5000).astype(np.float32)
    frame = FrameWriter()
    trace = frame.add(values)
    assert np.array_equal(read_frame(frame.frame({})).trace(trace), values)


def test_samples_start_at_a_multiple_of_four() -> None:
    for size in range(1, 12):
        frame = FrameWriter()
        trace = frame.add(np.array([1, 2, 3]))
        data = frame.frame({"a": "x" * size})
        assert (len(data) - 2 * 3) % 4 == 0
        assert read_frame(data).trace(trace).tolist() == [1, 2, 3]


def test_what_cannot_be_a_trace_or_a_frame() -> None:
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match="finite"):
            FrameWriter().add(np.array([0.0, bad]))
    data = FrameWriter().frame({"a": 1})
    for broken in (b"", b"ECG", b"XXXX" + data[4:], data[:-1], data + b"x"):
        with pytest.raises(StoreError):
            read_frame(broken)


# Strips


@on_sqlite
def test_strips_come_as_they_were_read_and_as_the_engine_sees_them(ward: Ward) -> None:
    run, strips = ward.run, ward.run.strips
    assert strips is not None and run.conditioned is not None
    places = [3, 0, len(strips) - 1]
    frame = ward.page.post("strips", {"run": ward.row.id, "strips": places, "detail": "full"}).frame
    assert list(frame.header["strips"]) == [str(strips.strip_hash[place]) for place in places]
    for place, strip in zip(places, frame.header["strips"].values(), strict=True):
        raw, z = strips.wave(place), run.conditioned[strips.offsets[place] : strips.offsets[place + 1]]
        assert np.abs(frame.trace(strip["raw"]) - raw).max() < 0.25
        assert np.abs(frame.trace(strip["filtered"]) - z).max() < 0.002
        scale, zero = strip["to_units"]
        filtered = bandpass(raw, run.fs)
        assert np.allclose(zero + scale * frame.trace(strip["filtered"]), filtered, atol=0.25)
        assert (strip["place"], strip["number"], strip["row"]) == (place, place, place + 1)
        assert (strip["file"], strip["patient"]) == ("a.csv", str(strips.patient_id[place]))
        assert (strip["label"], strip["decided"], strip["note"], strip["unsure"]) == (
            int(strips.label[place]), False, "", False,
        )  # fmt: skip
        assert (strip["fs"], strip["units_per_mv"], strip["baseline"]) == (run.fs, 200.0, float(np.median(raw)))
        here = run.metadata[run.strip_of_beat == place]
        assert [beat["id"] for beat in strip["beats"]] == here["beat_global_id"].tolist()
        assert [beat["time"] for beat in strip["beats"]] == np.rint(here["r_time_sec"] * 1000).astype(int).tolist()
        assert [beat["anchor"] for beat in strip["beats"]] == [beat["time"] for beat in strip["beats"]]
        assert [beat["noise"] for beat in strip["beats"]] == here["noise_flag"].tolist()
        assert {beat["source"] for beat in strip["beats"]} == {"strip"}


@on_sqlite
def test_the_gain_of_the_study_is_the_strips(ward: Ward) -> None:
    ward.store.studies.set_units(ward.study.id, 1000)
    frame = ward.page.post("strips", {"run": ward.row.id, "strips": [0]}).frame
    assert next(iter(frame.header["strips"].values()))["units_per_mv"] == 1000


@on_sqlite
def test_small_strips_lose_no_spike(ward: Ward) -> None:
    run, strips = ward.run, ward.run.strips
    assert strips is not None and run.conditioned is not None
    frame = ward.page.post("strips", {"run": ward.row.id, "strips": [1, 2], "detail": "small"}).frame
    for place, strip in zip((1, 2), frame.header["strips"].values(), strict=True):
        z = run.conditioned[strips.offsets[place] : strips.offsets[place + 1]]
        assert "raw" not in strip
        thin, per = frame.trace(strip["filtered"]).reshape(-1, 2), strip["filtered"]["per"]
        assert len(thin) <= PAIRS and len(thin) * per >= len(z)
        for number, (low, high) in enumerate(thin):
            part = z[number * per : (number + 1) * per]
            assert abs(part.min() - low) < 0.002 and abs(part.max() - high) < 0.002


def test_strips_follow_decisions_at_once(ward: Ward) -> None:
    strips = ward.run.strips
    assert strips is not None
    name = str(strips.strip_hash[0])
    beats = ward.page.post("strips", {"run": ward.row.id, "strips": [0]}).frame.header["strips"][name]["beats"]
    first, second, third = (beat_target(name, beat["anchor"]) for beat in beats[:3])
    new = (beats[0]["time"] + beats[1]["time"]) // 2
    answer = ward.page.decide(
        decision(first, "label", "PAC"),
        decision(first, "note", "early"),
        decision(second, "peak", "deleted"),
        decision(third, "seed", "PVC"),
        decision(beat_target(name, new), "peak", "added"),
        decision(strip_target(name), "label", "AFib"),
        decision(strip_target(name), "unsure", 1),
    )
    assert answer.json["refused"] == []
    frame = ward.page.post("strips", {"run": ward.row.id, "strips": [0]}).frame
    strip = frame.header["strips"][name]
    assert frame.header["version"] == answer.json["version"]
    assert (strip["label"], strip["decided"], strip["unsure"]) == (5, True, True)
    assert (strip["beats"][0]["label"], strip["beats"][0]["note"], strip["beats"][0]["source"]) == (1, "early", "beat")
    assert (strip["beats"][1]["time"], strip["beats"][1]["peak"], strip["beats"][1]["id"]) == (new, "added", None)
    assert strip["beats"][2]["seed"] == "PVC"
    assert len(strip["beats"]) == len(beats)


@on_sqlite
def test_strips_that_cannot_be_given(ward: Ward) -> None:
    other = ward.store.studies.create("Ward 4")
    run = ward.row.id
    asked: list[dict[str, Any]] = [
        {"run": run, "strips": [-1]},
        {"run": run, "strips": [10_000]},
        {"run": run, "strips": ["0"]},
        {"run": run, "strips": [True]},
        {"run": run, "strips": list(range(201))},
        {"run": ward.predicted.id, "strips": [0]},
        {"run": "gone", "strips": [0]},
        {"strips": [0]},
    ]
    for message in asked:
        answer = ward.page.post("strips", message)
        assert (answer.status, answer.json["code"]) == (400, "message"), message
    page = ward.served.page(other)
    for route in ("strips", "shapes", "items"):
        answer = page.post(route, {"run": run, "strips": [0], "queue": ward.queue(), "tab": "t"})
        assert (answer.status, answer.json["code"]) == (403, "study"), route


@on_sqlite
def test_shapes_are_templates_and_prototypes(ward: Ward) -> None:
    frame = ward.page.post("shapes", {"run": ward.row.id}).frame
    shapes = frame.header["shapes"]
    templates = {shape["label"]: shape for shape in shapes if shape["kind"] == "template"}
    prototypes = {shape["id"]: shape for shape in shapes if shape["kind"] == "prototype"}
    assert templates.keys() == ward.run.class_templates.keys()
    assert prototypes.keys() == ward.run.prototype_waves.keys()
    for waves, found in ((ward.run.class_templates, templates), (ward.run.prototype_waves, prototypes)):
        for id, wave in waves.items():
            assert np.abs(frame.trace(found[id]["trace"]) - wave).max() < 0.002
    sizes = ward.run.library.set_index("prototype_id")["size"]
    assert all(shape["size"] == sizes[id] and 0 < shape["purity"] <= 1 for id, shape in prototypes.items())
    # The R-peak of a beat stands where "pre_ms" says.
    shape = templates[0]
    assert int(np.argmax(np.abs(frame.trace(shape["trace"])))) == pytest.approx(
        shape["pre_ms"] / 1000 * shape["fs"], abs=2
    )


# Items


def test_items_of_a_queue_with_the_strips_they_lie_on(ward: Ward) -> None:
    header = ward.items(ward.page, "t1", 10)
    assert len(header["items"]) == 10 and header["left"] == header["total"] > 20
    assert [item["position"] for item in header["items"]] == list(range(10))
    for item in header["items"]:
        strip = header["strips"][item["strip"]]
        beat = strip["beats"][item["beat"]]
        assert item["key"] == beat_target(item["strip"], beat["anchor"])
        assert (item["kind"], item["suggestion"], item["blind"]) == ("beat", 2, False)
        assert "confidence" in item["reasons"] and len(item["why"]) == len(item["reasons"])
        assert 0 < item["confidence"] < 0.6
    # A strip that the tab has is not sent again; the item still says which of its beats it is.
    known = header["items"][0]["strip"]
    again = ward.items(ward.page, "t1", 10, strips=[known])
    assert known not in again["strips"]
    assert [item["beat"] for item in again["items"]] == [item["beat"] for item in header["items"]]


def test_two_tabs_and_two_readers_never_get_one_item(ward: Ward) -> None:
    other = ward.served.page(ward.study, "Ben")
    asked = [(ward.page, "t1"), (ward.page, "t2"), (other, "t3")]
    found = [[item["key"] for item in ward.items(page, tab)["items"]] for page, tab in asked]
    assert len({key for keys in found for key in keys}) == 30
    # "have" renews, and what is not named is let go of.
    more = ward.items(ward.page, "t1", 5, have=found[0][:5])
    assert more["held"] == found[0][:5]
    assert [item["key"] for item in more["items"]] == found[0][5:]
    held = ward.page.post("leases", {"tab": "t1", "have": [*found[0][:2], found[1][0]]}).json
    assert held == {"held": found[0][:2]}
    assert ward.page.post("leases", {"tab": "t1", "have": []}).json == {"held": []}
    assert [item["key"] for item in ward.items(other, "t4", 3)["items"]] == found[0][:3]


def test_tabs_that_ask_at_once_share_nothing(ward: Ward) -> None:
    asked = [(ward.served.page(ward.study, reader), f"{reader}{tab}") for reader in ("Ada", "Ben") for tab in range(4)]

    def ask(one: tuple[Page, str]) -> list[str]:
        have: list[str] = []
        for _ in range(3):
            have += [item["key"] for item in ward.items(*one, count=4, have=have)["items"]]
        return have

    with ThreadPoolExecutor(8) as pool:
        found = [key for keys in pool.map(ask, asked) for key in keys]
    assert len(found) == len(set(found)) > 50


def test_a_lease_that_ran_out_gives_the_item_to_who_asks_next(store: Store, ward: Ward) -> None:
    late = [now()]
    serving = Serving(store, leases=Leases(store.engine, clock=lambda: late[0]))
    message = {"queue": ward.queue(), "tab": "t1", "count": 3, "have": [], "strips": []}

    def keys(reader: str, tab: str, **more: Any) -> list[str]:
        frame = read_frame(serving.items(Pass(ward.study.id, reader, "s"), message | {"tab": tab} | more))
        return [item["key"] for item in frame.header["items"]]

    first = keys("Ada", "t1")
    assert not set(keys("Ben", "t2")) & set(first)
    late[0] += LEASE
    assert keys("Eve", "t3") == first
    assert serving.leases(Pass(ward.study.id, "Ada", "s"), {"tab": "t1", "have": first}) == []


def test_what_is_settled_leaves_the_queue_and_what_is_undone_comes_back(ward: Ward) -> None:
    before = ward.items(ward.page, "t1", 4)
    keys = [item["key"] for item in before["items"]]
    # As the strips are labelled, else the two would disagree and that would be an item, too.
    made = [decision(item["key"], new=before["strips"][item["strip"]]["label"]) for item in before["items"][:2]]
    assert ward.page.decide(*made).status == 200
    after = ward.items(ward.page, "t1", 4, have=keys)
    assert (after["total"], after["left"]) == (before["total"], before["left"] - 2)
    assert not set(keys) & {item["key"] for item in after["items"]}
    # They stand behind those that the tab has already.
    assert min(item["position"] for item in after["items"]) > max(item["position"] for item in before["items"])
    assert ward.page.decide(decision(keys[0], new=None, old="PVC", undoes=made[0]["id"])).status == 200
    back = ward.items(ward.page, "t1", 4)
    assert back["left"] == before["left"] - 1
    assert keys[0] in {item["key"] for item in back["items"]} and keys[1] not in {item["key"] for item in back["items"]}


def test_an_unsure_item_is_the_second_readers_and_blind(ward: Ward) -> None:
    first = ward.items(ward.page, "t1", 3)["items"][0]
    others = ward.items(ward.page, "t1", 1)["strips"][first["strip"]]["beats"]
    neighbour = next(beat for beat in others if beat_target(first["strip"], beat["anchor"]) != first["key"])
    ward.page.decide(
        decision(first["key"], "unsure", 1),
        decision(first["key"], "note", "odd"),
        decision(beat_target(first["strip"], neighbour["anchor"]), "label", "AFib"),
        decision(strip_target(first["strip"]), "note", "look"),
    )
    queue = ward.queue(reasons=["unsure"])
    assert ward.items(ward.page, "t1", queue=queue)["items"] == []
    ben = ward.served.page(ward.study, "Ben")
    seen = ward.items(ben, "t2", queue=queue, strips=[first["strip"]])
    assert [(item["key"], item["blind"]) for item in seen["items"]] == [(first["key"], True)]
    strip = seen["strips"][first["strip"]]  # though the tab has it: as others see it
    assert strip["note"] == ""
    assert all((beat["note"], beat["unsure"]) == ("", False) and beat["label"] != 5 for beat in strip["beats"])
    assert strip["beats"][seen["items"][0]["beat"]]["id"] is not None


@on_sqlite
def test_filters_and_orders_of_a_queue(ward: Ward) -> None:
    patient = ward.run.metadata["patient_id"].iloc[0]
    some = ward.items(ward.page, "t1", queue=ward.queue(patients=[str(patient)]))
    assert {strip["patient"] for strip in some["strips"].values()} == {str(patient)}
    assert ward.items(ward.page, "t1", queue=ward.queue(labels=["PAC"]))["items"] == []
    assert len(ward.items(ward.page, "t1", queue=ward.queue(labels=["PVC"]))["items"]) == 10
    assert len(ward.items(ward.page, "t1", queue=ward.queue(labels=[2]))["items"]) == 10
    sure = [item["confidence"] for item in ward.items(ward.page, "t1", queue=ward.queue(order="likely"))["items"]]
    assert sure == sorted(sure, reverse=True)


@on_sqlite
def test_a_queue_that_cannot_be_given(ward: Ward) -> None:
    good = {"queue": ward.queue(), "tab": "t1", "count": 1}
    bad: list[dict[str, Any]] = [
        {"queue": None},
        {"queue": ward.queue(order="colour")},
        {"queue": ward.queue(order=5)},
        {"queue": ward.queue(labels=["Fish"])},
        {"queue": ward.queue(labels=[1.5])},
        {"queue": ward.queue(run="gone")},
        {"queue": ward.queue(prediction=ward.row.id)},
        {"tab": None},
        {"tab": "a b"},
        {"tab": "x" * 65},
        {"count": -1},
        {"count": 1000},
        {"count": "ten"},
        {"have": "all"},
        {"have": ["x" * 300]},
        {"have": [1]},
        {"strips": [1]},
    ]
    for change in bad:
        answer = ward.page.post("items", good | change)
        assert (answer.status, answer.json["code"]) == (400, "message"), change
    assert ward.page.post("items", good).status == 200


@on_sqlite
def test_a_run_whose_files_are_gone(ward: Ward) -> None:
    row = enter(ward.store, ward.study, "preprocess", lambda folder: folder.mkdir(parents=True))
    answer = ward.page.post("strips", {"run": row.id, "strips": [0]})
    assert answer.status in (400, 503) and answer.json["error"]
