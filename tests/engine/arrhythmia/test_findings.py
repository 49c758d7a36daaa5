"""Findings by rule: from beats and intervals to words and a label, the most serious first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecg_engine.arrhythmia.findings import (
    RULES,
    RULES_VERSION,
    StripBeats,
    claim_confidence,
    findings_of,
    read_strip,
)
from tests.engine.arrhythmia.small import small


def strip(letters: str, rr: float | list[float] = 0.8, **more: float) -> StripBeats:
    steps = rr if isinstance(rr, list) else [rr] * (len(letters) - 1)
    times = 0.4 + np.concatenate([[0.0], np.cumsum(steps)])
    return StripBeats(np.array(["NSVF".index(one) for one in letters]), times, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "label", "words"),
    [
        (strip("NNNNNNNNNNNN"), 0, "normal, 75/min"),
        (strip("NNNNNNNN", 1.25), 3, "bradycardia, 48/min"),
        (strip("N" * 20, 0.5), 4, "tachycardia, 120/min"),
        (strip("NNVNNNNSNNNN"), 2, "PVC 1/12; PAC 1/12"),
        (strip("NNSNNNNSNNNN"), 1, "PAC 2/12"),
        (strip("NNNSSSSNN"), 1, "PAC 4/9, run of 4 at 75/min"),
        (strip("NVNVNVNVN"), 2, "PVC 4/9, bigeminy"),
        (strip("NNVNNVNNVNN"), 2, "PVC 3/11, trigeminy"),
        (strip("NVVNNVVNV"), 10, "2 ventricular couplets; PVC 5/9"),
        (strip("NNVVVNNVVN"), 11, "ventricular triplet; ventricular couplet; PVC 5/10"),
        (strip("NNVVVVVN", 0.4), 7, "ventricular tachycardia: 5 beats at 150/min; PVC 5/8; tachycardia, 150/min"),
        (strip("NNVVVVNNNN", 0.9), 7, "idioventricular run: 4 beats at 67/min; PVC 4/10"),
        (strip("NNNNVNNNN", 0.7, af=0.9), 5, "AF pattern, 86/min; PVC 1/9"),
        (strip("NNNNSNNNN", 0.7, af=0.9), 5, "AF pattern, 86/min"),
        (strip("NNNNSNNNN", 0.6, flutter=0.95), 6, "atrial flutter pattern, 100/min"),
        (strip("NNVNN", 0.6, flutter=0.95, af=0.9), 5, "AF pattern, 100/min; atrial flutter pattern, 100/min; PVC 1/5"),
        (strip("NNNNNNNNN", 0.7, flutter=0.89), 0, "normal, 86/min"),
        (strip("NNNNNNNN", flutter=0.95, noisy=True), -1, "noise: too disturbed to be read"),
        (strip("NNNFNNN"), 9, "fusion beats 1/7"),
        (strip("NVVN", oscillation=0.9), 8, "oscillation without QRS complexes"),
        (strip("NVNN", noisy=True), -1, "noise: too disturbed to be read; PVC 1/4"),
    ],
)
def test_what_a_strip_shows(one: StripBeats, label: int, words: str) -> None:
    found = read_strip(one)
    assert found[0].label == label
    assert "; ".join(finding.words for finding in found) == words


def test_findings_come_in_the_order_of_the_rules() -> None:
    order = [rule.name for rule in RULES]
    found = [one.rule for one in read_strip(strip("NVVVNSVVNFNVNNVVVV", 0.5, af=0.3))]
    assert found == sorted(found, key=order.index)
    assert found[:4] == ["run", "triplet", "couplet", "pvc"]


def test_one_beat_or_none_is_no_error() -> None:
    assert read_strip(strip("N"))[0].words == "normal"
    assert read_strip(StripBeats(np.zeros(0, dtype=np.int64), np.zeros(0))) == []


def test_what_cannot_be_stood_by_goes_to_review() -> None:
    sure, torn = np.float32([0.97, 0.01, 0.01, 0.01]), np.float32([0.4, 0.3, 0.25, 0.05])
    p = np.stack([sure] * 8 + [torn] * 8)
    times = np.tile(0.4 + 0.8 * np.arange(8), 2)
    table = findings_of(p, times, np.array([0, 8, 16, 16]))
    assert table["strip_finding"].tolist() == [0, -99, -99]
    assert table["findings"].tolist() == ["normal, 75/min", "normal, 75/min", "no beats"]
    assert table["finding_confidence"][0] == pytest.approx(0.97**8, rel=1e-3)
    assert (table["rules_version"] == RULES_VERSION).all()
    assert findings_of(p, times, np.array([0, 8, 16, 16]), least_confidence=0.0)["strip_finding"].tolist()[1] == 0


def test_confidence_is_the_chance_of_the_claim() -> None:
    p = np.float32([[0.5, 0, 0.5, 0]] * 2)
    bounds = np.array([0, 2])
    for label, chance in ((0, 0.25), (2, 0.5), (10, 0.25), (11, 0.0), (5, 0.0)):
        assert claim_confidence(p, bounds, np.array([label]))[0] == pytest.approx(chance, abs=1e-6)


def test_true_beats_give_the_labels_that_were_filed(real_data: Path) -> None:
    few = small(real_data)
    p = np.full((len(few.beats), 4), 1e-4, dtype=np.float32)
    known = np.array(["NSVF".find(one) for one in few.aami])
    p[np.arange(len(p)), np.maximum(known, 0)] = 1 - 3e-4
    table = findings_of(p, few.beats.r_sec, few.beats.bounds, af=few.context.af, noisy=few.strips.label == -1)
    agreed = table["strip_finding"].to_numpy() == few.strips.label
    readable = ~np.isin(few.strips.label, (6, 8))
    assert agreed[readable].mean() > 0.9


def test_the_rate_of_bigeminy_is_that_of_all_beats() -> None:
    r_sec = np.cumsum([0.3, *[0.5, 1.2] * 5])  # 70 a minute, though every second interval is half a second
    bigeminy = StripBeats(np.array([0, 2] * 5 + [0]), r_sec)
    words = "; ".join(one.words for one in read_strip(bigeminy))
    assert "bigeminy" in words and "tachycardia" not in words and "bradycardia" not in words
    assert bigeminy.rate == pytest.approx(60 / 0.85)
    plain = StripBeats(np.zeros(11, dtype=np.int64), np.cumsum([0.3, *[0.8] * 9, 1.6]))  # one missed beat
    assert plain.rate == pytest.approx(75)
