"""The Seeds page: basket, candidates, decisions on them, and CSV in and out."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from streamlit.testing.v1 import AppTest

from ecg_engine.labels import label_name
from ecg_engine.preprocess import Run
from state.anchors import beat_index
from state.deciding import decide
from state.seeding import mine, target_of
from tests.pages.conftest import Opened
from tests.pages.test_prototypes import effective_of, run_of

LABEL = 2
EVERYTHING = {"search_rows": 10_000, "top_k": 20, "least_similarity": -1.0}


def with_seeds(opened: Opened, count: int = 1, **settings: float) -> tuple[Run, list[int]]:
    """The study with seeds in its basket; candidates are searched everywhere unless told otherwise."""
    row, run = run_of(opened)
    index = beat_index(run, row.id)
    usable = np.flatnonzero((np.asarray(run.labels) == LABEL) & (np.asarray(run.noise_flags) == 0))
    rows = usable[:: max(len(usable) // count, 1)][:count].tolist()
    said = [decide(opened.study.id, "Somebody", target_of(run, index, i), "seed", LABEL) for i in rows]
    opened.store.decisions.add(said)
    opened.store.studies.set(opened.study.id, mining={**EVERYTHING, **settings})
    return run, run.metadata["beat_global_id"].to_numpy()[rows].tolist()


def mine_labels(opened: Opened) -> list[tuple[str, str | None]]:
    """Field and value of what Dr Test decided and still holds."""
    active = opened.store.decisions.active(opened.study.id)
    return [(made.field, made.new) for made in active if made.reader == "Dr Test"]


def counts(app: AppTest) -> str:
    (text,) = [one.value for one in app.markdown if "candidates** are similar enough" in one.value]
    return text


def shown(app: AppTest) -> int:
    """How many the button offers to accept."""
    match = re.search(r"(\d+)", app.button(key="accept_all").label)
    assert match is not None
    return int(match.group(1))


def candidates(opened: Opened, run: Run, seed: int) -> pd.DataFrame:
    found = mine(run, effective_of(opened), 10_000, 20)
    return found[found["seed_beat_global_id"] == seed].reset_index(drop=True)


def test_empty_states_name_the_next_step(with_files: Opened) -> None:
    app = with_files.page("seeds")
    assert "Go to Upload" in [one.label for one in app.button]


def test_an_empty_basket_leads_to_strips_and_prototypes(preprocessed: Opened) -> None:
    app = preprocessed.page("seeds")
    assert {"Go to Strips", "Go to Prototypes"} <= {one.label for one in app.button}


def test_accepting_labels_the_beat_and_goes_on(preprocessed: Opened) -> None:
    run, (seed,) = with_seeds(preprocessed)
    expected = candidates(preprocessed, run, seed)
    app = preprocessed.page("seeds")
    assert counts(app).startswith(f"**{len(expected)} of {len(expected)} candidates**")
    assert shown(app) == len(expected)
    for place in (0, 1):
        app.button(key="candidate_accept").click().run()
        assert not app.exception
        effective = effective_of(preprocessed)
        row = int(expected["row"][place])
        assert effective.labels[row] == LABEL and effective.source[row] == "beat"
        assert f"{place + 1} accepted" in counts(app)
        assert shown(app) == len(expected) - place - 1
    (first, _second) = [
        one for one in preprocessed.store.decisions.active(preprocessed.study.id) if one.field == "label"
    ]
    assert f"like seed beat {seed}, similarity {expected['similarity'][0]:.3f}" == first.reason
    app.button(key="seeds_undo").click().run()
    assert effective_of(preprocessed).source[int(expected["row"][1])] != "beat"
    assert shown(app) == len(expected) - 1


def test_a_rejected_candidate_keeps_its_label_and_is_not_offered_again(preprocessed: Opened) -> None:
    _run, (_seed,) = with_seeds(preprocessed)
    before = effective_of(preprocessed)
    app = preprocessed.page("seeds")
    offered = shown(app)
    app.button(key="candidate_reject").click().run()
    assert mine_labels(preprocessed) == [("not_like", label_name(LABEL))]
    after = effective_of(preprocessed)
    assert (after.labels == before.labels).all() and (after.noise_flags == before.noise_flags).all()
    assert shown(app) == offered - 1 and "1 rejected" in counts(app)
    again = preprocessed.page("seeds")
    assert shown(again) == offered - 1
    again.segmented_control(key="candidates_shown").set_value("All").run()
    assert again.button(key="candidate_reject").label == "Reopen", "the first card is the rejected one"
    again.button(key="candidate_reject").click().run()
    assert mine_labels(preprocessed) == []
    assert shown(again) == offered


def test_accepting_all_asks_first_and_is_undone_in_one_go(preprocessed: Opened) -> None:
    run, (seed,) = with_seeds(preprocessed)
    found = candidates(preprocessed, run, seed)
    least = round(float(found["similarity"].median()) + 0.005, 2)
    preprocessed.store.studies.set(preprocessed.study.id, mining={**EVERYTHING, "least_similarity": least})
    above = found[found["similarity"] >= least]
    assert 1 < len(above) < len(found)
    labels = effective_of(preprocessed).labels
    app = preprocessed.page("seeds")
    assert shown(app) == len(above)
    app.button(key="accept_all").click().run()
    assert mine_labels(preprocessed) == [], "nothing is decided before it is confirmed"
    app.button(key="accept_all_yes").click().run()
    assert not app.exception
    assert mine_labels(preprocessed) == [("label", label_name(LABEL))] * len(above)
    effective = effective_of(preprocessed)
    assert (effective.labels[above["row"]] == LABEL).all()
    assert (effective.source[found["row"][len(above) :]] != "beat").all()
    app.button(key="seeds_undo").click().run()
    assert mine_labels(preprocessed) == []
    assert (effective_of(preprocessed).labels == labels).all()


def test_seeds_are_walked_through_relabelled_and_removed(preprocessed: Opened) -> None:
    _run, seeds = with_seeds(preprocessed, 3)
    app = preprocessed.page("seeds")
    app.button(key="seed_after").click().run()
    assert app.query_params["seed"] == str(seeds[1])
    assert f"Beat {seeds[1]}" in [one.value for one in app.subheader]
    app.selectbox(key=f"label_of_seed_{seeds[1]}_{LABEL}").set_value(9).run()
    held = effective_of(preprocessed).seeds.set_index("beat_global_id")["label_name"]
    assert held[seeds[1]] == label_name(9)
    app.button(key="seed_remove").click().run()
    assert set(effective_of(preprocessed).seeds["beat_global_id"]) == {seeds[0], seeds[2]}
    app.button(key="seeds_undo").click().run()
    assert effective_of(preprocessed).seeds.set_index("beat_global_id")["label_name"][seeds[1]] == label_name(9)


def test_search_settings_change_what_is_found_and_are_kept(preprocessed: Opened) -> None:
    run, (seed,) = with_seeds(preprocessed)
    app = preprocessed.page("seeds")
    (top,) = [one for one in app.number_input if one.label == "Candidates for each seed"]
    top.set_value(7).run()
    assert counts(app).startswith("**7 of 7 candidates**")
    again = preprocessed.page("seeds")
    assert counts(again).startswith("**7 of 7 candidates**")
    (rows,) = [one for one in again.number_input if one.label.startswith("Strips to search")]
    rows.set_value(1).run()
    first = run.metadata["source_row"] == run.metadata["source_row"].min()
    most = int((first & (run.metadata["noise_flag"] == 0) & (run.metadata["beat_global_id"] != seed)).sum())
    assert counts(again).startswith(f"**{min(7, most)} of {min(7, most)} candidates**")


def test_a_seed_table_is_taken_in_and_says_which_rows_it_leaves_out(preprocessed: Opened) -> None:
    _, run = run_of(preprocessed)
    a, b = run.metadata["beat_global_id"].iloc[[3, 40]].tolist()
    text = f"Beat_Global_ID;label_name\n{a};pvc\n{b};AFib\n{a};PVC\n;PVC\n999999;PVC\n{b + 1};Banana\n"
    app = preprocessed.page("seeds")
    app.file_uploader[0].set_value(("seeds.csv", text.encode(), "text/csv")).run()
    assert any(one.value == "**2 seeds** can be added; **4 rows cannot be used**." for one in app.markdown)
    dropped = app.dataframe[0].value
    assert dropped["row"].tolist() == [4, 5, 6, 7]
    assert "the labels are" in dropped["reason"].iloc[3]
    (add,) = [one for one in app.button if one.label == "Add 2 seeds"]
    add.click().run()
    assert not app.exception
    held = effective_of(preprocessed).seeds.set_index("beat_global_id")["label_name"].to_dict()
    assert held == {a: "PVC", b: "AFib"}
    app.button(key="seeds_undo").click().run()
    assert len(effective_of(preprocessed).seeds) == 0, "one undo for the whole table"


def test_a_file_that_is_no_seed_table_is_refused_in_words(preprocessed: Opened) -> None:
    app = preprocessed.page("seeds")
    app.file_uploader[0].set_value(("seeds.csv", b"name,age\nA,3\n", "text/csv")).run()
    assert "needs beat_global_id and label_name" in app.error[0].value


def test_a_candidate_opens_on_its_strip(preprocessed: Opened) -> None:
    run, (seed,) = with_seeds(preprocessed)
    first = candidates(preprocessed, run, seed).iloc[0]
    app = preprocessed.page("seeds")
    app.button(key="candidate_strip").click().run()
    chosen = app.session_state["chosen"]
    assert chosen["beat"] == str(first["candidate_beat_global_id"])
    assert chosen["strip"] == str(first["source_row"])
