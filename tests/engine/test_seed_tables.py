"""Seed tables that people bring, and the small pictures of single beats."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from ecg_engine.beat_svg import beat_svg, percentile_band, shared_limits
from ecg_engine.errors import ConfigError, InputError
from ecg_engine.seeds import check_seeds, read_seed_csv

IDS = np.arange(10)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_tables_are_read_whatever_separator_case_and_blanks(separator: str) -> None:
    lines = ["\ufeff Beat_Global_ID ,LABEL_NAME,note", "3, pvc ,x", "4.0,AFib"]
    text = "\n".join(lines).replace(",", separator)
    table = check_seeds(read_seed_csv(text.encode()), IDS)
    assert table.seeds.to_dict("list") == {"beat_global_id": [3, 4], "label_name": ["PVC", "AFib"]}
    assert table.dropped.empty


def test_every_row_is_a_seed_or_is_dropped_with_its_reason() -> None:
    rows = [
        "3,PVC",
        ",PVC",
        "4,",
        "x,PVC",
        "77,PVC",
        "5,Banana",
        "5.5,PVC",
        "3,PVC",
        "3,Normal",
        "6,Unlabelled",
        "7,Noise",
    ]
    table = check_seeds(read_seed_csv(("beat_global_id,label_name\n" + "\n".join(rows)).encode()), IDS)
    assert table.seeds["beat_global_id"].tolist() == [3, 7]
    assert len(table.seeds) + len(table.dropped) == len(rows)
    reasons = dict(zip(table.dropped["row"], table.dropped["reason"], strict=True))
    assert reasons[3] == "no beat number" and reasons[4] == "no label"
    assert "'x' is no beat number" in reasons[5]
    assert "no beat 77" in reasons[6] and "no beat 5.5" in reasons[8]
    assert "'Banana' is no label" in reasons[7] and "Ventricular Ectopic" in reasons[7]
    assert reasons[9] == "the same beat stands in row 2"
    assert reasons[10] == "the same beat stands in row 2 as PVC"
    assert "is no label" in reasons[11]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04\x00\x00", b"beat,label\n1,PVC\n", b"beat_global_id\n3\n"])
def test_what_is_no_seed_table_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(InputError) as refused:
        read_seed_csv(content)
    assert "csv" in str(refused.value).lower() or "beat_global_id" in str(refused.value)


def numbers(path: str) -> np.ndarray:
    return np.array(re.findall(r"[\d.]+ [\d.]+", path))


def test_a_beat_is_drawn_within_its_limits_with_band_and_comparison() -> None:
    rng = np.random.default_rng(1)
    members = rng.normal(size=(40, 50)).cumsum(axis=1)
    wave, band = np.median(members, axis=0), percentile_band(members)
    assert (band.low <= wave).all() and (wave <= band.high).all()
    share = ((members >= band.low) & (members <= band.high)).mean()
    assert 0.75 < share < 0.85
    text = beat_svg(wave, title='5 < 6 & "so"', band=band, behind=members[0], centre_sample=20, width=100, height=60)
    root = ElementTree.fromstring(text)
    assert root.attrib["aria-label"] == '5 < 6 & "so"'
    paths = [one.attrib["d"] for one in root.iter("{http://www.w3.org/2000/svg}path")]
    assert len(paths) == 4
    line = np.array([[float(value) for value in pair.split()] for pair in numbers(paths[-1])])
    assert len(line) == 50 and line[0, 0] == 0 and line[-1, 0] == 99
    assert line.min() >= 0 and line[:, 1].max() <= 60
    assert line[:, 1].argmin() == wave.argmax(), "up is up"


def test_pictures_beside_each_other_have_one_scale() -> None:
    low, high = np.full(20, -1.0), np.full(20, 2.0)
    limits = shared_limits([low, high])
    assert limits == (-1.0, 2.0)
    tops = [
        float(numbers(beat_svg(wave, title="", limits=limits).split('d="')[-1])[0].split()[1]) for wave in (low, high)
    ]
    assert tops[0] > tops[1]
    assert shared_limits([]) == (0.0, 1.0)


def test_a_band_needs_members() -> None:
    with pytest.raises(ConfigError):
        percentile_band(np.empty((0, 10)))
