"""A second look without a model: how ventricular beats look, flagged ectopics, strips at odds with their beats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecg_engine.config import PreprocessConfig
from ecg_engine.contradictions import (
    ABSENT,
    EARLY,
    IRREGULAR,
    ON_TIME,
    PRESENT,
    REGULAR,
    Rhythm,
    clear_beats,
    contradictions,
    rhythm,
)
from ecg_engine.ectopy import FEATURES, WEIGHTS, Ectopy, ectopy, strip_medians
from ecg_engine.evaluation import match_beats
from ecg_engine.labels import NOISE, UNLABELLED, label_id
from ecg_engine.preprocess import Run, preprocess
from ecg_engine.simulate import simulate_strips, write_xlsx
from ecg_engine.strips import read_strips
from ecg_engine.suspects import FLAGGED, SUSPECT_LIMIT, suspects

NORMAL, PAC, PVC, BRADY, TACHY, AFIB, COUPLETS, VTACH, VFIB, FLUTTER = (
    label_id(name)
    for name in (
        *("Normal", "PAC", "PVC", "Sinus Bradycardia", "Sinus Tachycardia", "AFib", "Couplets", "VTach", "VFib"),
        "Atrial Flutter",
    )
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("strips") / "ward.xlsx"
    write_xlsx(simulate_strips(n_per_label={0: 12, 1: 6, 2: 12, 5: 6, 10: 4}, n_patients=4, seed=7), path)
    config = PreprocessConfig(n_global_clusters=4)
    return preprocess(read_strips([path], config), config)


@pytest.fixture(scope="module")
def real_run(real_data: Path) -> Run:
    config = PreprocessConfig()
    return preprocess(read_strips([real_data / "mitdb_ds1_small.xlsx"], config), config)


def truth_of(run: Run, path: Path) -> np.ndarray:
    """AAMI class of the true beat at each beat."""
    truth = pd.read_csv(path)
    match = match_beats(
        truth["sample"] / run.fs,
        run.metadata["r_index"] / run.fs,
        true_strip=truth["source_row"],
        found_strip=run.metadata["source_row"],
    )
    classes = np.full(len(run.metadata), "-")
    classes[match.found_index] = truth["aami"].to_numpy(dtype=str)[match.true_index]
    return classes


def looks(**columns: object) -> Ectopy:
    """Beats with given looks, usual ones by default."""
    size = max((np.size(values) for values in columns.values()), default=1)  # type: ignore[arg-type]
    usual = {"early": 0.0, "pause": 0.0, "alike": 0.99, "wide": 1.0, "smooth": 0.0, "shifted": 0.1}
    return Ectopy(**{name: np.broadcast_to(np.asarray(columns.get(name, value), float), size).copy()
                     for name, value in usual.items()})  # fmt: skip


def chance(**columns: object) -> float:
    found = looks(**columns)
    return float(1 / (1 + np.exp(-found.logit[0])))


# How ventricular a beat looks


def test_each_kind_of_evidence_makes_a_beat_look_more_ventricular() -> None:
    usual = chance()
    assert usual < 0.05
    for evidence in ({"early": 0.3}, {"pause": 0.4}, {"alike": 0.5}, {"wide": 1.6}, {"smooth": 0.6}):
        assert chance(**evidence) > usual, evidence
    assert chance(early=0.3, pause=0.4, alike=0.45, wide=1.6, smooth=0.5) > 0.9
    assert len(FEATURES) == len(WEIGHTS) == looks().features.shape[1]


def test_a_spoilt_beat_looks_less_ventricular_than_a_clean_one_of_another_shape() -> None:
    clean = {"early": 0.2, "alike": 0.45, "smooth": 0.5}
    for spoilt in ({"alike": 0.0}, {"smooth": -0.5}, {"shifted": 0.8}):
        assert chance(**{**clean, **spoilt}) < chance(**clean), spoilt


def test_ectopics_of_simulated_strips_look_ventricular_and_others_do_not(run: Run) -> None:
    found, label = ectopy(run), run.labels
    strip = run.strip_of_beat
    most = np.array([found.probability[strip == place].max() for place in range(len(run.strips or ()))])
    given = np.asarray(run.strips.label)  # type: ignore[union-attr]
    assert np.median(most[given == PVC]) > PRESENT > np.median(most[given == NORMAL])
    assert found.probability[label == NORMAL].mean() < 0.1
    for values in (found.early, found.pause, found.alike, found.wide, found.smooth, found.shifted, found.probability):
        assert values.shape == label.shape and np.isfinite(values).all()


def test_first_beats_are_not_early_and_last_ones_have_no_pause(run: Run) -> None:
    found, place = ectopy(run), run.metadata["beat_index_in_record"].to_numpy()
    last = np.append(np.diff(run.strip_of_beat) != 0, True)
    assert np.all(found.early[place == 0] == 0) and np.all(found.pause[last] == 0)


def test_looks_do_not_depend_on_the_size_of_the_wave_nor_on_the_order_of_patients(run: Run) -> None:
    found = ectopy(run)
    doubled = ectopy(Run(**{**vars(run), "beats": run.beats * np.float32(2)}))
    np.testing.assert_allclose(doubled.probability, found.probability, atol=2e-3)
    renamed = run.metadata.assign(patient_id=[f"x{who}" for who in run.metadata["patient_id"]])
    np.testing.assert_allclose(ectopy(Run(**{**vars(run), "metadata": renamed})).alike, found.alike, atol=1e-6)


def test_strips_without_a_patient_are_each_their_own(run: Run) -> None:
    unknown = ectopy(Run(**{**vars(run), "metadata": run.metadata.assign(patient_id=-1)}))
    rows = np.flatnonzero(run.strip_of_beat == 3)
    alone = Run(
        **{
            **vars(run),
            "metadata": run.metadata.iloc[rows],
            "beats": run.beats[rows],
            "noise_flags": run.noise_flags[rows],
        }
    )
    np.testing.assert_allclose(unknown.probability[rows], ectopy(alone).probability, atol=1e-5)


def test_flagged_beats_have_no_say_in_what_is_usual(run: Run) -> None:
    usable = run.noise_flags == 0
    spoilt = np.where(np.arange(len(usable)) % 3 > 0, True, ~usable)
    beats = np.where(spoilt[:, None], np.flip(run.beats, axis=1), run.beats)
    found = ectopy(Run(**{**vars(run), "beats": beats, "noise_flags": spoilt.astype(np.int32)}))
    normal = ~spoilt & (run.labels == NORMAL)
    assert np.median(found.alike[normal]) > 0.95 > 0.8 > np.median(found.alike[spoilt])


def test_medians_of_strips_leave_out_what_is_missing() -> None:
    values = np.array([3.0, 1.0, 2.0, np.nan, 4.0, 8.0, np.nan])
    strip = np.array([0, 0, 0, 0, 2, 2, 3])
    np.testing.assert_array_equal(strip_medians(values, strip, 5), [2.0, np.nan, 6.0, np.nan, np.nan])


# Flagged beats


def listed(found: Ectopy, label: int, reason: str = "edge") -> list[int]:
    n = len(found.early)
    return suspects(
        found, np.ones(n, np.int32), np.full(n, label, np.int32), np.array([reason] * n, object)
    ).rows.tolist()


def test_a_flagged_beat_that_looks_ventricular_is_a_suspect_and_one_that_looks_usual_is_not() -> None:
    found = looks(early=[0.35, 0.0], pause=[0.4, 0.0], alike=[0.3, 0.99], wide=[1.5, 1.0])
    for label in (PVC, NORMAL, UNLABELLED):
        assert listed(found, label) == [0], label


def test_only_flagged_beats_are_suspects() -> None:
    found = looks(early=[0.35] * 3, pause=[0.4] * 3, alike=[0.2] * 3, wide=[1.5] * 3)
    flags, labels = np.array([0, 1, 0], np.int32), np.full(3, PVC, np.int32)
    assert suspects(found, flags, labels, np.array(["", "rr;edge", ""], object)).rows.tolist() == [1]
    nothing = suspects(found, flags * 0, labels, np.array(["", "", ""], object))
    assert len(nothing.rows) == len(nothing.why) == 0


def test_in_a_strip_labelled_pac_a_flagged_beat_is_the_pac() -> None:
    found = looks(early=[0.3], alike=[0.98])
    result = suspects(found, np.ones(1, np.int32), np.array([PAC], np.int32), np.array(["edge"], object))
    assert result.label.tolist() == [PAC] and result.score[0] >= SUSPECT_LIMIT
    assert listed(found, NORMAL) == []


def test_the_label_of_the_strip_weighs_in() -> None:
    for group in ("V", "S", "N", "", "unlabelled"):
        assert group in FLAGGED
    found = looks(early=[0.1], pause=[0.1], alike=[0.75], wide=[1.0])
    assert listed(found, PVC) == [0] and listed(found, NORMAL) == [] and listed(found, NOISE) == []


def test_the_sentence_names_the_flag_the_score_and_what_speaks_for_an_ectopic() -> None:
    found = looks(early=[0.32], pause=[0.4], alike=[0.31], wide=[1.6])
    (why,) = suspects(found, np.ones(1, np.int32), np.array([PVC], np.int32), np.array(["rr;edge"], object)).why
    for words in (
        "RR interval and unrest at its edges",
        "32% early",
        "1.40 RR",
        "0.31 alike",
        "1.6 times",
        "PVC",
        "40%",
    ):
        assert words in why, why


@pytest.mark.real
def test_the_list_holds_most_flagged_ectopics_of_real_strips_and_little_else(real_run: Run, real_data: Path) -> None:
    """Every twelfth strip of DS1; the figures in the docstring are for all of it."""
    truth = truth_of(real_run, real_data / "mitdb_ds1_small_beats.csv")
    flags = real_run.noise_flags
    labels = np.asarray(real_run.strips.label)[real_run.strip_of_beat]  # type: ignore[union-attr]
    reasons = real_run.metadata["noise_reason"].to_numpy(dtype=object)
    ectopic = np.isin(truth, ("V", "S"))
    result = suspects(ectopy(real_run), flags, labels, reasons)
    on_it = np.zeros(len(flags), dtype=bool)
    on_it[result.rows] = True
    assert ectopic[flags == 1].sum() > 50, "there must be something to find"
    assert on_it[(flags == 1) & ectopic].mean() > 0.75
    assert ectopic[on_it].mean() > 0.7
    blind = suspects(ectopy(real_run), flags, np.full(len(labels), UNLABELLED, np.int32), reasons)
    on_it[:] = False
    on_it[blind.rows] = True
    assert on_it[(flags == 1) & (truth == "V")].mean() > 0.75, "without strip labels, too"


# Strips and their beats

STEADY = {"rate": 75.0, "change": 0.02, "early": 0.04, "premature": 0.04, "alike": 0.99}


def judged(label: int, beats: list[float], **timing: float) -> tuple[int, str] | None:
    """What one strip's beats would call it, and why; None if nothing is wrong with its label."""
    values = {**STEADY, **timing}
    found = contradictions(
        np.array([label], np.int32),
        np.zeros(len(beats), dtype=np.int64),
        np.array(beats),
        Rhythm(*(np.array([values[name]]) for name in Rhythm._fields)),
    )
    assert np.all((found.score >= 0.5) & (found.score <= 1.0))
    return (int(found.label[0]), found.why[0]) if len(found.places) else None


QUIET = [0.01] * 10


@pytest.mark.parametrize(
    ("label", "beats", "timing", "suggested", "words"),
    [
        (PVC, QUIET, {}, NORMAL, ("Labelled PVC", "no beat", "0.01", f"{ABSENT:.2f}")),
        (COUPLETS, QUIET, {"rate": 50.0}, BRADY, ("Couplets",)),
        (VTACH, QUIET, {"change": 0.3}, AFIB, ("VTach",)),
        (NORMAL, [*QUIET, 0.9], {}, PVC, ("Labelled Normal", "beat 11", "0.90", f"{PRESENT:.2f}")),
        (PAC, [0.9, 0.9, 0.1], {"early": 0.4}, COUPLETS, ("PAC", "beat 1")),
        (BRADY, [0.9, 0.9, 0.8, 0.7, 0.1], {"rate": 50.0}, VTACH, ("Sinus Bradycardia",)),
        (PAC, QUIET, {"early": 0.01}, NORMAL, ("no beat comes early", "1%", f"{ON_TIME:.0%}")),
        (NORMAL, QUIET, {"early": 0.3, "premature": 0.3}, PAC, ("30% early", f"{EARLY:.0%}")),
        (AFIB, QUIET, {"change": 0.02}, NORMAL, ("AFib", "2%", f"{REGULAR:.0%}")),
        (AFIB, QUIET, {"change": 0.02, "rate": 120.0}, TACHY, ("AFib",)),
        (NORMAL, QUIET, {"change": 0.3, "early": 0.5}, AFIB, ("30%", f"{IRREGULAR:.0%}")),
        (BRADY, QUIET, {"rate": 80.0}, NORMAL, ("the rate is 80", "below 60")),
        (NORMAL, QUIET, {"rate": 120.0}, TACHY, ("the rate is 120", "60 to 100")),
        (TACHY, QUIET, {"rate": 50.0}, BRADY, ("the rate is 50", "above 100")),
    ],
)  # fmt: skip
def test_a_label_that_the_beats_contradict_is_listed_with_what_they_say(
    label: int, beats: list[float], timing: dict[str, float], suggested: int, words: tuple[str, ...]
) -> None:
    found = judged(label, beats, **timing)
    assert found is not None
    assert found[0] == suggested
    for word in words:
        assert word in found[1], found[1]


@pytest.mark.parametrize(
    ("label", "beats", "timing"),
    [
        (NORMAL, QUIET, {}),
        (NORMAL, QUIET, {"rate": 57.0}),
        (NORMAL, QUIET, {"rate": 103.0}),
        (BRADY, QUIET, {"rate": 62.0}),
        (TACHY, QUIET, {"rate": 98.0}),
        (PVC, [*QUIET, 0.5], {"early": 0.4}),
        (PAC, QUIET, {"early": 0.3, "change": 0.2}),
        (AFIB, [*QUIET, 0.95], {"change": 0.3}),
        (UNLABELLED, [*QUIET, 0.95], {"rate": 200.0}),
        (NOISE, [*QUIET, 0.95], {}),
        (VFIB, QUIET, {}),
        (FLUTTER, QUIET, {}),
        (NORMAL, QUIET, {"early": 0.5}),  # not of the usual shape: a T wave, say
        (NORMAL, QUIET, {"premature": 0.3, "rate": 130.0, "change": 0.4, "alike": 0.9}),  # an unsteady strip
        (NORMAL, QUIET, {"rate": np.nan, "change": np.nan, "early": np.nan, "premature": np.nan}),
    ],
)  # fmt: skip
def test_a_label_that_fits_is_left_alone(label: int, beats: list[float], timing: dict[str, float]) -> None:
    assert judged(label, beats, **timing) is None


def test_a_strip_without_beats_contradicts_nothing() -> None:
    timing = Rhythm(*(np.full(2, np.nan) for _ in Rhythm._fields))
    labels = np.array([PVC, PVC], np.int32)
    found = contradictions(labels, np.array([1]), np.array([0.01]), timing)
    assert found.places.tolist() == [1]


def test_a_model_that_is_sure_of_a_ventricular_beat_keeps_the_label() -> None:
    timing = Rhythm(*(np.array([STEADY[name]]) for name in Rhythm._fields))
    given = (np.array([PVC], np.int32), np.zeros(3, dtype=np.int64), np.full(3, 0.01), timing)
    assert len(contradictions(*given).places) == 1
    assert len(contradictions(*given, called=np.array([False, True, False])).places) == 0


def test_only_clear_beats_show_that_a_ventricular_one_is_there_and_any_keeps_the_label() -> None:
    timing = Rhythm(*(np.array([STEADY[name]]) for name in Rhythm._fields))
    beats, one = (np.zeros(3, dtype=np.int64), np.array([0.01, 0.95, 0.01]), timing), np.array([False, True, False])
    for label, clear, listed_ in ((NORMAL, one, 1), (NORMAL, ~one, 0), (PVC, one, 0), (PVC, ~one, 0)):
        assert len(contradictions(np.array([label], np.int32), *beats, clear=clear).places) == listed_


def test_clear_beats_are_out_of_time_on_steady_strips() -> None:
    found = looks(early=[0.0, 0.3, 0.0, 0.3], pause=[0.0, 0.0, 0.3, 0.0])
    timing = Rhythm(*(np.zeros(2),) * 4, np.array([0.99, 0.8]))
    assert clear_beats(found, np.array([0, 0, 0, 1]), timing).tolist() == [False, True, True, False]


def test_the_further_beyond_a_limit_the_higher_the_score() -> None:
    timing = Rhythm(*(np.full(3, STEADY[name]) for name in Rhythm._fields))
    found = contradictions(np.full(3, NORMAL, np.int32), np.arange(3), np.array([PRESENT, 0.8, 1.0]), timing)
    assert np.all(np.diff(found.score) > 0)
    np.testing.assert_allclose(found.score[[0, 2]], [0.5, 1.0])


def test_rhythm_of_strips(run: Run) -> None:
    found = ectopy(run)
    timing = rhythm(run, found)
    label = np.asarray(run.strips.label)  # type: ignore[union-attr]
    assert timing.rate.shape == label.shape
    assert np.nanmedian(timing.change[label == AFIB]) > IRREGULAR > np.nanmedian(timing.change[label == NORMAL])
    strip = run.strip_of_beat
    interval = run.metadata["rr_prev_sec"].to_numpy(dtype=float)[strip == 0][1:]
    assert timing.rate[0] == pytest.approx(60 / np.median(interval))
    alike = np.sort(found.alike[strip == 0])
    assert timing.alike[0] == alike[3 * len(alike) // 4]
    assert np.all(timing.premature <= timing.early)
    assert timing.change[0] == pytest.approx(np.median(np.abs(np.diff(interval))) / np.median(interval))


def test_too_few_beats_say_nothing_of_the_rhythm(run: Run) -> None:
    rows = np.concatenate([np.flatnonzero(run.strip_of_beat == 0)[:4], np.flatnonzero(run.strip_of_beat == 1)[:5]])
    short = Run(
        **{
            **vars(run),
            "metadata": run.metadata.iloc[rows],
            "beats": run.beats[rows],
            "noise_flags": run.noise_flags[rows],
        }
    )
    timing = rhythm(short, ectopy(short))
    assert np.isnan(timing.rate[0]) and np.isfinite(timing.rate[1]) and np.isnan(timing.rate[2:]).all()


@pytest.mark.real
def test_wrong_labels_of_real_strips_are_found_and_right_ones_mostly_left_alone(real_run: Run) -> None:
    """Every twelfth strip of DS1; the figures in the module's docstring are for all of it."""
    found = ectopy(real_run)
    timing, strip = rhythm(real_run, found), real_run.strip_of_beat
    right = np.asarray(real_run.strips.label)  # type: ignore[union-attr]

    def share(true: int, given: int) -> float:
        labels = np.where(right == true, given, right).astype(np.int32)
        places = contradictions(labels, strip, found.probability, timing, clear=clear).places
        return float(np.isin(np.flatnonzero(right == true), places).mean())

    clear = clear_beats(found, strip, timing)
    assert len(contradictions(right, strip, found.probability, timing, clear=clear).places) / len(right) < 0.08
    for true, given, least in ((PVC, NORMAL, 0.8), (AFIB, NORMAL, 0.85), (NORMAL, PVC, 0.85), (NORMAL, AFIB, 0.85),
                               (PAC, NORMAL, 0.5), (NORMAL, PAC, 0.5), (NORMAL, TACHY, 0.9)):  # fmt: skip
        assert share(true, given) > least, (true, given)
