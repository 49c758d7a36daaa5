"""From a preprocessing run to the charts of its strips and beats: what pages and notebooks call."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from ecg_engine.conditioning import bandpass
from ecg_engine.errors import InputError
from ecg_engine.figures.beats import beat_figure, nearest_prototypes
from ecg_engine.figures.palette import label_colour, label_letter
from ecg_engine.figures.strips import strip_figure
from ecg_engine.labels import NOISE, UNLABELLED, label_name
from ecg_engine.preprocess import Run
from ecg_engine.strips import Strips
from ecg_engine.svg import Frame


def beats_of_strip(run: Run, source_row: int, *, labels: npt.NDArray[np.integer] | None = None) -> pd.DataFrame:
    """Beats of one strip in order of time: the run's metadata with a column ``label``.

    Parameters
    ----------
    labels : int array, shape (n,), optional
        Effective labels of all beats of the run; the run's own by default.
    """
    rows = np.flatnonzero(run.metadata["source_row"].to_numpy() == source_row)
    table = run.metadata.iloc[rows].copy()
    table["label"] = (run.labels if labels is None else labels)[rows]
    return table


def strip_units(run: Run, source_row: int, *, filtered: bool = False) -> npt.NDArray[np.float32]:
    """Samples of one strip in the units of the file, raw or bandpassed as the run did, float32 (n,).

    Raises
    ------
    InputError
        If the run keeps no strips (a folder of the old scripts), or the row is not among them.
    """
    strips, index = _find(run, source_row)
    wave = strips.wave(index)
    if not filtered:
        return np.asarray(wave, dtype=np.float32)
    config = run.config
    return bandpass(
        np.asarray(wave, dtype=np.float32),
        run.fs,
        low_hz=config.low_hz,
        high_hz=config.high_hz,
        order=config.filter_order,
    )


def run_strip_figure(
    run: Run,
    source_row: int,
    *,
    filtered: bool = False,
    labels: npt.NDArray[np.integer] | None = None,
    **options: Any,
) -> go.Figure:
    """One strip of a run on ECG paper, with its beats.

    Parameters
    ----------
    run : Run
    source_row : int
        0-based data row of the strip.
    filtered : bool
        Draw the bandpassed trace instead of the raw one; the printed line says which.
    labels : int array, shape (n,), optional
        Effective labels of all beats.
    **options
        Passed on to :func:`~ecg_engine.figures.strips.strip_figure`: paper, selected, assumed ...

    Raises
    ------
    InputError
        As :func:`strip_units`.
    """
    strips, index = _find(run, source_row)
    config = run.config
    settings: dict[str, Any] = {
        "units_per_mv": config.units_per_mv,
        "filter_hz": (config.low_hz, config.high_hz) if filtered else None,
        "window_sec": (config.pre_sec, config.post_sec),
        "title": strip_title(strips, index),
    }
    wave = strip_units(run, source_row, filtered=filtered)
    return strip_figure(wave, run.fs, beats_of_strip(run, source_row, labels=labels), **(settings | options))


def strip_title(strips: Strips, index: int) -> str:
    """``"Strip 12 · patient 101 · Normal"``; a strip without a patient says so."""
    patient = strips.patient_id[index]
    who = "patient unknown" if patient == -1 else f"patient {patient}"
    return f"Strip {int(strips.source_row[index])} · {who} · {label_name(int(strips.label[index]))}"


def run_beat_figure(run: Run, beat_id: int, *, label: int | None = None, k: int = 3) -> go.Figure:
    """One beat against the template of its label and its ``k`` nearest prototypes.

    Raises
    ------
    InputError
        If the run has no beat of this id.
    """
    rows = np.flatnonzero(run.metadata["beat_global_id"].to_numpy() == beat_id)
    if not len(rows):
        raise InputError(f"this run has no beat {beat_id}", remedy=f"Its beats are 0 to {len(run.metadata) - 1}.")
    beat = np.asarray(run.beats[rows[0]])
    shown_label = int(run.labels[rows[0]]) if label is None else label
    names = run.library.set_index("prototype_id")["dominant_label"].to_dict() if len(run.library) else {}
    near = []
    for found in nearest_prototypes(beat, run.prototype_waves, k):
        kind = label_name(int(names.get(found.prototype_id, UNLABELLED)))
        near.append((f"#{found.prototype_id} {kind} {found.similarity:.2f}", run.prototype_waves[found.prototype_id]))
    return beat_figure(
        beat,
        run.fs,
        template=run.class_templates.get(shown_label),
        template_label=shown_label,
        prototypes=near,
        pre_sec=run.config.pre_sec,
    )


def strip_frame(run: Run, source_row: int, *, labels: npt.NDArray[np.integer] | None = None) -> Frame:
    """One strip of a run as a thumbnail for :func:`~ecg_engine.svg.strips_svg`."""
    strips, index = _find(run, source_row)
    beats = beats_of_strip(run, source_row, labels=labels)
    noise = beats["noise_flag"].to_numpy(dtype=bool)
    shown_labels = np.where(noise, NOISE, beats["label"].to_numpy(dtype=int))
    marks = [
        (int(at), label_letter(value), label_colour(value))
        for at, value in zip(beats["r_index"], shown_labels.tolist(), strict=True)
    ]
    return Frame(strips.wave(index), strip_title(strips, index), marks=marks)


def _find(run: Run, source_row: int) -> tuple[Strips, int]:
    if run.strips is None:
        raise InputError(
            "this run keeps no strips, only beats",
            remedy="It was made by the old scripts; preprocess the file again to see its strips.",
        )
    rows = run.strips.source_row
    index = int(np.searchsorted(rows, source_row))
    if index >= len(rows) or rows[index] != source_row:
        raise InputError(f"row {source_row} gave no strip", remedy="skipped_rows.csv says why rows were left out.")
    return run.strips, index
