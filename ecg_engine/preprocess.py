"""One preprocessing run: from strips to beats, noise flags, features, clusters, prototypes and windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.beats import Beats, BeatWindow, cut_beats
from ecg_engine.clusters import feature_space, global_clusters
from ecg_engine.conditioning import blocks, condition, stacked
from ecg_engine.config import ARRHYTHMIA, PreprocessConfig
from ecg_engine.errors import InputError
from ecg_engine.labels import label_name
from ecg_engine.mining import mine_candidates
from ecg_engine.noise import Noise, reference_noise
from ecg_engine.peak_edits import PeakEdits
from ecg_engine.peaks_taken_in import PEAK_EDITS_KEY, TakingIn
from ecg_engine.progress import Progress, part, silent
from ecg_engine.prototypes import build_library, class_templates
from ecg_engine.rpeaks import find_rpeaks_of_block
from ecg_engine.strips import SKIPPED_COLUMNS, Strips
from ecg_engine.summary import summarise
from ecg_engine.windows import Windows, context_windows

__all__ = ["PEAK_EDITS_KEY", "Run", "preprocess"]


@dataclass(frozen=True)
class Run:
    """One preprocessing run, in memory or memory-mapped from its folder.

    Attributes
    ----------
    config : PreprocessConfig
    summary : dict
        What goes into summary.json.
    metadata : DataFrame
        One row a beat, in the order of the arrays: the columns of beat_metadata.csv (spec section 7), then
        ``noise_reason`` ("rr;slope"), ``r_time_sec`` (seconds from the start of the strip), and what the profile adds.
        Reference: the robust scores ``z_ptp``, ``z_slope``, ``z_edge``. Arrhythmia: ``rpeak_prob`` (how likely the
        R-peak is one), ``whole`` (0 where the strip's edge cuts the beat) and ``group_id`` (its group among the
        look-alike beats of the patient).
    beats : float32 (n, L)
    features : float32 (n, D)
    labels, noise_flags, cluster_ids : int32 (n,)
    windows : Windows
        Over the beats that are not noise.
    class_templates : dict of int to float32 (L,)
        Label to per-sample median.
    library : DataFrame
        prototype_library.csv, largest first.
    prototype_waves : dict of int to float32 (L,)
        Prototype id to waveform.
    candidates : DataFrame or None
        Mined candidates; None if there were no seeds.
    skipped : DataFrame
        Rows of the files that gave no beats, with the reason: source_row, reason, source_file, file_row, kind.
    strips : Strips or None
    conditioned : float32 (total,) or None
        Filtered and z-scored samples, laid out as ``strips.samples``. Both are None for folders of the old scripts.
    strip_quality : DataFrame or None
        One row a strip: noise_score (0 to 1), noise_reason, noisy (1 for a strip that is noise as a whole), lost_part
        (share in which the lead is lost). None in the reference profile, which judges beats alone.
    """

    config: PreprocessConfig
    summary: dict[str, Any]
    metadata: pd.DataFrame
    beats: NDArray[np.float32]
    features: NDArray[np.float32]
    labels: NDArray[np.int32]
    noise_flags: NDArray[np.int32]
    cluster_ids: NDArray[np.int32]
    windows: Windows
    class_templates: dict[int, NDArray[np.float32]]
    library: pd.DataFrame
    prototype_waves: dict[int, NDArray[np.float32]]
    candidates: pd.DataFrame | None
    skipped: pd.DataFrame
    strips: Strips | None = None
    conditioned: NDArray[np.float32] | None = None
    strip_quality: pd.DataFrame | None = None

    @property
    def fs(self) -> float:
        """Sampling rate in Hz."""
        return float(self.summary["fs"])

    @property
    def beat_len(self) -> int:
        """Samples of one beat."""
        return int(self.beats.shape[1])

    @property
    def strip_of_beat(self) -> NDArray[np.int64]:
        """Row of each beat's strip in ``strips``, int64 (n,); without strips, a running number for each source row."""
        rows = self.metadata["source_row"].to_numpy()
        known = np.unique(rows) if self.strips is None else self.strips.source_row
        return np.searchsorted(known, rows)


def preprocess(
    strips: Strips,
    config: PreprocessConfig,
    *,
    seeds: pd.DataFrame | None = None,
    peaks: PeakEdits | None = None,
    progress: Progress = silent,
) -> Run:
    """Take strips through sections 2 to 7 of the spec, in the ways of the config's profile.

    Parameters
    ----------
    strips : Strips
    config : PreprocessConfig
    seeds : DataFrame, optional
        Columns beat_global_id and label_name; with it, candidates are mined.
    peaks : mapping of str to sequence of PeakEdit, optional
        By strip hash, the R-peaks that a reader added, moved or deleted. They stay exactly where the reader put them.
        What came of them is told in the summary, under ``PEAK_EDITS_KEY``.
    progress : Progress, optional

    Returns
    -------
    Run
        Held in memory.

    Raises
    ------
    InputError
        If no strip holds a beat.
    ConfigError
        If the filter is unstable.
    """
    conditioned = condition(strips, config, part(progress, 0.0, 0.15))
    taking_in = TakingIn(strips, peaks or {})
    look = _look_again if config.profile == ARRHYTHMIA else _look
    beats, noise = look(strips, conditioned, config, taking_in, part(progress, 0.15, 0.55))
    labels, usable = strips.label[beats.strip], noise.usable
    progress("feature space", 0.55)
    features = feature_space(beats.samples, beats.rr_prev, beats.rr_next, config)
    progress("global clusters", 0.6)
    globals_ = global_clusters(features, usable, config)
    progress("prototypes and templates", 0.95)
    templates = class_templates(beats.samples, labels, usable)
    library, waves = build_library(labels, globals_[0], beats.samples, beats.rr_prev, beats.rr_next)
    windows = context_windows(beats.strip, ~noise.flags, config.context_radius)
    metadata = _metadata(strips, beats, noise, globals_)
    mined = None if seeds is None else mine_candidates(seeds, metadata, features, config)
    skipped = _skipped(strips, beats)
    summary = summarise(strips, config, beats, noise, windows, library, skipped, mined)
    if peaks:
        summary = taking_in.told(summary, beats)
    progress("preprocessed", 1.0)
    return Run(
        config=config,
        summary=summary,
        metadata=metadata,
        beats=beats.samples,
        features=features,
        labels=labels,
        noise_flags=noise.flags.astype(np.int32),
        cluster_ids=globals_[0],
        windows=windows,
        class_templates=templates,
        library=library,
        prototype_waves=waves,
        candidates=None if mined is None else mined.candidates,
        skipped=skipped,
        strips=strips,
        conditioned=conditioned,
        strip_quality=noise.strips,
    )


def _look(
    strips: Strips, conditioned: NDArray[np.float32], config: PreprocessConfig, taking_in: TakingIn, progress: Progress
) -> tuple[Beats, Noise]:
    """Beats and noise in the reference's ways."""
    finding = part(progress, 0.0, 0.25)
    peaks: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)] * len(strips)
    done = 0
    for rows in blocks(strips.offsets):
        found = find_rpeaks_of_block(stacked(conditioned, strips.offsets, rows), strips.fs, config.detector)
        for row, samples in zip(rows, found, strict=True):
            peaks[row] = samples
        done += len(rows)
        finding(f"R-peaks: strip {done:,} of {len(strips):,}", done / len(strips))
    window = BeatWindow.of(strips.fs, config.pre_sec, config.post_sec)
    taking_in.lay_over(peaks, window)
    beats = _some(cut_beats(conditioned, strips.offsets, peaks, strips.fs, window), strips)
    return beats, reference_noise(beats, strips.label[beats.strip], config, part(progress, 0.25, 1.0))


def _look_again(
    strips: Strips, conditioned: NDArray[np.float32], config: PreprocessConfig, taking_in: TakingIn, progress: Progress
) -> tuple[Beats, Noise]:
    """Beats and noise in the arrhythmia profile's ways."""
    from ecg_engine.arrhythmia.pipeline import ANYWHERE, find_noise, find_peaks

    found = find_peaks(strips, part(progress, 0.0, 0.25))
    peaks = list(found.samples)
    taking_in.lay_over(peaks, ANYWHERE)
    window = BeatWindow.of(strips.fs, config.pre_sec, config.post_sec)
    beats = _some(cut_beats(conditioned, strips.offsets, peaks, strips.fs, window, at_edges=True), strips)
    labels = strips.label[beats.strip]
    return beats, find_noise(strips, beats, window, found, labels, config, part(progress, 0.25, 1.0))


def _some(beats: Beats, strips: Strips) -> Beats:
    if len(beats.strip):
        return beats
    raise InputError(
        f"no beats were found on any of the {len(strips)} strips",
        where=", ".join(strips.report.files),
        remedy=f"Look at the sampling rate ({strips.fs:g} Hz), the beat window and the waves.",
    )


def _metadata(
    strips: Strips, beats: Beats, noise: Noise, globals_: tuple[NDArray[np.int32], NDArray[np.int32]]
) -> pd.DataFrame:
    labels = strips.label[beats.strip]
    names = {label: label_name(label) for label in np.unique(labels).tolist()}
    return pd.DataFrame(
        {
            "beat_global_id": np.arange(len(labels)),
            "source_row": strips.source_row[beats.strip],
            "patient_id": strips.patient_id[beats.strip],
            "record_label": labels,
            "record_label_name": [names[label] for label in labels.tolist()],
            "beat_index_in_record": beats.index_in_strip,
            "r_index": beats.r_index,
            "rr_prev_sec": beats.rr_prev,
            "rr_next_sec": beats.rr_next,
            "quality_score": noise.score,
            "noise_flag": noise.flags.astype(np.int32),
            "local_cluster_id": noise.local_cluster,
            "local_cluster_size": noise.local_size,
            "global_cluster_id": globals_[0],
            "global_cluster_size": globals_[1],
            "noise_reason": noise.reasons,
            "r_time_sec": np.round(beats.r_index / strips.fs, 4),
            **noise.columns,
        }
    )


def _skipped(strips: Strips, beats: Beats) -> pd.DataFrame:
    """The rows that reading skipped, and the strips on which no beat was found."""
    without = np.flatnonzero(np.bincount(beats.strip, minlength=len(strips)) == 0)
    if len(without) == 0:
        return strips.skipped
    reason = "no beats: no R-peak with room for a whole beat around it was found"
    table = pd.DataFrame(
        {
            "source_row": strips.source_row[without],
            "reason": reason,
            "source_file": strips.source_file[without],
            "file_row": strips.file_row[without],
            "kind": "no beats",
        },
        columns=list(SKIPPED_COLUMNS),
    )
    both = pd.concat([strips.skipped, table]) if len(strips.skipped) else table
    return both.sort_values("source_row", kind="stable", ignore_index=True)
