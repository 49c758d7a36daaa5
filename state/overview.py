"""What a preprocessing run holds, label by label, as computed and as readers have it now. Pure functions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ecg_engine.datasets import training_data
from ecg_engine.labels import NOISE, UNLABELLED, label_name
from ecg_engine.preprocess import Run
from state.effective import Effective


def label_table(run: Run, effective: Effective) -> pd.DataFrame:
    """Strips and beats of each label.

    Returns
    -------
    DataFrame
        label, name, strips (None for folders of the old scripts), beats (by the strip's label), noise (of those, beats
        that the run flagged), noise_share, usable (those it did not), usable_now (beats that carry the label once all
        decisions are counted in and that are not left out; added ones among them, deleted ones not), emptied (the run
        flagged all of them). In ascending order, unlabelled ones last.
    """
    raw, flags = np.asarray(run.labels), np.asarray(run.noise_flags) != 0
    added = np.array([beat.label for beat in effective.added], dtype=np.int32)
    now = np.concatenate([effective.labels[effective.noise_flags == 0], added])
    strip_labels = None if run.strips is None else np.asarray(run.strips.label)
    known = set(np.unique(raw).tolist()) | set(np.unique(now).tolist())
    if strip_labels is not None:
        known |= set(np.unique(strip_labels).tolist())
    rows = []
    for label in sorted(known, key=lambda value: (value == UNLABELLED, value)):
        beats, noise = int((raw == label).sum()), int(flags[raw == label].sum())
        rows.append(
            {
                "label": label,
                "name": label_name(label),
                "strips": None if strip_labels is None else int((strip_labels == label).sum()),
                "beats": beats,
                "noise": noise,
                "noise_share": noise / beats if beats else 0.0,
                "usable": beats - noise,
                "usable_now": int((now == label).sum()),
                "emptied": bool(beats and beats == noise and label != UNLABELLED),
            }
        )
    names = ["label", "name", "strips", "beats", "noise", "noise_share", "usable", "usable_now", "emptied"]
    return pd.DataFrame(rows, columns=names)


def training_table(run: Run, effective: Effective, patients: np.ndarray) -> pd.DataFrame:
    """What a training on this run would learn from. Added beats are not among it before preprocessing takes them in.

    Parameters
    ----------
    patients : object (str) (n,)
        Patient (or strip, where none is known) of each beat, see :func:`ecg_engine.datasets.training_data`.

    Returns
    -------
    DataFrame
        label, name, beats (usable ones that carry the label now), patients (that have one), decided (beats of these
        whose label a reader gave). Classes in ascending order, then Noise (teaches the gate), then unlabelled beats
        (not trained on).
    """
    usable = effective.noise_flags == 0
    labels = effective.labels[usable]
    decided = effective.source[usable] != "strip"
    who = patients[usable]
    rows = []
    for label in sorted(np.unique(labels).tolist(), key=lambda value: (value == UNLABELLED, value == NOISE, value)):
        mine = labels == label
        rows.append(
            {
                "label": label,
                "name": label_name(label),
                "beats": int(mine.sum()),
                "patients": len(set(who[mine].tolist())),
                "decided": int(decided[mine].sum()),
            }
        )
    return pd.DataFrame(rows, columns=["label", "name", "beats", "patients", "decided"])


def strips_to_learn_from(run: Run, effective: Effective) -> pd.DataFrame:
    """What a training in the arrhythmia profile would learn from on this run.

    Returns
    -------
    DataFrame
        label, name, strips (whose label it is now), patients (of these strips; a strip without one counts as one),
        decided (beats that a reader gave it, alone or with look-alikes). In ascending order, noise and unlabelled
        strips last.
    """
    (said,) = training_data(
        run,
        labels=effective.labels,
        noise_flags=effective.noise_flags,
        source=effective.source,
        deleted=effective.deleted,
    ).parts
    labels, given = np.unique(said.strip_labels), np.unique(said.known[said.known != UNLABELLED])
    rows = []
    for label in sorted(
        {*labels.tolist(), *given.tolist()}, key=lambda value: (value == UNLABELLED, value == NOISE, value)
    ):
        mine = said.strip_labels == label
        rows.append(
            {
                "label": label,
                "name": label_name(label),
                "strips": int(mine.sum()),
                "patients": len(set(said.patient_group[mine].tolist())),
                "decided": 0 if label == UNLABELLED else int((said.known == label).sum()),
            }
        )
    return pd.DataFrame(rows, columns=["label", "name", "strips", "patients", "decided"])
