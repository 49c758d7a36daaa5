"""The PNG artefacts of a run, a validation and a search for new patterns (matplotlib; spec sections 7 and 9).

They are for folders and reports. What people look at on a screen is drawn by the other modules of this package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from ecg_engine.alerts import Patterns
from ecg_engine.config import ValidateConfig
from ecg_engine.figures.alerts import cluster_name
from ecg_engine.figures.beats import pca_plane
from ecg_engine.figures.charts import beat_times, shown, subsample
from ecg_engine.figures.palette import ALARM, INK, label_colour, series_colour
from ecg_engine.files import atomic_write
from ecg_engine.labels import NOISE, label_name
from ecg_engine.preprocess import Run

Wave = npt.NDArray[np.floating]

TEMPLATES_PICTURE = "class_templates.png"
CLUSTERS_PICTURE = "global_clusters_pca2d.png"
GALLERY_PICTURE = "prototype_gallery.png"
PURITY_PICTURE = "prototype_purity_vs_size.png"
PATTERNS_PICTURE = "new_pattern_pca2d.png"
CENTROIDS_PICTURE = "new_pattern_centroids.png"

_DPI = 110
_MOST_POINTS = 20_000
_MOST_FRAMES = 24
_MARKERS = "o^sDvPX*"


def draw_run_pictures(run: Run, folder: str | Path) -> list[Path]:
    """Draw class_templates.png, global_clusters_pca2d.png and prototype_gallery.png; returns their paths."""
    target = Path(folder)
    pre = run.config.pre_sec
    usable = run.labels[run.noise_flags == 0]
    names = {
        label: f"{label_name(label)} ({int(np.count_nonzero(usable == label)):,} beats)"
        for label in run.class_templates
    }
    templates = _frames(
        [run.class_templates[label] for label in names],
        list(names.values()),
        [label_colour(label) for label in names],
        run.fs,
        pre,
        "Class templates: median of the usable beats",
    )
    clusters = _plane(
        pca_plane(run.features)[0], np.asarray(run.cluster_ids), "Global clusters in 2-D PCA", noise_name="noise"
    )
    library = run.library.head(_MOST_FRAMES)
    ids = library["prototype_id"].astype(int).tolist()
    dominant = library["dominant_label"].astype(int).tolist()
    gallery = _frames(
        [run.prototype_waves[number] for number in ids],
        [
            f"#{number} {label_name(label)} ({size:,})"
            for number, label, size in zip(ids, dominant, library["size"].tolist(), strict=True)
        ],
        [label_colour(label) for label in dominant],
        run.fs,
        pre,
        f"Prototypes: {shown(len(ids), len(run.library), 'prototypes')}, largest first",
    )
    drawn = {TEMPLATES_PICTURE: templates, CLUSTERS_PICTURE: clusters, GALLERY_PICTURE: gallery}
    return [_save(figure, target / name) for name, figure in drawn.items()]


def draw_validation_pictures(
    detail: pd.DataFrame,
    waves: Mapping[int, Wave],
    fs: float,
    folder: str | Path,
    *,
    config: ValidateConfig | None = None,
    pre_sec: float = 0.250,
) -> list[Path]:
    """Draw purity against size, and prototype_gallery_label_<label>.png for every dominant label.

    Parameters
    ----------
    detail : DataFrame
        ``ValidationResult.detail``.
    waves : mapping of prototype id to array, shape (beat_len,)
    """
    target = Path(folder)
    written = [_save(_purity(detail, config or ValidateConfig()), target / PURITY_PICTURE)]
    for label in np.unique(detail["dominant_label"].to_numpy(dtype=int)):
        mine = detail[detail["dominant_label"] == label].sort_values("size", ascending=False, kind="stable")
        top = mine.head(_MOST_FRAMES)
        names = [
            f"#{row['prototype_id']} ({row['size']:,}) purity {row['purity']:.2f}"
            + (f"\n{row['reasons'].replace(';', ', ')}" if row["reasons"] else "")
            for row in top.to_dict("records")
        ]
        figure = _frames(
            [waves[number] for number in top["prototype_id"].astype(int)],
            names,
            [label_colour(int(label))] * len(top),
            fs,
            pre_sec,
            f"{label_name(int(label))}: {shown(len(top), len(mine), 'prototypes')}",
        )
        written.append(_save(figure, target / f"prototype_gallery_label_{label}.png"))
    return written


def draw_pattern_pictures(patterns: Patterns, fs: float, folder: str | Path, *, pre_sec: float = 0.250) -> list[Path]:
    """Draw new_pattern_pca2d.png and new_pattern_centroids.png; with nothing under review they say so."""
    target = Path(folder)
    order = patterns.clusters["cluster_id"].astype(int).tolist()
    sizes, flags = patterns.clusters["size"].tolist(), patterns.clusters["alert_flag"].tolist()
    names = [cluster_name(*row) for row in zip(order, sizes, map(bool, flags), strict=True)]
    plane = _plane(
        patterns.members[["pc1", "pc2"]].to_numpy(dtype=float),
        patterns.members["cluster_id"].to_numpy(dtype=int),
        "Beats under review in 2-D PCA",
        names=dict(zip(order, names, strict=True)),
    )
    centroids = _frames(
        [patterns.centroids[number] for number in order],
        names,
        [series_colour(number) for number in order],
        fs,
        pre_sec,
        "Median beats of the clusters under review",
    )
    return [_save(plane, target / PATTERNS_PICTURE), _save(centroids, target / CENTROIDS_PICTURE)]


def _save(figure: Figure, path: Path) -> Path:
    atomic_write(path, partial(figure.savefig, dpi=_DPI, format="png"))
    return path


def _nothing(title: str) -> Figure:
    figure = Figure(figsize=(5, 1.6), layout="constrained")
    figure.suptitle(title)
    figure.text(0.5, 0.4, "nothing to show", ha="center", color=INK)
    return figure


def _style(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.tick_params(labelsize=8)


def _frames(
    waves: Sequence[Wave], names: Sequence[str], colours: Sequence[str], fs: float, pre_sec: float, title: str
) -> Figure:
    """Beats in frames of one scale, four to a row."""
    if not waves:
        return _nothing(title)
    columns = min(4, len(waves))
    rows = -(-len(waves) // columns)
    figure = Figure(figsize=(2.6 * columns + 0.4, 1.75 * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for place, axis in enumerate(axes.flat):
        if place >= len(waves):
            axis.set_visible(False)
            continue
        _style(axis)
        axis.axvline(0, color=INK, linewidth=0.6, linestyle=":")
        axis.plot(beat_times(len(waves[place]), fs, pre_sec), waves[place], color=colours[place], linewidth=1.6)
        axis.set_title(names[place], fontsize=8)
    figure.suptitle(title, fontsize=11)
    figure.supxlabel("ms from the R-peak", fontsize=9)
    figure.supylabel("strip SD", fontsize=9)
    return figure


def _plane(
    xy: npt.NDArray[np.floating],
    groups: npt.NDArray[np.integer],
    title: str,
    *,
    names: Mapping[int, str] | None = None,
    noise_name: str = "",
) -> Figure:
    """Points by group; many groups are told apart by colour and marker together."""
    if not len(xy):
        return _nothing(title)
    figure = Figure(figsize=(8.4, 5.4), layout="constrained")
    axes = figure.subplots()
    _style(axes)
    rows = subsample(groups, _MOST_POINTS)
    for group in np.unique(groups[rows]):
        inside = rows[groups[rows] == group]
        noise = bool(noise_name) and group == NOISE
        name = noise_name if noise else (names or {}).get(int(group), f"cluster {group}")
        marker = "x" if noise else _MARKERS[(group + group // len(_MARKERS)) % len(_MARKERS)]
        axes.scatter(
            xy[inside, 0],
            xy[inside, 1],
            s=9,
            marker=marker,
            color=INK if noise else series_colour(int(group)),
            alpha=0.4 if noise else 0.7,
            linewidths=0.6 if noise else 0,
            label=name,
        )
    axes.set_xlabel(f"component 1   ({shown(len(rows), len(groups))})", fontsize=9)
    axes.set_ylabel("component 2", fontsize=9)
    axes.set_title(title, fontsize=11)
    figure.legend(loc="outside right upper", fontsize=7, markerscale=1.6, frameon=False)
    return figure


def _purity(detail: pd.DataFrame, config: ValidateConfig) -> Figure:
    title = "Purity against size (suspicious ones ringed)"
    if not len(detail):
        return _nothing(title)
    figure = Figure(figsize=(7.6, 4.8), layout="constrained")
    axes = figure.subplots()
    _style(axes)
    axes.set_xscale("log")
    axes.axvline(max(config.min_size, 1), color=INK, linestyle="--", linewidth=0.8)
    axes.axhline(config.min_purity, color=INK, linestyle="--", linewidth=0.8)
    for place, label in enumerate(np.unique(detail["dominant_label"].to_numpy(dtype=int))):
        part = detail[detail["dominant_label"] == label]
        axes.scatter(
            part["size"],
            part["purity"],
            s=56,
            color=label_colour(int(label)),
            marker=_MARKERS[place % len(_MARKERS)],
            edgecolors=[ALARM if bad else INK for bad in part["suspicious"]],
            linewidths=[1.8 if bad else 0.5 for bad in part["suspicious"]],
            label=label_name(int(label)),
        )
    axes.set_ylim(-0.02, 1.05)
    axes.set_xlabel("beats (log scale)", fontsize=9)
    axes.set_ylabel("purity", fontsize=9)
    axes.set_title(title, fontsize=11)
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    return figure
