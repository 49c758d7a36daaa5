"""The Prototypes page: what the screen says and what the store holds after each action."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from ecg_engine.artifacts import load_run
from ecg_engine.config import ValidateConfig
from ecg_engine.labels import NOISE
from ecg_engine.preprocess import Run
from ecg_engine.validation import validate_library
from state.anchors import beat_index
from state.deciding import decide
from state.effective import Effective, effective_labels
from state.members import effective_library
from state.runs import PREPROCESS, RunRow
from state.seeding import target_of
from state.targets import prototype_target
from tests.pages.conftest import Opened


def run_of(opened: Opened) -> tuple[RunRow, Run]:
    row = opened.store.runs.newest(opened.study.id, PREPROCESS)
    assert row is not None
    return row, load_run(opened.store.runs.path(row))


def effective_of(opened: Opened) -> Effective:
    row, run = run_of(opened)
    return effective_labels(run, opened.store.decisions.listing(opened.study.id), run_id=row.id)


def suspicious(app: AppTest) -> tuple[int, int]:
    """What the page says: suspicious ones, and all."""
    found = [re.match(r"\*\*(\d+) of (\d+) prototypes are suspicious", one.value) for one in app.markdown]
    (match,) = [one for one in found if one]
    return int(match.group(1)), int(match.group(2))


def chosen(app: AppTest) -> int:
    (title,) = [one.value for one in app.subheader if one.value.startswith("Prototype ")]
    return int(title.split()[1])


def facts(app: AppTest) -> str:
    """The sentence on the chosen one."""
    (text,) = [one.value for one in app.markdown if "mean RR before" in one.value]
    return text


def limit(app: AppTest, label: str) -> AppTest:
    (found,) = [one for one in app.number_input if one.label == label]
    return found


def test_without_a_run_the_page_leads_to_upload(with_files: Opened) -> None:
    app = with_files.page("prototypes")
    assert any("No prototypes yet" in one.value for one in app.markdown)
    assert [one.label for one in app.button if one.key == "empty_pages/upload.py"] == ["Go to Upload"]


def test_suspicious_ones_are_counted_by_the_limits_at_once_and_the_limits_are_kept(preprocessed: Opened) -> None:
    _row, run = run_of(preprocessed)
    app = preprocessed.page("prototypes")
    assert suspicious(app) == (
        validate_library(run.library, ValidateConfig()).summary["num_suspicious"],
        len(run.library),
    )
    limit(app, "Fewest beats").set_value(30).run()
    limit(app, "Least purity (%)").set_value(95).run()
    config = ValidateConfig(min_size=30, min_purity=0.95)
    expected = validate_library(run.library, config).summary["num_suspicious"]
    assert suspicious(app) == (expected, len(run.library))
    again = preprocessed.page("prototypes")
    assert limit(again, "Fewest beats").value == 30
    assert suspicious(again)[0] == expected
    for label, value in (("Fewest beats", 0), ("Least purity (%)", 0), ("Most noise (%)", 100)):
        limit(again, label).set_value(value).run()
    assert suspicious(again)[0] == 0


def test_next_and_previous_follow_the_gallery_and_stand_in_the_address(preprocessed: Opened) -> None:
    _, run = run_of(preprocessed)
    app = preprocessed.page("prototypes")
    first, seen = chosen(app), []
    for _ in range(len(run.library)):
        seen.append(chosen(app))
        app.button(key="prototype_after").click().run()
    assert sorted(seen) == sorted(run.library["prototype_id"])
    assert chosen(app) == first
    dominant = run.library.set_index("prototype_id")["dominant_label"][seen].tolist()
    changes = sum(a != b for a, b in itertools.pairwise(dominant))
    assert changes == len(set(dominant)) - 1, "prototypes of one dominant label stand together"
    app.button(key="prototype_before").click().run()
    assert chosen(app) == seen[-1]
    assert app.query_params["prototype"] == str(seen[-1])
    assert chosen(preprocessed.page("prototypes", prototype=seen[2])) == seen[2]


def test_only_suspicious_ones_are_walked_through_when_only_they_are_shown(preprocessed: Opened) -> None:
    _, run = run_of(preprocessed)
    app = preprocessed.page("prototypes")
    size = int(np.sort(run.library["size"])[len(run.library) // 2])
    limit(app, "Fewest beats").set_value(size).run()
    limit(app, "Least purity (%)").set_value(0).run()
    limit(app, "Most noise (%)").set_value(100).run()
    app.segmented_control(key="prototypes_shown").set_value("Suspicious only").run()
    small = set(run.library.loc[run.library["size"] < size, "prototype_id"])
    seen = set()
    for _ in range(len(small)):
        app.button(key="prototype_after").click().run()
        seen.add(chosen(app))
    assert seen == small


@pytest.mark.parametrize("label", [2, NOISE])
def test_labelling_a_prototype_labels_its_beats_and_undo_takes_it_back(preprocessed: Opened, label: int) -> None:
    row, run = run_of(preprocessed)
    mixed = validate_library(run.library, ValidateConfig()).detail.sort_values("purity").iloc[0]
    prototype = int(mixed["prototype_id"])
    app = preprocessed.page("prototypes", prototype=prototype)
    before, labels_before = facts(app), effective_of(preprocessed).labels
    app.button(key=f"prototype_label_{label}").click().run()
    assert not app.exception
    (decision,) = preprocessed.store.decisions.active(preprocessed.study.id)
    assert decision.target == prototype_target(row.id, prototype)
    assert decision.reader == "Dr Test"
    members = np.asarray(run.cluster_ids) == prototype
    assert sum(len(times) for times in decision.payload["members"].values()) == members.sum()
    labels = effective_of(preprocessed).labels
    assert (labels[members] == label).all()
    assert (labels[~members] == labels_before[~members]).all()
    assert "purity 100%" in facts(app) and facts(app) != before
    app.button(key=f"prototype_label_{label}").click().run()
    assert len(preprocessed.store.decisions.active(preprocessed.study.id)) == 1, "said once is said"
    app.button(key="prototype_undo").click().run()
    assert facts(app) == before
    assert (effective_of(preprocessed).labels == labels_before).all()


def test_purity_counts_what_was_decided_beat_by_beat(preprocessed: Opened) -> None:
    row, run = run_of(preprocessed)
    index = beat_index(run, row.id)
    library = run.library.set_index("prototype_id")
    prototype = int(library["size"].idxmax())
    members = np.flatnonzero(np.asarray(run.cluster_ids) == prototype)
    other = 9 if library["dominant_label"][prototype] != 9 else 7
    some = members[: len(members) // 2]
    preprocessed.store.decisions.add(
        [decide(preprocessed.study.id, "Dr Test", target_of(run, index, int(i)), "label", other) for i in some]
    )
    effective = effective_of(preprocessed)
    kept = effective_library(run, index, effective)
    now = validate_library(kept, labels=effective.labels, cluster_ids=index.prototypes).detail
    values = now[now["prototype_id"] == prototype].iloc[0]
    app = preprocessed.page("prototypes", prototype=prototype)
    assert f"purity {values['purity']:.0%} (of all labels {values['purity_all']:.0%})" in facts(app)
    assert values["purity"] < validate_library(run.library).detail.set_index("prototype_id")["purity"][prototype]
    app.button(key="prototype_label_1").click().run()
    assert (effective_of(preprocessed).labels[some] == other).all(), "what was said of a beat itself comes first"
    assert any(f"{len(some)} of its beats were decided one by one" in one.value for one in app.caption)


def test_typical_members_become_seeds_and_open_on_their_strip(preprocessed: Opened) -> None:
    _, run = run_of(preprocessed)
    app = preprocessed.page("prototypes")
    prototype = chosen(app)
    for count in (1, 2):
        app.button(key="seed_first").click().run()
        seeds = effective_of(preprocessed).seeds
        assert len(seeds) == count
    assert (np.asarray(run.cluster_ids)[seeds["beat_global_id"]] == prototype).all()
    dominant = validate_library(run.library).detail.set_index("prototype_id")["dominant_label_name"][prototype]
    assert set(seeds["label_name"]) == {dominant}
    app.button(key="prototype_undo").click().run()
    assert len(effective_of(preprocessed).seeds) == 1
    app.button(key="open_first").click().run()
    beat, strip = (int(app.session_state["chosen"][name]) for name in ("beat", "strip"))
    assert run.metadata.set_index("beat_global_id")["source_row"][beat] == strip
    assert not [one for one in app.subheader if one.value.startswith("Prototype ")], "the Strips page is open"


def test_the_tables_can_be_taken_away(preprocessed: Opened) -> None:
    app = preprocessed.page("prototypes")
    labels = {one.label for one in app.get("download_button")}
    assert {"All prototypes, checked", "By label", "Suspicious ones", "Prototype library"} <= labels
