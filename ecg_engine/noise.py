"""Which beats of a run are noise: one face for the ways of both profiles, and the reference's way (spec section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.beats import Beats
from ecg_engine.clusters import local_clusters
from ecg_engine.config import PreprocessConfig
from ecg_engine.progress import Progress, part
from ecg_engine.quality import REASONS, assess, reason_texts

_SMALL_CLUSTER = REASONS.index("small_cluster")


class Noise(NamedTuple):
    """What is noise, and why.

    Attributes
    ----------
    score : float32 (n,)
        Of each beat; higher is worse.
    flags : bool (n,)
        Beats that are noise.
    usable : bool (n,)
        Beats that templates and clusters are made of: neither noise nor cut by the edge of their strip.
    reasons : list of str (n,)
        "rr;slope"; "" where there is none.
    counts : dict of str to int
        Beats of each reason that the profile knows.
    local_cluster, local_size : int32 (n,)
        Small clusters within a label (spec section 4); -1 and 0 for beats in none.
    columns : dict of str to array (n,)
        More that the profile says of each beat.
    strips : DataFrame or None
        One row a strip, where the profile judges strips, too: noise_score, noise_reason, noisy (0 or 1), lost_part.
    """

    score: NDArray[np.float32]
    flags: NDArray[np.bool_]
    usable: NDArray[np.bool_]
    reasons: list[str]
    counts: Mapping[str, int]
    local_cluster: NDArray[np.int32]
    local_size: NDArray[np.int32]
    columns: Mapping[str, NDArray[Any]]
    strips: pd.DataFrame | None = None


def reference_noise(beats: Beats, labels: NDArray[np.int32], config: PreprocessConfig, progress: Progress) -> Noise:
    """Noise by scores over all beats of the file, and by clusters that are too small (spec section 4).

    Parameters
    ----------
    beats : Beats
    labels : int32 (n,)
        Label of each beat's strip.
    config : PreprocessConfig
    progress : Progress
    """
    progress("noise flags", 0.0)
    quality = assess(beats.samples, beats.rr_prev, beats.rr_next, config)
    cluster, size = local_clusters(beats.samples, labels, quality.noise, config, part(progress, 0.07, 1.0))
    quality.reasons[:, _SMALL_CLUSTER] = (cluster >= 0) & (size < config.min_local_cluster)
    return Noise(
        score=quality.score,
        flags=quality.noise,
        usable=~quality.noise,
        reasons=reason_texts(quality.reasons),
        counts=dict(zip(REASONS, quality.reasons.sum(axis=0).tolist(), strict=True)),
        local_cluster=cluster,
        local_size=size,
        columns={"z_ptp": quality.z_ptp, "z_slope": quality.z_slope, "z_edge": quality.z_edge},
    )
