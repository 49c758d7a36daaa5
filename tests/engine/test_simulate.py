"""Simulated strips: what the label says is in the strip, and the truth says where the beats are."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecg_engine.errors import ConfigError
from ecg_engine.labels import FILE_LABELS
from ecg_engine.simulate import Simulated, simulate_strips, write_beats_csv, write_xlsx


@pytest.fixture(scope="module")
def made() -> Simulated:
    return simulate_strips(n_per_label=12, n_patients=12, seed=7)


def wave(made: Simulated, row: int) -> np.ndarray:
    return np.array(made.strips["ECG Wave"][row].split(","), dtype=float)


def rows_of(made: Simulated, label: int) -> list[int]:
    return np.flatnonzero(made.strips["Label"] == label).tolist()


def beats_of(made: Simulated, row: int) -> pd.DataFrame:
    return made.beats[made.beats["source_row"] == row]


def longest_run(symbols: pd.Series, of: str) -> int:
    return max((len(list(run)) for hit, run in groupby(s in of for s in symbols) if hit), default=0)


def test_every_label_in_the_form_of_a_real_file(made: Simulated) -> None:
    assert sorted(made.strips["Label"].unique()) == sorted(FILE_LABELS)
    assert list(made.strips.columns) == ["Patient ID", "ECG Wave", "Label"]
    assert made.strips["Label"].value_counts().eq(12).all()
    assert {len(text.split(",")) for text in made.strips["ECG Wave"]} == {2604}
    assert made.strips["ECG Wave"].str.len().max() < 32_767  # what a cell of a spreadsheet holds
    assert made.strips["Patient ID"].nunique() == 12
    assert made.strips.groupby("Label")["Patient ID"].nunique().min() >= 4


def test_same_seed_same_strips() -> None:
    first, again = (simulate_strips(n_per_label={2: 2, 8: 1}, n_patients=2, seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(first.strips, again.strips)
    pd.testing.assert_frame_equal(first.beats, again.beats)
    other = simulate_strips(n_per_label={2: 2, 8: 1}, n_patients=2, seed=4)
    assert not other.strips["ECG Wave"].equals(first.strips["ECG Wave"])


@pytest.mark.parametrize(
    ("label", "symbols", "runs"),
    [
        (1, "A", (1, 1)),
        (2, "V", (1, 1)),
        (7, "V", (4, 99)),
        (9, "E", (1, 1)),
        (10, "V", (2, 2)),
        (11, "V", (3, 3)),
        (12, "V", (1, 1)),
    ],
)
def test_a_strip_holds_what_its_label_says(made: Simulated, label: int, symbols: str, runs: tuple[int, int]) -> None:
    for row in rows_of(made, label):
        found = longest_run(beats_of(made, row)["symbol"], symbols)
        assert runs[0] <= found <= runs[1], f"row {row}"


def test_rhythms_without_ectopics(made: Simulated) -> None:
    for label in (0, 3, 4, 5, 6):
        for row in rows_of(made, label):
            assert set(beats_of(made, row)["aami"]) == {"N"}
    for row in rows_of(made, 8):
        assert beats_of(made, row).empty


def test_rates_are_those_of_the_label(made: Simulated) -> None:
    def rate(row: int) -> float:
        return 60 * made.fs / np.median(np.diff(beats_of(made, row)["sample"]))

    assert all(60 <= rate(row) <= 100 for row in rows_of(made, 0))
    assert all(rate(row) < 60 for row in rows_of(made, 3))
    assert all(rate(row) > 100 for row in rows_of(made, 4))


def test_fibrillation_is_irregular_and_sinus_is_not(made: Simulated) -> None:
    def irregularity(row: int) -> float:
        rr = np.diff(beats_of(made, row)["sample"])
        return float(np.sqrt(np.mean(np.diff(rr) ** 2)) / rr.mean())

    assert min(irregularity(row) for row in rows_of(made, 5)) > max(irregularity(row) for row in rows_of(made, 0))


def test_premature_beats_come_early_and_pvcs_are_followed_by_a_pause(made: Simulated) -> None:
    for label, symbol in ((1, "A"), (2, "V")):
        for row in rows_of(made, label):
            samples, symbols = (beats_of(made, row)[name].to_numpy() for name in ("sample", "symbol"))
            rr = np.diff(samples)
            usual = np.median(rr)
            for i in np.flatnonzero(symbols == symbol):
                assert rr[i - 1] < 0.85 * usual
                if i == len(rr):
                    continue  # the strip ends with it
                assert rr[i] > (1.2 if symbol == "V" else 0.95) * usual


def test_truth_lies_on_the_r_peaks(made: Simulated) -> None:
    """Within 20 ms of the largest slope-free extremum of a clean narrow beat."""
    offs: list[int] = []
    for row in rows_of(made, 0):
        signal = wave(made, row) - np.median(wave(made, row))
        inside = [s for s in beats_of(made, row)["sample"] if 30 < s < len(signal) - 30]
        offs += [int(np.argmax(np.abs(signal[s - 20 : s + 21]))) - 20 for s in inside]
    assert np.median(np.abs(offs)) <= 2
    assert np.mean(np.abs(offs) <= 12) > 0.9


def test_ventricular_beats_are_wider_than_sinus_beats(made: Simulated) -> None:
    def high_frequencies(row: int, sample: int) -> float:
        cut = wave(made, row)[sample - 30 : sample + 31]
        return float(np.abs(np.diff(cut)).max() / np.ptp(cut))

    by_symbol: dict[str, list[float]] = {"N": [], "V": []}
    for row in rows_of(made, 2):
        for sample, symbol in beats_of(made, row)[["sample", "symbol"]].itertuples(index=False):
            if 30 <= sample < 2570:
                by_symbol[symbol].append(high_frequencies(row, sample))
    assert np.median(by_symbol["V"]) < 0.75 * np.median(by_symbol["N"])


def test_noise_strips_are_noisier_and_a_lost_electrode_has_no_beats(made: Simulated) -> None:
    def roughness(row: int) -> float:
        signal = wave(made, row)
        return float(np.median(np.abs(np.diff(signal, 2)))) + float(np.abs(signal - np.median(signal)).mean()) / 20

    noisy, clean = ([roughness(row) for row in rows_of(made, label)] for label in (-1, 0))
    assert np.median(noisy) > 2 * np.median(clean)
    flat = [row for row in rows_of(made, -1) if np.median(np.abs(np.diff(wave(made, row)[1040:1250]))) < 2]
    assert flat
    for row in flat:
        assert not beats_of(made, row)["sample"].between(1060, 1230).any()


def test_the_spreadsheet_says_the_same(made: Simulated, tmp_path: Path) -> None:
    path = write_xlsx(made, tmp_path / "made.xlsx")
    table = pd.read_excel(path, engine="calamine")
    pd.testing.assert_frame_equal(table, made.strips)
    again = pd.read_csv(write_beats_csv(made, tmp_path / "beats.csv"))
    pd.testing.assert_frame_equal(again, made.beats)


def test_other_rates_and_lengths() -> None:
    made = simulate_strips(n_per_label={0: 1, 6: 1}, n_patients=1, fs=360, duration_sec=8, units_per_mv=1000)
    assert {len(text.split(",")) for text in made.strips["ECG Wave"]} == {2880}
    assert np.ptp(wave(made, 0)) > 500


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_per_label": {40: 1}}, "label 40"),
        ({"n_per_label": -1}, "has -1 strips"),
        ({"n_patients": 0}, "n_patients is 0"),
        ({"duration_sec": 2.0}, "too little"),
    ],
)
def test_impossible_wishes_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        simulate_strips(**settings)
