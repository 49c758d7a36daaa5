"""Predicting a run by the arrhythmia profile: classes of beats, findings of strips, and what is unlike all known.

All strips of a patient in the run speak for each other, and so does what a reader has said of beats and groups.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.arrhythmia.classify import Classified, Words, decide
from ecg_engine.arrhythmia.groups import smooth
from ecg_engine.arrhythmia.model import ArrhythmiaModel
from ecg_engine.arrhythmia.runs import SYMBOLS
from ecg_engine.arrhythmia.studies import study_of_run
from ecg_engine.datasets import RunPart
from ecg_engine.labels import P_COLUMNS
from ecg_engine.preprocess import Run
from ecg_engine.progress import Progress, silent


class Read(NamedTuple):
    """A run as a model reads it.

    Attributes
    ----------
    beats : DataFrame
        One row a beat of the run: pred_label, pred_conf, aami, p_n, p_s, p_v, p_f, noise_prob (by a net's gate; NaN
        if none has one); NaN and "" for beats that a reader deleted.
    strips : DataFrame
        One row a strip of the run, in its order, those without beats included: strip_finding, strip_finding_name,
        findings, finding_confidence, unknown_score, known_share, rules_version.
    """

    beats: pd.DataFrame
    strips: pd.DataFrame


def read_run(model: ArrhythmiaModel, run: Run, said: RunPart | None = None, progress: Progress = silent) -> Read:
    """Classes of all beats of a run, noisy ones included, and findings of all its strips.

    Parameters
    ----------
    model : ArrhythmiaModel
    run : Run
        Of the arrhythmia profile.
    said : RunPart, optional
        What readers have said of the run's beats.
    progress : Progress

    Raises
    ------
    InputError
        If the run is of the reference profile, or keeps no strips.
    """
    progress("describing beats", 0.0)
    known, weight, present = (None, None, None) if said is None else (said.known, said.weight, said.present)
    study, rows = study_of_run(run, known=known, weight=weight, present=present)
    progress("reading beats", 0.6)
    _, group = np.unique(run.metadata["group_id"].to_numpy()[rows], return_inverse=True)
    group = group.astype(np.int64)
    seen = model.beats.look(study.examples)
    p = smooth(seen.classes, group)
    noisy = None if run.strip_quality is None else run.strip_quality["noisy"].to_numpy() != 0
    found = decide(model.beats, study, p, group, Words(known=study.known, weight=study.weight), noisy)
    progress("looking for patterns that are not known", 0.9)
    strips = found.strips[["strip_finding", "strip_finding_name", "findings", "finding_confidence"]].copy()
    strips["unknown_score"], strips["known_share"] = np.nan, np.nan
    if model.known is not None:
        score = model.known.score(study)
        strips["unknown_score"], strips["known_share"] = score, model.known.share(score)
    strips["rules_version"] = found.strips["rules_version"]
    return Read(_beat_table(len(run.metadata), rows, found, model, seen.noise), strips)


def _beat_table(
    count: int,
    rows: NDArray[np.int64],
    found: Classified,
    model: ArrhythmiaModel,
    noise: NDArray[np.float32] | None,
) -> pd.DataFrame:
    acts_as = np.array(model.beats.acts_as)
    symbols = [found.probabilities[:, acts_as == k].sum(axis=1) for k in range(len(SYMBOLS))]
    values = found.beats[["pred_label", "pred_conf", "aami"]].assign(**dict(zip(P_COLUMNS, symbols, strict=True)))
    values = values.assign(noise_prob=np.nan if noise is None else noise)
    table = values.set_axis(rows).reindex(np.arange(count))
    return table.assign(aami=table["aami"].fillna(""))
