"""R-peaks that a reader added, moved or deleted, laid over those that were computed. Pure functions on whole ms.

Preprocessing takes edits in by this rule, and what is shown before it has done so follows the same rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

ADDED, MOVED, DELETED, COMPUTED = "added", "moved", "deleted", "computed"

TOLERANCE_MS = 75
"""How far apart two words on one R-peak may lie: runs with other settings find it a little earlier or later."""


class PeakEdit(NamedTuple):
    """A reader's word on one R-peak of a strip.

    ``anchor_ms`` is where the reader found the peak, or put it first; ``what`` one of ``ADDED`` (there is a peak at the
    anchor), ``MOVED`` (it belongs at ``time_ms``), ``DELETED`` (there is none) and ``COMPUTED`` (as computed again).
    """

    anchor_ms: int
    what: str
    time_ms: int = -1


PeakEdits = Mapping[str, Sequence[PeakEdit]]
"""Strip hash to the edits of its R-peaks, one an anchor, oldest first."""


@dataclass
class EditedPeak:
    """One R-peak of a strip as computed and edited.

    Attributes
    ----------
    base : int
        Its place among the computed peaks, -1 for one that only a reader has seen.
    time_ms : int
        Where it is.
    anchor_ms : int
        The anchor of the first word said of it; where it was computed, if there is none.
    present : bool
        False for one that was deleted.
    places : set of int
        All times under which it is known: as computed, as said, and where it is.
    """

    base: int
    time_ms: int
    anchor_ms: int
    present: bool = True
    places: set[int] = field(default_factory=set)
    _said: bool = False

    def _says(self, anchor: int, present: bool, time: int) -> None:
        if not self._said:
            self.anchor_ms, self._said = anchor, True
        self.present, self.time_ms = present, time
        self.places.update((anchor, time))


def edited(computed_ms: Sequence[int], edits: Sequence[PeakEdit]) -> list[EditedPeak]:
    """Lay edits over the computed R-peaks of one strip.

    A word belongs to the nearest peak that is known under a time within 75 ms of its anchor. A peak that is added
    belongs to the one that is within 75 ms of it now (a deleted one comes back), else it is new. A peak that was moved
    and is not found here is found where it was moved to, else put there: the reader has seen it. To delete what is not
    there changes nothing.

    Parameters
    ----------
    computed_ms : sequence of int
    edits : sequence of PeakEdit
        Oldest first.

    Returns
    -------
    list of EditedPeak
        The computed ones in their order, then those that only readers know; deleted ones among them.
    """
    peaks = [EditedPeak(base, time, time, places={time}) for base, time in enumerate(computed_ms)]
    for anchor, what, moved_to in edits:
        if what == ADDED:
            peak = _same_anchor(peaks, anchor) or _here(peaks, anchor, True) or _here(peaks, anchor, False)
        else:
            peak = _known(peaks, anchor)
            if peak is None and what == MOVED:
                peak = _here(peaks, moved_to, True)
        if peak is None:
            if what == COMPUTED:
                continue
            peak = EditedPeak(-1, anchor, anchor)
            peaks.append(peak)
        if what == COMPUTED:
            peak._says(anchor, peak.base >= 0, computed_ms[peak.base] if peak.base >= 0 else peak.time_ms)
        elif what == DELETED:
            peak._says(anchor, False, peak.time_ms)
        else:
            peak._says(anchor, True, anchor if what == ADDED else moved_to)
    return peaks


def _same_anchor(peaks: list[EditedPeak], anchor: int) -> EditedPeak | None:
    return next((peak for peak in peaks if anchor in peak.places), None)


def _here(peaks: list[EditedPeak], time: int, present: bool) -> EditedPeak | None:
    near = [peak for peak in peaks if peak.present is present and abs(peak.time_ms - time) <= TOLERANCE_MS]
    return min(near, key=lambda peak: (abs(peak.time_ms - time), peak.time_ms), default=None)


def _known(peaks: list[EditedPeak], anchor: int) -> EditedPeak | None:
    near = [(abs(place - anchor), place, number) for number, peak in enumerate(peaks) for place in peak.places]
    best = min(near, default=None)
    return peaks[best[2]] if best is not None and best[0] <= TOLERANCE_MS else None
