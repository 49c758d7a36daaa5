"""Preprocessing with R-peaks that readers added, moved or deleted: laid over the computed ones, and told about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_engine.beats import Beats, BeatWindow
from ecg_engine.peak_edits import ADDED, DELETED, MOVED, EditedPeak, PeakEdits, edited
from ecg_engine.strips import Strips

PEAK_EDITS_KEY = "peak_edits"
"""In a run's summary: what came of the edits of R-peaks that it took in."""

TOO_NEAR_THE_EDGE = "it is too near the edge of the strip to cut a beat around it"
SATISFIED = "satisfied"
ANOTHER_THERE = "another R-peak is at that very place"


class TakingIn:
    """The edits of a run, and what becomes of each.

    Parameters
    ----------
    strips : Strips
    edits : mapping of str to sequence of PeakEdit
        By strip hash; those of strips that are not here are counted.
    """

    def __init__(self, strips: Strips, edits: PeakEdits) -> None:
        self._strips = strips
        places = {str(name): place for place, name in enumerate(strips.strip_hash)} if edits else {}
        self._edits = {places[name]: list(made) for name, made in edits.items() if made and name in places}
        self._elsewhere = sum(len(made) for name, made in edits.items() if name not in places)
        self._computed: dict[int, tuple[int, ...]] = {}
        self._samples: dict[int, dict[int, EditedPeak]] = {}
        self._counts: Counter[str] = Counter()
        self._refused: list[dict[str, Any]] = []

    def lay_over(self, peaks: list[NDArray[np.int64]], window: BeatWindow) -> None:
        """Change the R-peaks of the edited strips in place: samples of each strip, ascending."""
        for place, edits in self._edits.items():
            length, found = int(self._strips.lengths[place]), peaks[place]
            # A peak without room for a beat was never seen by a reader.
            found = found[(found >= window.before) & (found + window.after < length)]
            # As the run tells its R-peaks: in seconds to four places, and from these in ms.
            seconds = np.round(found / self._strips.fs, 4)
            computed = tuple(np.rint(seconds * 1000).astype(int).tolist())
            self._computed[place] = computed
            kept: dict[int, EditedPeak] = {}
            laid_over = edited(computed, edits)
            # Peaks that stay where they are come first: one that was moved onto another does not push it away.
            for peak in sorted(laid_over, key=lambda one: one.base < 0 or one.time_ms != computed[one.base]):
                known = peak.base >= 0
                if not peak.present:
                    self._counts[DELETED if known else SATISFIED] += 1
                    continue
                as_computed = known and peak.time_ms == computed[peak.base]
                sample = int(found[peak.base]) if as_computed else round(peak.time_ms * self._strips.fs / 1000)
                if not window.before <= sample < length - window.after:
                    self._refuse(place, peak, TOO_NEAR_THE_EDGE)
                elif sample in kept:
                    self._refuse(place, peak, ANOTHER_THERE)
                else:
                    kept[sample] = peak
                    if not as_computed:
                        self._counts[MOVED if known else ADDED] += 1
            peaks[place] = np.array(sorted(kept), dtype=np.int64)
            self._samples[place] = kept

    def _refuse(self, place: int, peak: EditedPeak, reason: str) -> None:
        self._refused.append(
            {
                "strip_hash": str(self._strips.strip_hash[place]),
                "source_row": int(self._strips.source_row[place]),
                "anchor_ms": peak.anchor_ms,
                "time_ms": peak.time_ms,
                "reason": reason,
            }
        )

    def told(self, summary: Mapping[str, Any], beats: Beats) -> dict[str, Any]:
        """The summary with what came of the edits.

        ``added``, ``moved``, ``deleted``: R-peaks that differ from those computed (one that was added where it is found
        by now does not); ``satisfied``: deleted ones that are not found anyway; ``refused``: those that could not
        become beats, with the reason; ``elsewhere``: edits on strips that are not in the run; ``strips``: by strip
        hash, the computed peaks and which beat is which, so that each edit can still be undone.
        """
        strips: dict[str, dict[str, list[int]]] = {}
        first = np.searchsorted(beats.strip, np.arange(len(self._strips) + 1))
        for place, kept in self._samples.items():
            samples = beats.r_index[first[place] : first[place + 1]].tolist()
            strips[str(self._strips.strip_hash[place])] = {
                "computed_ms": list(self._computed[place]),
                "base": [kept[sample].base for sample in samples],
                "placed_ms": [kept[sample].time_ms for sample in samples],
            }
        told = {
            **{name: self._counts[name] for name in (ADDED, MOVED, DELETED, SATISFIED)},
            "elsewhere": self._elsewhere,
            "refused": self._refused,
            "strips": strips,
        }
        warnings = list(summary["warnings"])
        if self._refused:
            reasons = Counter(one["reason"] for one in self._refused)
            words = "; ".join(f"{reason}: {count}" for reason, count in reasons.items())
            warnings.append(f"{len(self._refused)} R-peaks that a reader set could not become beats ({words}).")
        return {**summary, "warnings": warnings, PEAK_EDITS_KEY: told}
