"""From strips to beats and findings in one call, and what a reader's label of one group changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecg_engine.arrhythmia.beat_classes import BeatModel, FitConfig
from ecg_engine.arrhythmia.classify import Classified, Words, classify, decide, study_of
from ecg_engine.arrhythmia.findings import FLUTTER_SHOWN
from ecg_engine.arrhythmia.groups import plain_groups, rank_groups, smooth
from ecg_engine.arrhythmia.learning import LearnConfig, Study, learn
from tests.engine.arrhythmia.small import small

QUICK = LearnConfig(FitConfig(epochs=12, members=1, use_cnn=False, batch=64), moved=0.2, set_in=0.2)


@pytest.fixture(scope="module")
def study(real_data: Path) -> Study:
    few = small(real_data)
    return study_of(few.strips, few.peaks)


@pytest.fixture(scope="module")
def model(study: Study) -> BeatModel:
    return learn(study.strips(np.flatnonzero(study.beats.patient % 3 != 1)), QUICK)


@pytest.fixture(scope="module")
def unseen(study: Study) -> Study:
    return study.strips(np.flatnonzero(study.beats.patient % 3 == 1))


@pytest.fixture(scope="module")
def classified(model: BeatModel, unseen: Study) -> Classified:
    return classify(model, unseen, least_confidence=0.0)


def test_every_beat_and_strip_has_its_row_and_most_strips_their_label(unseen: Study, classified: Classified) -> None:
    beats, strips = classified.beats, classified.strips
    assert len(beats) == len(unseen.beats) and len(strips) == len(unseen.labels)
    assert set(beats["aami"]) <= set("NSVFQ") and set(beats["pred_label"]) <= {0, 1, 2, 8, 9}
    assert np.array_equal(beats["r_sec"], unseen.beats.r_sec)
    swings = strips["strip_finding"].to_numpy() == 8
    assert ((beats["aami"] == "Q") == swings[beats["strip"]]).all()
    readable = ~np.isin(unseen.labels, (-1, 6, 8))
    agreed = strips["strip_finding"].to_numpy() == unseen.labels
    assert agreed[readable].mean() > 0.75


def test_flutter_waves_become_a_finding_unless_something_is_more_serious(model: BeatModel, unseen: Study) -> None:
    assert (unseen.flutter < FLUTTER_SHOWN).all()
    waves = replace(unseen, flutter=np.full(len(unseen.labels), 0.97, dtype=np.float32))
    before, after = (classify(model, one, least_confidence=0.0).strips for one in (unseen, waves))
    plain = before["strip_finding"].isin([0, 1, 2, 3, 4])
    assert (after["strip_finding"][plain] == 6).all()
    assert after["findings"][plain].str.contains("atrial flutter pattern").all()
    assert after["finding_confidence"][plain].to_numpy() == pytest.approx(0.97)
    serious = before["strip_finding"].isin([5, 7, 8])
    assert serious.any() and (after["strip_finding"][serious] == before["strip_finding"][serious]).all()


def test_strips_read_alone_are_the_same_as_among_their_patients_strips_only(study: Study, unseen: Study) -> None:
    # taking strips out of a study must not mix up rows
    rows = np.flatnonzero(study.beats.patient % 3 == 1)
    for number in (0, len(rows) // 2, len(rows) - 1):
        mine, theirs = unseen.beats.bounds, study.beats.bounds
        here = slice(mine[number], mine[number + 1])
        there = slice(theirs[rows[number]], theirs[rows[number] + 1])
        assert np.array_equal(unseen.context.values[here], study.context.values[there])
        assert np.array_equal(unseen.beats.waves[here], study.beats.waves[there])


def test_a_label_of_a_group_changes_its_beats_and_the_findings_of_its_strips(
    model: BeatModel, unseen: Study, classified: Classified
) -> None:
    ranked = rank_groups(classified.group, classified.probabilities, unseen.beats.patient[unseen.beats.strip])
    plain = plain_groups(classified.probabilities, classified.group, unseen.beats.patient[unseen.beats.strip])
    large = ranked[(ranked["size"] >= 5) & ~ranked["group"].isin(list(plain))].iloc[0]
    given = 2 if large["guess"] != 2 else 0
    group, shown = int(large["group"]), int(large["example"])
    p = smooth(model.probabilities(unseen.examples), classified.group)
    again = decide(model, unseen, p, classified.group, Words({group: given}, {group: shown}), least_confidence=0.0)
    inside = classified.group == group
    assert again.beats["pred_label"][shown] == given
    assert np.mean(again.beats["pred_label"][inside] == given) > 0.5
    # of other beats only those of the same patient change, and few
    moved = (np.abs(again.probabilities - classified.probabilities) > 1e-6).any(axis=1) & ~inside
    patient = unseen.beats.patient[unseen.beats.strip]
    assert (patient[moved] == patient[shown]).all()
    turned = (again.beats["aami"] != classified.beats["aami"]).to_numpy() & ~inside
    assert turned.mean() < 0.05
    touched = np.isin(np.arange(len(unseen.labels)), unseen.beats.strip[inside | moved])
    before, after = classified.strips["findings"], again.strips["findings"]
    assert (before[~touched] == after[~touched]).all()
    assert (before[touched] != after[touched]).any()


def test_noisy_strips_are_said_to_be_noise_and_their_beats_are_still_classified(
    model: BeatModel, unseen: Study, classified: Classified
) -> None:
    noisy = np.zeros(len(unseen.labels), dtype=bool)
    noisy[:3] = True
    again = classify(model, unseen, group=classified.group, noisy=noisy)
    assert (again.strips["strip_finding"][:3] == -1).all()
    assert np.array_equal(again.beats["aami"], classified.beats["aami"])


def test_one_ectopic_beat_does_not_make_a_patients_ordinary_beats_ectopic(
    model: BeatModel, unseen: Study, classified: Classified
) -> None:
    p, group = smooth(model.probabilities(unseen.examples), classified.group), classified.group
    plain = plain_groups(p, group, unseen.beats.patient[unseen.beats.strip])
    ordinary = min(one for one, number in plain.items() if number == 0)
    inside = np.flatnonzero(group == ordinary)
    seen = int(inside[p[inside, 0].argmax()])
    stray = decide(model, unseen, p, group, Words({ordinary: 2}, {ordinary: seen})).beats["aami"].to_numpy()
    assert stray[seen] == "V"
    assert np.mean(stray[inside] == "V") < 0.2
    # a reader who saw the whole group has her way
    whole = decide(model, unseen, p, group, Words({ordinary: 2})).beats["aami"].to_numpy()
    assert np.mean(whole[inside] == "V") > 0.95


def test_beats_labelled_one_by_one_are_certain_and_pass_on_what_the_model_had_wrong(
    model: BeatModel, unseen: Study, classified: Classified, real_data: Path, study: Study
) -> None:
    truth = np.array(["NSVFQ".index(one) for one in small(real_data).aami])
    truth = truth[np.isin(study.beats.strip, np.flatnonzero(study.beats.patient % 3 == 1))]
    p, group = smooth(model.probabilities(unseen.examples), classified.group), classified.group
    picked = np.random.default_rng(0).choice(np.flatnonzero(truth < 4), 80, replace=False)
    known = np.full(len(p), -999)
    known[picked] = np.array([0, 1, 2, 9])[truth[picked]]
    told = decide(model, unseen, p, group, Words(known=known))
    assert np.array_equal(told.beats["pred_label"].to_numpy()[picked], known[picked])
    rest = np.setdiff1d(np.flatnonzero(truth < 4), picked)

    def errors(found: Classified) -> int:
        return int((found.beats["aami"].to_numpy()[rest] != np.array(list("NSVF"))[truth[rest]]).sum())

    assert errors(told) < errors(classified)
    # labels that are no class of beats (noise) change nothing
    noise = np.where(known == -999, -999, -1)
    assert np.array_equal(decide(model, unseen, p, group, Words(known=noise)).probabilities, classified.probabilities)
