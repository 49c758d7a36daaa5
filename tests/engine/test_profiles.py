"""What is said of the profiles: both, in two sentences each, with figures that a benchmark prints."""

from __future__ import annotations

from bench.__main__ import NAMES
from ecg_engine.config import PROFILES
from ecg_engine.profiles import FIGURES, SENTENCES


def test_both_profiles_are_told_in_two_sentences_and_every_figure_names_a_benchmark() -> None:
    assert set(SENTENCES) == set(PROFILES)
    assert all(sentence.endswith(".") for both in SENTENCES.values() for sentence in both)
    assert {figure.command for figure in FIGURES} <= set(NAMES)
    assert len({figure.name for figure in FIGURES}) == len(FIGURES)
