"""What readers have said since a prediction, which its findings do not know: strip by strip. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg_engine.datasets import BY_STRIP
from ecg_engine.labels import UNLABELLED
from state.anchors import BeatIndex
from state.effective import Effective


@dataclass(frozen=True)
class SaidSince:
    """Places of strips, ascending.

    Attributes
    ----------
    beats : int64 (k,)
        Strips with beats of which something else holds by now: the next prediction takes it in.
    strips : int64 (m,)
        Strips whose own label is another by now: a model learns from it, a prediction does not look at it.
    """

    beats: NDArray[np.int64]
    strips: NDArray[np.int64]

    def __bool__(self) -> bool:
        """Whether anything was said since."""
        return bool(len(self.beats) or len(self.strips))


def said_since(index: BeatIndex, then: Effective, now: Effective) -> SaidSince:
    """What holds now and did not as the prediction began.

    R-peaks that were added or moved are left out: they are read once the strips are preprocessed again.

    Parameters
    ----------
    index : BeatIndex
        Of the run that was read.
    then, now : Effective
        As the prediction took decisions in, and as they are.
    """
    said = [one.source != BY_STRIP for one in (then, now)]
    known = [np.where(by_beat, one.labels, UNLABELLED) for by_beat, one in zip(said, (then, now), strict=True)]
    # a group's label weighs less than a beat's own, so that the source tells, too
    beats = (known[0] != known[1]) | (said[0] & said[1] & (then.source != now.source))
    beats |= (then.noise_flags != now.noise_flags) | (then.deleted != now.deleted)
    strips = ~said[0] & ~said[1] & (then.labels != now.labels)
    return SaidSince(np.unique(index.strip_of_beat[beats]), np.unique(index.strip_of_beat[strips]))
