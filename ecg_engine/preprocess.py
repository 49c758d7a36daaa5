"""One preprocessing run: from strips to beats, noise flags, features, clusters, prototypes and windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.config import PreprocessConfig
from ecg_engine.strips import Strips
from ecg_engine.windows import Windows


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
        ``noise_reason`` ("rr;slope", or "" for a beat that is not noise), ``r_time_sec`` (seconds from the start of
        the strip) and the robust scores ``z_ptp``, ``z_slope``, ``z_edge``.
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
