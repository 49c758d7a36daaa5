"""Small multiples: well-formed, described in words, in the page's own colour, peaks kept."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from ecg_engine.errors import ConfigError
from ecg_engine.svg import Frame, small_multiples, strips_svg

NS = "{http://www.w3.org/2000/svg}"


def paths(svg: str) -> list[list[tuple[float, float]]]:
    """Points of the lines, frame by frame."""
    lines = [one.get("d", "") for one in ElementTree.fromstring(svg).iter(f"{NS}path") if one.get("fill") == "none"]
    return [[(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.e+-]+) ([\d.e+-]+)", line)] for line in lines]


def test_it_is_well_formed_and_described_whatever_the_words() -> None:
    frames = [Frame(np.arange(10.0), 'a < b & "c"', flag="alert"), Frame(np.arange(10.0), "second")]
    root = ElementTree.fromstring(small_multiples(frames, title='Beats "&" <more>', desc="two beats"))
    assert root.get("role") == "img" and root.get("aria-label") == 'Beats "&" <more>'
    assert root.findtext(f"{NS}desc") == "two beats"
    assert [group.findtext(f"{NS}title") for group in root.iter(f"{NS}g")] == ['a < b & "c"', "second"]
    assert "alert" in [one.text for one in root.iter(f"{NS}text")]


def test_lines_take_the_colour_of_the_page_unless_they_have_their_own() -> None:
    svg = small_multiples([Frame(np.arange(5.0), "a"), Frame(np.arange(5.0), "b", "#b63535")], title="t")
    lines = [one for one in ElementTree.fromstring(svg).iter(f"{NS}path") if one.get("fill") == "none"]
    assert [one.get("stroke") for one in lines] == ["currentColor", "#b63535"]


def test_one_scale_for_all_or_each_its_own() -> None:
    low, high = Frame(np.array([0.0, 1.0]), "low"), Frame(np.array([0.0, 2.0]), "high")
    shared = paths(small_multiples([low, high], title="t"))
    assert np.ptp([y for _, y in shared[0]]) == pytest.approx(np.ptp([y for _, y in shared[1]]) / 2, abs=0.2)
    own = paths(small_multiples([low, high], title="t", shared_scale=False))
    assert own[0] == own[1]


def test_a_spike_of_one_sample_survives_the_thumbnail() -> None:
    wave = np.zeros(5000)
    wave[2345] = 1.0
    (line,) = paths(strips_svg([Frame(wave, "strip")], title="t", width=300, height=60))
    assert len(line) <= 600
    top = min(line, key=lambda point: point[1])
    assert top[1] == pytest.approx(4) and top[0] == pytest.approx(300 * 2345 / 5000, abs=1.5)


def test_marks_stand_over_their_samples() -> None:
    frame = Frame(np.zeros(101), "strip", marks=[(50, "V", "#b63535")])
    root = ElementTree.fromstring(strips_svg([frame], title="t", width=201))
    mark = next(one for one in root.iter(f"{NS}text") if one.text == "V")
    assert float(mark.get("x", 0)) == pytest.approx(100)


@pytest.mark.parametrize("wave", [np.zeros(0), np.ones(1), np.full(50, 3.0), np.array([0.0, np.nan, 1.0])])
def test_odd_waves_are_drawn_all_the_same(wave: np.ndarray) -> None:
    svg = small_multiples([Frame(wave, "odd")], title="t", centre_sample=0)
    ElementTree.fromstring(svg)
    assert "nan" not in svg


def test_no_frames_and_impossible_sizes() -> None:
    ElementTree.fromstring(small_multiples([], title="nothing"))
    with pytest.raises(ConfigError, match="columns"):
        small_multiples([], title="t", columns=0)
