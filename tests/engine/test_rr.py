"""RR intervals: measured between neighbours of one strip, never across strips or noise, and never made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_engine.figures.rr import rr_figure, rr_histogram
from ecg_engine.labels import label_id
from ecg_engine.rr import bin_of, binned, inside, of_usual, rr_intervals, spread
from tests.engine.making import run_of

NORMAL, PVC = label_id("Normal"), label_id("PVC")


def test_intervals_end_where_a_strip_ends() -> None:
    intervals = rr_intervals(np.array([7, 7, 7, 8, 8]), np.array([100, 900, 1500, 1600, 2600]))
    np.testing.assert_array_equal(intervals.before, [np.nan, 800, 600, np.nan, 1000])
    np.testing.assert_array_equal(intervals.after, [800, 600, np.nan, 1000, np.nan])
    np.testing.assert_array_equal(intervals.rate, [np.nan, 75, 100, np.nan, 60])
    assert intervals.both.tolist() == [False, True, False, False, False]


def test_an_interval_that_touches_noise_is_not_measured() -> None:
    times, strip = np.array([0, 800, 1600, 2400]), np.zeros(4, dtype=int)
    noise = np.array([False, True, False, False])
    assert np.isnan(rr_intervals(strip, times, noise).before[:3]).all()
    assert rr_intervals(strip, times, noise).before[3] == 800
    np.testing.assert_array_equal(rr_intervals(strip, times, noise, with_noise=True).before[1:], [800, 800, 800])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 10_000)), unique=True, max_size=40), st.randoms())
def test_the_order_in_which_beats_are_given_does_not_matter(beats: list[tuple[int, int]], random: object) -> None:
    random.shuffle(shuffled := list(beats))  # type: ignore[attr-defined]
    found = []
    for some in (beats, shuffled):
        strip, time = (np.array([one[k] for one in some], dtype=np.int64) for k in (0, 1))
        intervals = rr_intervals(strip, time)
        found.append(dict(zip(some, zip(*intervals[:2], strict=True), strict=True)))
    assert found[0].keys() == found[1].keys()
    for key, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][key])
    # What lies before one beat lies after another.
    total = [np.nansum([values[k] for values in found[0].values()]) for k in (0, 1)]
    assert total[0] == total[1]


@pytest.mark.golden
def test_inner_intervals_are_those_of_the_run(reference_folder: Path) -> None:
    run = run_of(reference_folder / "strips.xlsx")
    table = run.metadata
    strip = table["source_row"].to_numpy()
    intervals = rr_intervals(strip, 1000 * table["r_time_sec"].to_numpy())
    inner = np.isfinite(intervals.before)
    assert inner.sum() == len(table) - table["source_row"].nunique(), "one less than beats on each strip"
    np.testing.assert_allclose(intervals.before[inner], 1000 * table["rr_prev_sec"].to_numpy()[inner], atol=0.2)
    inner = np.isfinite(intervals.after)
    np.testing.assert_allclose(intervals.after[inner], 1000 * table["rr_next_sec"].to_numpy()[inner], atol=0.2)


def test_a_beat_is_early_by_the_measure_of_its_own_strip() -> None:
    before = np.array([1000.0, 1000, 700, 500, 500, np.nan])
    shares = of_usual(before, np.array([0, 0, 0, 1, 1, 1]))
    np.testing.assert_allclose(shares, [1, 1, 0.7, 1, 1, np.nan])
    assert np.isnan(of_usual(np.array([np.nan]), np.array([0]))).all()


def test_bins_hold_every_interval_once() -> None:
    values = np.array([799.9, 800.0, 819.9, 820.0, 1000.0, np.nan])
    edges, counts = binned(values)
    assert counts.sum() == 5 and set(np.diff(edges)) == {20.0}
    assert dict(zip(edges, counts, strict=True))[800.0] == 2
    assert bin_of(np.array([799.9, 820.0])).tolist() == [780, 820]
    assert len(binned(np.array([np.nan]))[0]) == 0


def test_spread_leaves_out_what_was_not_measured() -> None:
    assert spread(np.array([np.nan, 500.0, 700.0, 900.0])) == (3, 700.0, 500.0, 900.0)
    assert spread(np.array([np.nan])).n == 0


def test_areas_as_a_hand_draws_them() -> None:
    x, y = np.array([1.0, 5.0, 3.0, np.nan]), np.array([1.0, 1.0, 5.0, 1.0])
    assert inside(x, y, [4, 0], [2, 0]).tolist() == [True, False, False, False]
    assert inside(x, y, [0, 6, 3], [0, 0, 4]).tolist() == [True, True, False, False]


def test_the_scatter_says_how_many_it_draws_and_keeps_rare_labels_and_the_beat_in_hand() -> None:
    rng = np.random.default_rng(1)
    n = 20_000
    before, after = rng.normal(800, 50, n), rng.normal(800, 50, n)
    labels = np.where(np.arange(n) < 12, PVC, NORMAL)
    before[100] = np.nan
    figure = rr_figure(before, after, labels, beat_ids=np.arange(n) + 7, selected=15_007, max_points=1000,
                       words=lambda rows: [f"beat {row}" for row in rows])  # fmt: skip
    points = {trace.name.split(" (")[0]: trace for trace in figure.data if trace.mode == "markers"}
    assert len(points["V PVC"].x) == 12, "none of the few is left out"
    assert all(text == f"beat {id - 7}" for id, text, _ in points["V PVC"].customdata)
    drawn = {id for trace in points.values() if trace.customdata is not None for id, *_ in trace.customdata}
    assert 15_007 in drawn and points["in hand"].x[0] == before[15_000]
    words = figure.layout.annotations[0].text
    assert words == f"{len(drawn):,} of 19,999 beats; 1 without an interval on both sides" in figure.layout.meta["alt"]
    symbols = {trace.marker.symbol for name, trace in points.items() if name != "in hand"}
    assert len(symbols) == 2, "never by colour alone"


def test_a_beat_far_away_does_not_press_the_others_into_a_corner() -> None:
    before = np.append(np.full(500, 800.0), 9000.0)
    figure = rr_figure(before, before, np.zeros(501, dtype=int))
    assert figure.layout.xaxis.range[1] < 2000
    assert "1 beyond the axes" in figure.layout.annotations[0].text


def test_the_histogram_counts_each_interval_and_tells_rates() -> None:
    before = np.array([np.nan, 1000, 1000, 990, 500, 1010])
    figure = rr_histogram(before, np.array([NORMAL, NORMAL, NORMAL, NORMAL, PVC, NORMAL]))
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert sum(sum(bar.y) for bar in bars) == 5
    assert [bar.name for bar in bars] == ["N Normal", "V PVC"]
    ticks = dict(zip(figure.layout.xaxis2.ticktext, figure.layout.xaxis2.tickvals, strict=True))
    assert ticks["60"] == 1000 and list(figure.layout.xaxis2.range) == list(figure.layout.xaxis.range)
    assert "Median 1000 ms (60 bpm)" in figure.layout.meta["alt"]


def test_charts_without_intervals_say_so() -> None:
    nothing = np.array([np.nan])
    assert "No beat" in rr_figure(nothing, nothing, np.array([0])).layout.meta["alt"]
    assert "No beat" in rr_histogram(nothing, np.array([0])).layout.meta["alt"]
