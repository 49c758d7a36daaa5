"""A run in a notebook: templates, clusters, prototypes, strips and beats, each in one call.

Every helper takes a :class:`~ecg_engine.preprocess.Run` or the folder of one, and returns a plotly figure or a
DataFrame; nothing is printed or shown by itself.

>>> from ecg_engine import notebook
>>> run = notebook.open_run("my_run")                # doctest: +SKIP
>>> notebook.show_templates(run)                     # doctest: +SKIP
>>> notebook.top_prototypes(run, 5)                  # doctest: +SKIP
>>> notebook.plot_prototypes(run, "PVC")             # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from ecg_engine import figures
from ecg_engine.config import ValidateConfig
from ecg_engine.errors import ConfigError
from ecg_engine.labels import UNLABELLED, label_id, label_name
from ecg_engine.loading import load_run
from ecg_engine.preprocess import Run
from ecg_engine.validation import parse_mix, validate_library

_BLOCKS = "▁▂▃▄▅▆▇█"


def open_run(folder: str | Path | Run) -> Run:
    """The run of a folder; a run is handed back as it is.

    Raises
    ------
    InputError
        If the folder holds no complete run.
    """
    return folder if isinstance(folder, Run) else load_run(folder)


def show_templates(run: str | Path | Run) -> go.Figure:
    """Class templates on one another, with the usable beats behind each."""
    run = open_run(run)
    usable = np.asarray(run.labels)[np.asarray(run.noise_flags) == 0]
    values, counts = np.unique(usable, return_counts=True)
    sizes = dict(zip(values.tolist(), counts.tolist(), strict=True))
    return figures.template_figure(run.class_templates, run.fs, counts=sizes, pre_sec=run.config.pre_sec)


def show_clusters(run: str | Path | Run, *, by: str = "cluster", max_points: int = 3000) -> go.Figure:
    """Beats in 2-D PCA of the feature space.

    Parameters
    ----------
    by : {"cluster", "label"}
        What colours the points.
    max_points : int
        More are subsampled; the chart says how many are shown.
    """
    run = open_run(run)
    if by not in ("cluster", "label"):
        raise ConfigError(f"by is {by!r}; it must be one of cluster, label.")
    groups = np.asarray(run.cluster_ids if by == "cluster" else run.labels)
    ids = run.metadata["beat_global_id"].to_numpy()
    return figures.pca_figure(run.features, groups, beat_ids=ids, clusters=by == "cluster", max_points=max_points)


def top_prototypes(run: str | Path | Run, n: int = 10, *, config: ValidateConfig | None = None) -> pd.DataFrame:
    """The ``n`` largest prototypes: size, label mix, purity, and the shape of their wave.

    Returns
    -------
    DataFrame
        prototype_id, size, dominant_label, dominant_label_name, mix (in words), purity, purity_all, noise_ratio,
        rr_prev_mean, rr_next_mean, samples (of the wave), shape (the wave in little blocks), reasons (why it is
        suspicious).
    """
    run = open_run(run)
    detail = validate_library(
        run.library, config, labels=np.asarray(run.labels), cluster_ids=np.asarray(run.cluster_ids)
    ).detail
    table = detail.sort_values("size", ascending=False, kind="stable").head(n).reset_index(drop=True)
    waves = [run.prototype_waves[int(number)] for number in table["prototype_id"]]
    table["mix"] = [mix_words(mix) for mix in table["label_mix_top3"]]
    table["samples"] = [len(wave) for wave in waves]
    table["shape"] = [blocks(wave) for wave in waves]
    order = ["prototype_id", "size", "dominant_label", "dominant_label_name", "mix", "purity", "purity_all"]
    return table[[*order, "noise_ratio", "rr_prev_mean", "rr_next_mean", "samples", "shape", "reasons"]]


def plot_prototypes(run: str | Path | Run, label: int | str, *, most: int = 12) -> go.Figure:
    """Prototypes whose most frequent label is ``label`` (id or name), largest first.

    Raises
    ------
    InputError
        If no label has this name; the message lists the names.
    """
    run = open_run(run)
    number = label_id(label) if isinstance(label, str) else int(label)
    return figures.prototypes_of_label(
        run.library, run.prototype_waves, number, run.fs, most=most, pre_sec=run.config.pre_sec
    )


def show_prototype(run: str | Path | Run, prototype_id: int) -> go.Figure:
    """One prototype over its members.

    Raises
    ------
    ConfigError
        If the run has no such prototype; the message lists the ids.
    """
    run = open_run(run)
    if prototype_id not in run.prototype_waves:
        ids = ", ".join(str(number) for number in sorted(run.prototype_waves))
        raise ConfigError(f"this run has no prototype {prototype_id}; its prototypes are {ids or 'none'}.")
    members = np.asarray(run.beats)[np.asarray(run.cluster_ids) == prototype_id]
    dominant = run.library.set_index("prototype_id")["dominant_label"].to_dict()
    label = int(dominant.get(prototype_id, UNLABELLED))
    return figures.members_overlay(
        run.prototype_waves[prototype_id],
        members,
        run.fs,
        name=f"prototype {prototype_id} ({label_name(label)})",
        colour=figures.label_colour(label),
        pre_sec=run.config.pre_sec,
    )


def show_strip(run: str | Path | Run, source_row: int, **options: Any) -> go.Figure:
    """One strip on ECG paper; options as for :func:`ecg_engine.figures.run_strip_figure`."""
    return figures.run_strip_figure(open_run(run), source_row, **options)


def show_beat(run: str | Path | Run, beat_id: int) -> go.Figure:
    """One beat against the template of its label and its nearest prototypes."""
    return figures.run_beat_figure(open_run(run), beat_id)


def mix_words(mix: object) -> str:
    """``"2:50;5:14"`` as ``"PVC 50, AFib 14"``; an empty mix as ``"no labelled members"``."""
    counts = parse_mix(mix)
    return ", ".join(f"{label_name(label)} {count:,}" for label, count in counts.items()) or "no labelled members"


def blocks(wave: npt.NDArray[np.floating], width: int = 24) -> str:
    """A wave as ``width`` little blocks, so that a table can show its shape."""
    parts = np.array_split(np.asarray(wave, dtype=float), min(width, len(wave)))
    # Of each part the sample farthest from the baseline, so that a narrow QRS is not averaged away.
    middle = float(np.median(wave))
    heights = np.array([part[np.argmax(np.abs(part - middle))] for part in parts])
    span = float(np.ptp(heights)) or 1.0
    return "".join(_BLOCKS[round(7 * (height - heights.min()) / span)] for height in heights)
