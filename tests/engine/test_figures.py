"""Charts: a strip lies rightly on its paper, markers carry their beats, and what is left out is said."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ecg_engine.alerts import find_patterns
from ecg_engine.config import ValidateConfig
from ecg_engine.errors import ConfigError, InputError
from ecg_engine.figures import (
    GAINS,
    SPEEDS,
    Paper,
    beat_figure,
    candidates_overlay,
    centroids_figure,
    confusion_figure,
    curves_figure,
    members_overlay,
    nearest_prototypes,
    patterns_figure,
    pca_figure,
    pca_plane,
    prototypes_of_label,
    purity_figure,
    reasons_text,
    risk_coverage_figure,
    rr_scatter,
    strip_figure,
    template_figure,
    to_millivolts,
)
from ecg_engine.figures.charts import subsample
from ecg_engine.figures.paper import MAX_HEIGHT_MM
from ecg_engine.validation import validate_library

FS = 260.4


@pytest.fixture(scope="module")
def wave() -> np.ndarray:
    """Ten seconds at 200 units/mV around 1000: a spike of 1 mV each second."""
    x = np.full(2604, 1000.0)
    x[130::260] += 200
    return x


@pytest.fixture(scope="module")
def beats() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "beat_global_id": [70, 71, 72, 73],
            "r_index": [130, 390, 650, 910],
            "record_label": [0, 2, 0, 0],
            "noise_flag": [0, 0, 1, 0],
            "noise_reason": ["", "", "rr;small_cluster", ""],
        }
    )


def trace(figure: Any, name: str) -> Any:
    return next(one for one in figure.data if one.name == name)


def boxes(figure: Any, paper: Paper) -> tuple[float, float]:
    """Pixels of one millimetre along and across the paper."""
    layout = figure.layout
    across = (layout.width - layout.margin.l - layout.margin.r) / np.ptp(layout.xaxis.range) / paper.speed
    up = (layout.height - layout.margin.t - layout.margin.b) / np.ptp(layout.yaxis.range) / paper.gain
    return across, up


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("gain", GAINS)
def test_boxes_are_square_at_every_speed_and_gain(wave: np.ndarray, speed: float, gain: float) -> None:
    paper = Paper(speed=speed, gain=gain)
    figure = strip_figure(wave, FS, paper=paper)
    assert boxes(figure, paper) == pytest.approx((4, 4), rel=0.01)
    assert figure.layout.yaxis.scaleratio == pytest.approx(gain / speed)
    assert (figure.layout.xaxis.minor.dtick, figure.layout.yaxis.minor.dtick) == (1 / speed, 1 / gain)


def test_standard_paper_has_the_boxes_of_a_clinic(wave: np.ndarray) -> None:
    axes = strip_figure(wave, FS).layout
    assert (axes.xaxis.minor.dtick, axes.xaxis.dtick) == pytest.approx((0.04, 0.2))
    assert (axes.yaxis.minor.dtick, axes.yaxis.dtick) == pytest.approx((0.1, 0.5))


def test_a_millivolt_is_as_high_as_the_calibration_pulse(wave: np.ndarray) -> None:
    figure = strip_figure(wave, FS)
    strip, pulse = trace(figure, "strip"), trace(figure, "1 mV")
    assert np.ptp(strip.y) == pytest.approx(np.ptp(pulse.y)) == pytest.approx(1.0)
    assert max(pulse.x) <= 0, "the pulse stands before the strip"
    assert strip.dx == pytest.approx(1 / FS)


def test_the_margin_prints_speed_gain_filter_rate_and_units(wave: np.ndarray) -> None:
    def printed(**options: Any) -> str:
        return strip_figure(wave, FS, **options).layout.annotations[0].text.replace(" &nbsp; ", "   ")

    for words in ("25 mm/s", "10 mm/mV", "unfiltered", "260.4 Hz", "200 units/mV (assumed)"):
        assert words in printed()
    assert "0.5–45 Hz" in printed(filter_hz=(0.5, 45.0))
    assert "400 units/mV" in printed(units_per_mv=400, assumed=False)
    assert "assumed" not in printed(units_per_mv=400, assumed=False)
    assert "large box 0.1 s × 0.25 mV" in printed(paper=Paper(speed=50, gain=20))


def test_nothing_is_rescaled_to_fit(wave: np.ndarray) -> None:
    """A signal of 50 mV (a wrong gain) is cut at the paper's edge, and the figure says so."""
    huge = (wave - 1000) * 50
    figure = strip_figure(huge, FS)
    assert boxes(figure, Paper()) == pytest.approx((4, 4), rel=0.01)
    low, high = figure.layout.yaxis.range
    assert (high - low) * 10 <= MAX_HEIGHT_MM + 15, "the paper and the rows for markers and numbers"
    assert any("leaves the paper" in one.text for one in figure.layout.annotations)
    assert not any("leaves the paper" in one.text for one in strip_figure(wave, FS).layout.annotations)


def test_markers_carry_beat_letter_colour_and_lie_above_the_trace(wave: np.ndarray, beats: pd.DataFrame) -> None:
    marks = trace(strip_figure(wave, FS, beats), "beats")
    assert list(marks.customdata) == [70, 71, 72, 73]
    assert list(marks.text) == ["N", "V", "×", "N"]
    assert len(set(marks.marker.line.color)) == 3
    assert list(marks.x) == pytest.approx(beats["r_index"] / FS)
    assert min(marks.y) > 1.0, "above the highest sample"


def test_noise_is_shaded_and_says_why(wave: np.ndarray, beats: pd.DataFrame) -> None:
    figure = strip_figure(wave, FS, beats, window_sec=(0.2, 0.3))
    assert list(trace(figure, "noise").text) == ["RR, small cluster"]
    (shade,) = figure.layout.shapes
    assert (shade.x0, shade.x1) == pytest.approx((650 / FS - 0.2, 650 / FS + 0.3))


def test_rr_in_ms_numbers_and_the_selected_beat(wave: np.ndarray, beats: pd.DataFrame) -> None:
    figure = strip_figure(wave, FS, beats, selected=71)
    assert list(trace(figure, "RR (ms)").text) == ["998", "998", "998"]
    assert list(trace(figure, "number").text) == ["1", "2", "3", "4"]
    assert len(figure.layout.shapes) == 2
    assert list(trace(figure, "beats").marker.line.width) == [1.3, 3.0, 1.3, 1.3]
    bare = strip_figure(wave, FS, beats, show_rr=False, show_numbers=False)
    assert {one.name for one in bare.data} == {"strip", "1 mV", "beats", "noise"}


def test_intervals_of_fast_beats_stand_below_their_markers(wave: np.ndarray) -> None:
    fast = pd.DataFrame({"r_index": [100, 200, 300, 600]})
    figure = strip_figure(wave, FS, fast)
    marks, rr = trace(figure, "beats"), trace(figure, "RR (ms)")
    assert rr.y[0] == rr.y[1] < marks.y[0] and rr.y[2] == marks.y[0]
    wide = trace(strip_figure(wave, FS, fast, paper=Paper(speed=50)), "RR (ms)")
    assert wide.y[0] == wide.y[2], "at 50 mm/s there is room"


def test_effective_labels_win_over_the_strips_label(wave: np.ndarray, beats: pd.DataFrame) -> None:
    given = beats.assign(label=[1, 1, 1, 1], noise_flag=0)
    assert list(trace(strip_figure(wave, FS, given), "beats").text) == ["S"] * 4


def test_the_strip_is_light_enough_to_redraw_often(wave: np.ndarray, beats: pd.DataFrame) -> None:
    text = strip_figure(wave, FS, beats).to_json()
    assert len(text) < 60_000
    assert json.loads(text)["layout"]["meta"]["alt"] == "ECG strip of 10.0 s with 4 beats marked"


def test_strips_that_cannot_be_drawn_are_refused(wave: np.ndarray, beats: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="cannot be drawn"):
        strip_figure(np.array([]), FS)
    with pytest.raises(InputError, match="sample 910 lies outside"):
        strip_figure(wave[:900], FS, beats)
    with pytest.raises(InputError, match="r_index"):
        strip_figure(wave, FS, beats.drop(columns="r_index"))
    with pytest.raises(ConfigError, match=r"12.5, 25, 50 mm/s"):
        Paper(speed=30)
    with pytest.raises(ConfigError, match="units_per_mv is 0"):
        to_millivolts(wave, 0)


def test_reasons_are_words() -> None:
    assert reasons_text("flat;edge") == "flat, edge"
    assert reasons_text("") == reasons_text(float("nan")) == ""


# beats


def test_nearest_prototypes_are_those_of_the_same_shape_whatever_their_height() -> None:
    shape = np.sin(np.linspace(0, 6, 170)).astype(np.float32)
    bank = {4: -shape, 9: 3 * shape, 2: np.roll(shape, 20)}
    near = nearest_prototypes(shape, bank, k=2)
    assert [one.prototype_id for one in near] == [9, 2]
    assert near[0].similarity == pytest.approx(1)
    assert nearest_prototypes(shape, {}) == []


def test_a_beat_and_what_differs_from_its_template() -> None:
    beat = np.ones(170, np.float32)
    figure = beat_figure(beat, FS, template=0.25 * beat, template_label=2, prototypes=[("#3", beat)])
    assert trace(figure, "beat − template").y == pytest.approx(0.75)
    assert "0.75 SD" in figure.layout.meta["alt"]
    assert trace(figure, "template PVC").x[65] == pytest.approx(0), "0 ms is the R-peak"


def test_plane_keeps_the_most_of_the_variance() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 5)) * [5, 0.1, 3, 0.1, 0.1]
    plane, shares = pca_plane(features)
    assert shares[0] > shares[1] > 0.2 and shares.sum() > 0.98
    assert abs(np.corrcoef(plane[:, 0], features[:, 0])[0, 1]) > 0.99
    for few in (np.zeros((0, 5)), np.ones((1, 5)), np.ones((4, 1))):
        assert (pca_plane(few)[0] == 0).all()


def test_many_points_are_subsampled_said_and_no_label_is_lost() -> None:
    labels = np.zeros(10_000, dtype=int)
    labels[:5] = 7
    figure = pca_figure(np.random.default_rng(0).normal(size=(10_000, 4)), labels, selected=9_999, max_points=1000)
    count = sum(len(one.x) for one in figure.data if one.name != "selected")
    assert 1000 <= count <= 1005
    assert f"{count:,} of 10,000 beats" in figure.layout.annotations[0].text
    assert sorted(trace(figure, "VT VTach").customdata) == [0, 1, 2, 3, 4]
    assert list(trace(figure, "selected").customdata) == [9_999]
    assert len(subsample(labels[:500], 1000)) == 500


def test_rr_scatter_is_in_ms() -> None:
    table = pd.DataFrame({"rr_prev_sec": [0.5], "rr_next_sec": [1.1], "beat_global_id": [3], "record_label": [1]})
    figure = rr_scatter(table)
    assert (figure.data[0].x[0], figure.data[0].y[0]) == (500, 1100)


def test_candidates_more_alike_are_drawn_stronger() -> None:
    figure = candidates_overlay(np.ones(170), np.zeros((2, 170)), [0.5, 0.9], FS, beat_ids=[11, 12])
    weak, strong = figure.data[0], figure.data[1]
    assert (weak.customdata[0], strong.customdata[0]) == (11, 12)
    assert weak.opacity < strong.opacity


# prototypes, training, alerts


@pytest.fixture(scope="module")
def detail() -> pd.DataFrame:
    rows = [(0, 500, 0, "0:400;1:10"), (1, 20, 1, "1:20"), (2, 200, 0, "0:100;2:90")]
    return validate_library(
        pd.DataFrame(rows, columns=["prototype_id", "size", "dominant_label", "label_mix_top3"])
    ).detail


def test_purity_rings_the_suspicious_and_shows_the_limits(detail: pd.DataFrame) -> None:
    figure = purity_figure(detail, ValidateConfig(min_size=80, min_purity=0.6))
    assert sorted(trace(figure, "suspicious").x) == [20, 200]
    assert figure.layout.shapes[0].x0 == 80 and figure.layout.shapes[1].y0 == 0.6
    assert figure.layout.xaxis.type == "log"
    assert {int(i) for one in figure.data if one.name != "suspicious" for i in one.customdata} == {0, 1, 2}


def test_prototypes_of_a_label_largest_first_and_the_rest_is_said(detail: pd.DataFrame) -> None:
    waves = dict.fromkeys(range(3), np.zeros(170, np.float32))
    figure = prototypes_of_label(detail, waves, 0, FS, most=1)
    assert [one.name.split("<br>")[0] for one in figure.data] == ["#0 · 500 beats"]
    assert "1 more not shown" in figure.layout.meta["alt"]
    assert "No prototype has VFib" in prototypes_of_label(detail, waves, 8, FS).layout.meta["alt"]


def test_members_lie_in_their_bands() -> None:
    members = np.linspace(-1, 1, 101)[:, None] + np.zeros((1, 170))
    figure = members_overlay(np.zeros(170), members, FS)
    assert trace(figure, "25–75 %").y[0] == pytest.approx(0.5)
    assert trace(figure, "5–95 %").y[0] == pytest.approx(0.9)


def test_curves_mark_the_kept_epoch_and_leave_out_what_is_not_there() -> None:
    history = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [3, 2, 1], "val_loss": [3, 2, 2.5], "best": [1, 1, 0]})
    figure = curves_figure(history)
    assert {one.name for one in figure.data} == {"training loss", "held-out loss"}
    assert figure.layout.shapes[0].x0 == 2


def test_curves_of_several_nets_begin_anew_with_each_and_have_no_lower_half_without_accuracy() -> None:
    nets = ["towers 1 of 2", "towers 1 of 2", "convolutions"]
    figure = curves_figure(pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [3.0, 2.0, 9.0], "net": nets}))
    assert [one.y.tolist() for one in figure.data] == [[3.0, 2.0], [9.0]], "no line leads from one net to the next"
    assert [one.showlegend for one in figure.data] == [True, False]
    assert {note.text for note in figure.layout.annotations} == set(nets)
    assert figure.layout.shapes[0].x0 == 2.5
    assert figure.layout.yaxis.domain is None and "towers 1 of 2, then convolutions" in figure.layout.meta["alt"]


def test_confusion_shades_rows_and_writes_counts() -> None:
    figure = confusion_figure([[8, 2], [5, 5]], [0, 2])
    assert np.asarray(figure.data[0].z).tolist() == [[0.8, 0.2], [0.5, 0.5]]
    assert list(figure.data[0].y) == ["Normal", "PVC"]
    assert "65.0% on the diagonal" in figure.layout.meta["alt"]


def test_coverage_at_the_target_is_said() -> None:
    figure = risk_coverage_figure([0.2, 0.5, 1.0], [1.0, 0.99, 0.9])
    assert "50% of the beats can be kept" in figure.layout.meta["alt"]


def test_patterns_mark_alerts() -> None:
    features = np.repeat(np.eye(3)[:2] * 9, (90, 10), axis=0) + np.random.default_rng(0).normal(0, 0.1, (100, 3))
    table = pd.DataFrame({"beat_global_id": np.arange(100), "review_flag": 1})
    patterns = find_patterns(table, features.astype(np.float32), np.zeros((100, 170), np.float32))
    names = [one.name for one in patterns_figure(patterns).data]
    assert [name.startswith("ALERT") for name in names] == [True, False]
    assert [one.name for one in centroids_figure(patterns, FS).data] == names


@pytest.mark.parametrize(
    "figure",
    [
        lambda: template_figure({}, FS),
        lambda: pca_figure(np.zeros((0, 4)), np.zeros(0, dtype=int)),
        lambda: curves_figure(pd.DataFrame({"epoch": []})),
        lambda: confusion_figure(np.zeros((2, 2)), [0, 1]),
        lambda: members_overlay(np.zeros(170), np.zeros((0, 170)), FS),
        lambda: purity_figure(pd.DataFrame()),
        lambda: rr_scatter(pd.DataFrame()),
    ],
)
def test_nothing_to_show_is_a_sentence_not_an_error(figure: Any) -> None:
    drawn = figure()
    assert len(drawn.data) == 0 and drawn.layout.annotations[0].text == drawn.layout.meta["alt"]
