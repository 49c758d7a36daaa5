"""What a model found on strips, and how their noise was judged, by the strip's place; and the list that follows it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ecg_engine.arrhythmia.quality import SENTENCES
from ecg_engine.labels import NOISE, UNKNOWN, UNLABELLED
from ecg_engine.preprocess import Run
from state.anchors import BeatIndex
from state.effective import effective_labels
from state.strip_findings import NOTHING_SURE, UNKNOWN_PATTERN, Findings, findings_of, noise_sentences
from state.strip_rows import ALL, NOISY, READABLE, StripFilter, StripRows, filtered, orders_of, strip_rows
from tests.state.test_strip_rows import index, run

__all__ = ["index", "run"]

PVC, AFIB, NORMAL = 2, 5, 0


def predicted(run: Run) -> pd.DataFrame:
    """A prediction of all strips but the last, in another order than the run's; the third is a strange one."""
    assert run.strips is not None
    rows = run.strips.source_row[:-1]
    told = [(PVC, "PVC 3/12; PAC 1/12", 0.9), (NOISE, "noise: too disturbed to be read", 1.0), (NORMAL, "normal", 0.5)]
    told += [(UNKNOWN, "PVC 1/9", 0.5), (AFIB, "AF pattern, 90/min", 0.4)]
    told += [(NORMAL, "normal, 70/min", 0.7)] * (len(rows) - len(told))
    table = pd.DataFrame(told, columns=["strip_finding", "findings", "known_share"]).assign(
        source_row=rows, strip_pred_name="Normal", strip_pred_ratio=0.75, finding_confidence=0.8
    )
    table.loc[2, "known_share"] = 0.004
    table.loc[5, "known_share"] = np.nan
    return table.sample(frac=1, random_state=1)


def judged(run: Run) -> Run:
    """The run as if its strips had been judged: the second is noise, the fourth has lost its lead for a while."""
    assert run.strips is not None
    quality = pd.DataFrame({"noise_score": np.linspace(0, 1, len(run.strips)), "noise_reason": "", "noisy": 0})
    quality = quality.assign(lost_part=0.0)
    quality.loc[1, ["noise_reason", "noisy"]] = ["content;baseline", 1]
    quality.loc[3, ["noise_reason", "lost_part"]] = ["lost", 0.234]
    return replace(run, strip_quality=quality)


def read_rows(run: Run, index: BeatIndex) -> StripRows:
    found = findings_of(run, predicted(run), 0.02)
    return strip_rows(judged(run), index, effective_labels(index, ()), (), found)


def found_in(run: Run) -> Findings:
    found = findings_of(run, predicted(run), 0.02)
    assert found is not None
    return found


def test_findings_stand_at_their_strips_whatever_the_order_of_the_table(run: Run) -> None:
    found = found_in(run)
    assert found.words[0] == "PVC 3/12; PAC 1/12" and found.majority[0] == "Normal" and found.share[0] == 0.75
    assert found.names[:5] == ["PVC", "Noise", UNKNOWN_PATTERN, NOTHING_SURE, "AFib"]
    assert found.label[-1] == UNLABELLED and found.words[-1] == "" and found.names[-1] == "Not read"


def test_only_what_is_known_to_be_strange_is_an_unknown_pattern(run: Run) -> None:
    found = found_in(run)
    assert np.flatnonzero(found.strange).tolist() == [2], "a model that cannot tell calls nothing strange"
    everything = findings_of(run, predicted(run), 0.0)
    assert everything is not None and not everything.strange.any()


def test_the_serious_come_first_and_what_was_not_read_last(run: Run) -> None:
    found = found_in(run)
    ranks = found.rank
    order = [2, 1, 4, 0, 3, 5, len(ranks) - 1]  # strange, noise, AF, PVC, nothing sure, normal, not read
    assert np.all(np.diff(ranks[order]) > 0), ranks[order]


def test_a_prediction_of_the_reference_profile_finds_nothing(run: Run, index: BeatIndex) -> None:
    assert findings_of(run, predicted(run).drop(columns="strip_finding"), 0.02) is None
    assert noise_sentences(run) == []
    rows = strip_rows(run, index, effective_labels(index, ()), ())
    assert not {"finding", "findings", "noise_score", "noisy"} & set(rows.table)
    assert "Most serious finding" not in orders_of(rows) and "Noisiest strip" not in orders_of(rows)
    everything = list(range(len(rows.table)))
    wanted = StripFilter(findings=("PVC",), noisy=NOISY, order="Noisiest strip")
    assert filtered(rows, wanted).tolist() == everything, "a filter of another run holds nothing back"


def test_noise_is_told_in_sentences(run: Run) -> None:
    said = noise_sentences(judged(run))
    assert said[0] == ""
    assert said[1] == f"Too disturbed to be read as a whole. {SENTENCES['content']} {SENTENCES['baseline']}"
    assert said[3] == "The lead is lost in 23 % of the strip."


@pytest.mark.parametrize("order", ["Most serious finding", "Strangest pattern", "Noisiest strip"])
def test_the_list_is_filtered_and_ordered_by_findings_and_noise(run: Run, index: BeatIndex, order: str) -> None:
    rows = read_rows(run, index)
    assert order in orders_of(rows)
    places = filtered(rows, StripFilter(order=order)).tolist()
    assert sorted(places) == list(range(len(rows.table)))
    first = {"Most serious finding": 2, "Strangest pattern": 2, "Noisiest strip": len(places) - 1}
    assert places[0] == first[order]
    assert filtered(rows, StripFilter(findings=("PVC", UNKNOWN_PATTERN))).tolist() == [0, 2]
    assert filtered(rows, StripFilter(noisy=NOISY)).tolist() == [1]
    assert filtered(rows, StripFilter(noisy=READABLE)).tolist() == [one for one in sorted(places) if one != 1]
    assert len(filtered(rows, StripFilter(noisy=ALL))) == len(places)
