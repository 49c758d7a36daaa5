"""From preprocessing runs of the arrhythmia profile to a study to learn from, or to predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_engine.arrhythmia.context import RHYTHM, Context
from ecg_engine.arrhythmia.flutter import flutter_probability
from ecg_engine.arrhythmia.learning import Study
from ecg_engine.arrhythmia.oscillation import oscillation_probability
from ecg_engine.arrhythmia.references import CutBeats, References, cut_beats
from ecg_engine.config import ARRHYTHMIA
from ecg_engine.datasets import RunPart
from ecg_engine.errors import InputError
from ecg_engine.labels import UNLABELLED
from ecg_engine.preprocess import Run

_SAID = ("labels", "known", "weight", "flutter", "oscillation")


class RunStudy(NamedTuple):
    """A run as a study.

    Attributes
    ----------
    study : Study
        One row a strip of the run, in its order.
    rows : int64 (m,)
        Row of each of the study's beats in the run.
    """

    study: Study
    rows: NDArray[np.int64]


def study_of_run(
    run: Run,
    *,
    strip_labels: NDArray[np.integer] | None = None,
    known: NDArray[np.integer] | None = None,
    weight: NDArray[np.floating] | None = None,
    present: NDArray[np.bool_] | None = None,
    name: str = "this data set",
) -> RunStudy:
    """Cut and describe the beats of a run as the profile's nets see them.

    Parameters
    ----------
    run : Run
        Of the arrhythmia profile.
    strip_labels : int (s,), optional
        The run's own by default.
    known : int (n,), optional
        Label that a reader gave to a beat, -999 elsewhere.
    weight : float (n,), optional
    present : bool (n,), optional
        False for beats to leave out.
    name : str
        What messages call the run.

    Raises
    ------
    InputError
        If the run is of the reference profile, or keeps no strips.
    """
    if run.config.profile != ARRHYTHMIA or run.strips is None:
        raise InputError(
            "it was preprocessed in the reference profile, which leaves out beats that the arrhythmia profile reads",
            where=name,
            remedy="Preprocess it again in the arrhythmia profile.",
        )
    strips, n = run.strips, len(run.metadata)
    rows = np.arange(n) if present is None else np.flatnonzero(present)
    strip = run.strip_of_beat[rows]
    r_index = run.metadata["r_index"].to_numpy(dtype=np.int64)[rows]
    bounds = np.searchsorted(strip, np.arange(len(strips) + 1))
    peaks = [r_index[bounds[row] : bounds[row + 1]] for row in range(len(strips))]
    samples = np.asarray(strips.samples)
    beats = cut_beats(samples, strips.offsets, strips.fs, peaks, strips.patient_id)
    study = Study.of(
        beats,
        strips.label if strip_labels is None else strip_labels,
        np.full(len(rows), UNLABELLED) if known is None else known[rows],
        None if weight is None else weight[rows],
        flutter=flutter_probability(samples, strips.offsets, strips.fs, peaks),
        oscillation=oscillation_probability(samples, strips.offsets, strips.fs),
        noise=np.asarray(run.noise_flags)[rows] != 0,
    )
    return RunStudy(study, rows)


def study_of_parts(parts: Sequence[RunPart]) -> Study:
    """Several runs as one study, each with the references of its own patients.

    Raises
    ------
    InputError
        If one of them is of the reference profile, or there are none with strips.
    """
    if not parts:
        raise InputError(
            "the arrhythmia profile learns from strips, and these data keep none",
            where="training data",
            remedy="Preprocess the strips again in the arrhythmia profile.",
        )
    return joined(
        [
            study_of_run(
                part.run,
                strip_labels=part.strip_labels,
                known=part.known,
                weight=part.weight,
                present=part.present,
                name=part.name,
            ).study
            for part in parts
        ]
    )


def joined(studies: Sequence[Study]) -> Study:
    """Strips of several studies one after the other; patients of different studies stay apart."""
    first = studies[0]
    if len(studies) == 1:
        return first
    strips = np.cumsum([0, *(len(one.labels) for one in studies)])
    patients = np.cumsum([0, *(len(one.references.patient) for one in studies)])
    beats = CutBeats(
        np.concatenate([one.beats.waves for one in studies]),
        np.concatenate([one.beats.strip + at for one, at in zip(studies, strips[:-1], strict=True)]),
        np.concatenate([one.beats.r_sec for one in studies]),
        np.concatenate([one.beats.inside for one in studies]),
        np.concatenate([one.beats.patient + at for one, at in zip(studies, patients[:-1], strict=True)]),
    )
    references = References(
        *(np.concatenate([getattr(one.references, name) for one in studies]) for name in References.__annotations__)
    )
    context = Context(
        np.concatenate([one.context.values for one in studies]),
        first.context.names,
        np.concatenate([one.context.pictures for one in studies]),
        *(np.concatenate([getattr(one.context, name) for one in studies]) for name in RHYTHM),
    )
    noise = [one.noise for one in studies if one.noise is not None]
    return replace(
        first,
        beats=beats,
        references=references,
        context=context,
        noise=np.concatenate(noise) if len(noise) == len(studies) else None,
        **{name: np.concatenate([getattr(one, name) for one in studies]) for name in _SAID},
    )
