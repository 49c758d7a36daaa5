"""RR on the Strips page: what the charts count, the beats chosen in them, and labelling them in one go."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from components.rr_view import LIST, PATIENT, STRIP, _in_histogram, _in_scatter
from components.strips_views import RR, VIEW
from ecg_engine.labels import NOISE, label_id
from ecg_engine.preprocess import Run
from state.anchors import BeatIndex, beat_index
from state.deciding import Decision, decide
from state.effective import Effective, effective_labels
from state.rr_beats import label_beats, rr_beats, strips_of_patient
from state.targets import beat_target
from tests.pages.conftest import Opened
from tests.pages.test_app import address, texts
from tests.pages.test_prototypes import run_of

PVC, NORMAL = label_id("PVC"), label_id("Normal")


def rr_page(opened: Opened, scope: str = PATIENT, **address: object) -> AppTest:
    app = opened.page("strips", **address)
    app.session_state[VIEW] = RR
    app.session_state["rr_scope"] = scope
    app.run()
    assert not app.exception, [error.value for error in app.exception]
    return app


def everything(opened: Opened) -> tuple[Run, BeatIndex, Effective]:
    row, run = run_of(opened)
    index = beat_index(run, row.id)
    return run, index, effective_labels(index, opened.store.decisions.listing(opened.study.id))


def beats_of(opened: Opened, places: list[int], *, with_noise: bool = False) -> pd.DataFrame:
    return rr_beats(*everything(opened), np.array(places), with_noise=with_noise)


def made(opened: Opened) -> list[Decision]:
    return opened.store.decisions.active(opened.study.id)


def of_strip(opened: Opened, place: int = 3) -> tuple[int, pd.DataFrame]:
    """Number of a strip, and its beats that are no noise."""
    run = run_of(opened)[1]
    assert run.strips is not None
    return int(run.strips.source_row[place]), beats_of(opened, [place])


@pytest.mark.parametrize("scope", [STRIP, PATIENT, LIST])
def test_each_scope_counts_its_own_beats(preprocessed: Opened, scope: str) -> None:
    run = run_of(preprocessed)[1]
    assert run.strips is not None
    strip, _ = of_strip(preprocessed)
    places = {STRIP: [3], PATIENT: strips_of_patient(run, 3).tolist(), LIST: list(range(len(run.strips)))}[scope]
    expected = beats_of(preprocessed, places)
    app = rr_page(preprocessed, scope, strip=strip)
    strips = expected["place"].nunique()
    assert f"**{len(expected):,} beats** on {strips} strip" in texts(app)


def test_r_peaks_that_readers_changed_change_the_intervals(preprocessed: Opened) -> None:
    run, _index, _ = everything(preprocessed)
    assert run.strips is not None
    before = beats_of(preprocessed, [3], with_noise=True)
    hash = str(run.strips.strip_hash[3])
    first, second, third = before["anchor_ms"].tolist()[:3]
    said = [
        decide(preprocessed.study.id, "Dr Test", beat_target(hash, second), "peak", "deleted"),
        decide(preprocessed.study.id, "Dr Test", beat_target(hash, third), "peak", third + 60),
        decide(preprocessed.study.id, "Dr Test", beat_target(hash, first + 200), "peak", "added"),
    ]
    preprocessed.store.decisions.add(said)
    after = beats_of(preprocessed, [3], with_noise=True)
    assert after["time_ms"].tolist()[:3] == [first, first + 200, third + 60]
    assert after["before"].tolist()[1:3] == [200, third + 60 - first - 200]
    assert after["beat_id"].tolist()[1] == -1, "an added beat has no number in the run yet"


def test_no_interval_reaches_over_noise_or_into_another_strip(preprocessed: Opened) -> None:
    run, _index, effective = everything(preprocessed)
    assert run.strips is not None
    every = beats_of(preprocessed, list(range(len(run.strips))), with_noise=True)
    firsts = every.groupby("place").head(1)
    assert firsts["before"].isna().all()
    quiet = beats_of(preprocessed, list(range(len(run.strips))))
    assert not (quiet["label"] == NOISE).any() and len(quiet) == int((~effective.noisy).sum())
    noisy_before = every.groupby("place")["label"].shift(1).eq(NOISE) & every["label"].ne(NOISE)
    touched = quiet[quiet["key"].isin(every.loc[noisy_before, "key"])]
    assert len(touched) and touched["before"].isna().all()


def test_chosen_beats_are_listed_labelled_in_one_go_and_undone_in_one_step(preprocessed: Opened) -> None:
    strip, beats = of_strip(preprocessed)
    chosen = beats.head(4)
    app = rr_page(preprocessed, STRIP, strip=strip)
    assert "Draw around points" in texts(app)
    app.session_state["rr_chosen"] = chosen["key"].tolist()
    app.run()
    assert "**4 beats chosen**" in texts(app)
    shown = next(one.value for one in app.dataframe if "usual" in one.value.columns)
    np.testing.assert_allclose(shown["time"], chosen["time_ms"] / 1000)
    app.selectbox(key="rr_label").select(PVC).run()
    assert not made(preprocessed), "nothing is decided before it is confirmed"
    app.button(key="rr_label_yes").click().run()
    assert [one.new for one in made(preprocessed)] == ["PVC"] * 4
    assert len({one.payload["batch"] for one in made(preprocessed)}) == 1
    assert beats_of(preprocessed, [3])["label"].tolist()[:4] == [PVC] * 4
    app.button(key="rr_undo").click().run()
    assert not made(preprocessed)


def test_what_a_reader_called_so_already_is_not_said_again(preprocessed: Opened) -> None:
    run, _, _ = everything(preprocessed)
    _, beats = of_strip(preprocessed)

    def by_me(target: str, field: str, new: object, *, old: object = None) -> Decision:
        return decide(preprocessed.study.id, "Dr Test", target, field, new, old=old)  # type: ignore[arg-type]

    first = label_beats(run, beats.head(2), PVC, by_me)
    preprocessed.store.decisions.add(first)
    _, now = of_strip(preprocessed)
    rest = label_beats(run, now.head(5), PVC, by_me)
    assert len(first) == 2 and len(rest) == 3
    assert {one.old for one in rest} <= {"Normal", "PVC", "PAC", "AFib"}
    noise = label_beats(run, now.head(1), NOISE, by_me)
    assert [(one.field, one.new, one.old) for one in noise] == [("noise", "1", "0")]


def test_a_row_leads_to_the_strip_at_that_beat(preprocessed: Opened) -> None:
    strip, beats = of_strip(preprocessed)
    app = rr_page(preprocessed, LIST)
    app.session_state["rr_chosen"] = beats["key"].tolist()
    app.run()
    listed = app.session_state["rr_listed"]
    assert listed[2] == (strip, int(beats["beat_id"].iloc[2]))

    def there(strip: int, beat: int) -> None:
        from components.strips_views import read
        from state import session

        session.begin()
        read(strip, beat)

    app = AppTest.from_function(there, args=listed[2])
    app.run()
    assert (address(app, "strip"), address(app, "beat")) == tuple(str(one) for one in listed[2])
    assert app.session_state[VIEW] == "Read"


def table() -> pd.DataFrame:
    before = np.array([800.0, 810, 400, np.nan, 805])
    return pd.DataFrame(
        {
            "key": [10, 11, 12, 13, 14],
            "before": before,
            "after": [800.0, 820, 1200, 800, np.nan],
            "label": [NORMAL, NORMAL, PVC, NORMAL, NORMAL],
        }
    )


def point(key: int) -> dict[str, object]:
    return {"customdata": [key, "", 75.0]}


def test_a_click_chooses_one_point_and_an_area_all_in_it_drawn_or_not() -> None:
    assert _in_scatter(table(), {"points": [point(12)], "box": [], "lasso": []}) == [12]
    area = [{"x": [700, 900], "y": [700, 900]}]
    # Only one of the two points in the area was drawn: the chart shows a part of many.
    assert _in_scatter(table(), {"points": [point(10)], "box": area, "lasso": []}) == [10, 11]
    lasso = [{"x": [300, 1300, 1300, 300], "y": [300, 300, 1300, 1300]}]
    both = {"points": [point(10), point(12)], "box": [], "lasso": lasso}
    assert _in_scatter(table(), both) == [10, 11, 12]
    assert _in_scatter(table(), {**both, "points": [point(12)]}) == [12], "what the legend hides is not meant"
    assert _in_scatter(table(), {"points": [], "box": [], "lasso": []}) is None


def test_a_bar_chooses_the_beats_that_it_counts() -> None:
    bar = {"customdata": [800, 820, 73.0, 75.0, NORMAL]}
    assert _in_histogram(table(), {"points": [bar]}) == [10, 11, 14]
    assert _in_histogram(table(), {"points": []}) is None


def test_a_list_without_strips_says_so(preprocessed: Opened) -> None:
    app = rr_page(preprocessed, LIST)
    app.session_state["strips_search"] = "no such strip"
    app.run()
    assert "The list has no beats but noise" in texts(app)
