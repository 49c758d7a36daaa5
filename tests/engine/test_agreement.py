"""Agreement of a prediction with labels, and which patients a model has seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ecg_engine.agreement import HELD_OUT, NEW, TRAINED, agreement, training_parts
from ecg_engine.bundle import Bundle
from ecg_engine.config import PreprocessConfig
from ecg_engine.errors import InputError
from ecg_engine.labels import NOISE, UNLABELLED
from ecg_engine.preprocess import Run, preprocess
from ecg_engine.simulate import simulate_strips
from ecg_engine.strips import read_strips

PREDICTED = pd.DataFrame(
    {"pred_label_raw": [0.0, 0.0, 2.0, 2.0, 0.0, np.nan], "review_flag": [0, 1, 0, 1, 0, 0]},
)
LABELS = [0, 2, 2, 2, 0, 0]


def test_beats_under_review_count_only_when_asked() -> None:
    without, with_review = agreement(PREDICTED, LABELS), agreement(PREDICTED, LABELS, count_review=True)
    assert (without.labelled, without.kept, without.counted) == (5, 3, 3)
    assert (without.accuracy, without.accuracy_kept) == (0.8, 1.0)
    assert without.matrix.tolist() == [[2, 0], [0, 1]]
    assert with_review.counted == 5
    assert with_review.matrix.tolist() == [[2, 0], [1, 2]]
    report = with_review.report.set_index("label")
    assert report.loc[2, "se"] == pytest.approx(2 / 3)
    assert report.loc[0, "ppv"] == pytest.approx(2 / 3)


def test_noise_unlabelled_and_unpredicted_beats_are_passed_over() -> None:
    found = agreement(PREDICTED, [NOISE, UNLABELLED, 2, NOISE, UNLABELLED, 0], count_review=True)
    assert (found.labelled, found.accuracy) == (1, 1.0)
    nothing = agreement(PREDICTED, [UNLABELLED] * 6)
    assert nothing.labelled == 0 and np.isnan(nothing.accuracy) and nothing.matrix.size == 0


def test_labels_must_be_as_many_as_beats() -> None:
    with pytest.raises(InputError, match="2 labels were given for 6 beats"):
        agreement(PREDICTED, [0, 1])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("agreement") / "a.csv"
    simulate_strips(n_per_label={0: 6, 2: 6}, n_patients=4, seed=1).strips.to_csv(path, index=False)
    config = PreprocessConfig()
    return preprocess(read_strips([path], config), config)


def bundle_that_saw(**metrics: object) -> Bundle:
    return Bundle({}, "hybrid", (0, 2), None, 260.4, 170, 5, metrics=dict(metrics))


def test_each_beat_is_of_the_part_that_its_patient_was_in(run: Run) -> None:
    patients = [str(one) for one in dict.fromkeys(run.metadata["patient_id"])]
    assert len(patients) == 4
    seen = bundle_that_saw(split="patient", patients_train=patients[:2], patients_val=patients[2:3])
    parts = training_parts(seen, run)
    assert parts is not None
    of_patient = (
        run.metadata["patient_id"]
        .astype(str)
        .map({patients[0]: TRAINED, patients[1]: TRAINED, patients[2]: HELD_OUT, patients[3]: NEW})
    )
    assert parts.tolist() == of_patient.tolist()
    # The arrhythmia profile holds patients out for its figures alone: what predicts has learned from them, too.
    everyone = training_parts(replace(seen, arrhythmia=object()), run)  # type: ignore[arg-type]
    assert everyone is not None
    assert everyone.tolist() == of_patient.replace(HELD_OUT, TRAINED).tolist()


def test_a_model_that_does_not_say_whom_it_saw_gives_no_parts(run: Run) -> None:
    assert training_parts(bundle_that_saw(), run) is None
    assert training_parts(bundle_that_saw(split="beat", patients_train=[], patients_val=[]), run) is None


def test_strips_without_a_patient_are_known_by_their_content(run: Run) -> None:
    # Preprocessed again, in another order or with other settings, a strip is still the one that was trained on.
    metadata = run.metadata.assign(patient_id=-1)
    nameless = replace(run, metadata=metadata)
    assert run.strips is not None
    groups = [f"strip:{digest[:16]}" for digest in run.strips.strip_hash]
    parts = training_parts(
        bundle_that_saw(split="patient", patients_train=groups[:3], patients_val=groups[3:4]), nameless
    )
    assert parts is not None
    rows = run.strips.source_row
    first_three = np.isin(metadata["source_row"], rows[:3])
    assert np.array_equal(parts == TRAINED, first_three)
    assert np.array_equal(parts == HELD_OUT, (metadata["source_row"] == rows[3]).to_numpy())
