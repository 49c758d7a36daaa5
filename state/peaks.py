"""R-peaks as readers have them: added, moved, deleted. Which beats there are, where, and by which anchors. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_engine.peak_edits import ADDED, COMPUTED, DELETED, MOVED, TOLERANCE_MS, EditedPeak, PeakEdit, edited
from state.anchors import BeatIndex, Places, TakenIn
from state.deciding import Decision
from state.targets import BEAT, PEAK_ADDED, PEAK_DELETED, parse_target

PEAK = "peak"


class ExtraBeat(NamedTuple):
    """A beat that the run has no row for.

    ``place`` is that of its strip; ``present`` is false for one that was deleted: words on it are about nothing.
    """

    place: int
    anchor_ms: int
    time_ms: int
    what: str
    present: bool


class Peaks(NamedTuple):
    """The beats of a run as readers have them: rows 0 to n - 1 are the run's, then come the extra ones.

    Attributes
    ----------
    places : Places
        Finds the beat that an anchor speaks of, extra ones included.
    time_ms : int64 (n,)
        Where the R-peak of each row is.
    anchor_ms : int64 (n,)
        What new decisions on each row are to be anchored to.
    deleted, moved : bool (n,)
        A moved one lies elsewhere than the run has it.
    extra : tuple of ExtraBeat
    """

    places: Places
    time_ms: NDArray[np.int64]
    anchor_ms: NDArray[np.int64]
    deleted: NDArray[np.bool_]
    moved: NDArray[np.bool_]
    extra: tuple[ExtraBeat, ...]


def peak_edits(decisions: Iterable[Decision]) -> dict[str, tuple[PeakEdit, ...]]:
    """By strip hash, the newest word on each R-peak, oldest first: what preprocessing takes in.

    Parameters
    ----------
    decisions : iterable of Decision
        Those that hold, oldest first.
    """
    found: dict[str, dict[int, PeakEdit]] = {}
    for decision in decisions:
        if decision.field != PEAK:
            continue
        target = parse_target(decision.target)
        if target.kind == BEAT:
            strip = found.setdefault(target.name, {})
            strip.pop(target.number, None)
            strip[target.number] = _edit(target.number, decision.new)
    return {name: tuple(edits.values()) for name, edits in found.items()}


def _edit(anchor: int, value: str | None) -> PeakEdit:
    if value is None:
        return PeakEdit(anchor, COMPUTED)
    if value == PEAK_ADDED:
        return PeakEdit(anchor, ADDED)
    if value == PEAK_DELETED:
        return PeakEdit(anchor, DELETED)
    return PeakEdit(anchor, MOVED, int(value))


def peaks_of(index: BeatIndex, decisions: Iterable[Decision]) -> Peaks:
    """The beats of a run as readers have them.

    The edits are laid over the R-peaks as computed, whether the run has taken some of them in or not: so an edit is
    undone at once after preprocessing, too.

    Parameters
    ----------
    index : BeatIndex
    decisions : iterable of Decision
        Those that hold, oldest first.
    """
    n = len(index)
    time, anchor = index.time_ms, index.first_ms
    deleted, moved = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    edits = {index.hashes[name]: made for name, made in peak_edits(decisions).items() if name in index.hashes}
    concerned = sorted(edits.keys() | index.taken_in.keys())
    if not concerned:
        return Peaks(index.places_of_rows, time, anchor, deleted, moved, ())
    time, anchor = time.copy(), anchor.copy()
    extra: list[ExtraBeat] = []
    known: list[tuple[int, int, int]] = []  # place of the strip, time, beat
    for place in concerned:
        rows = index.rows_of_strip(place).tolist()
        taken = index.taken_in.get(place)
        if taken is None or len(taken.base) != len(rows):
            times = tuple(index.time_ms[rows].tolist())
            taken = TakenIn(times, tuple(range(len(rows))), times)
        of_base = {base: number for number, base in enumerate(taken.base) if base >= 0}
        spare = [number for number, base in enumerate(taken.base) if base < 0]
        lost = set(range(len(rows)))
        for peak in edited(taken.computed_ms, edits.get(place, ())):
            number = of_base.get(peak.base) if peak.base >= 0 else _spare(spare, taken, peak)
            beat = n + len(extra) if number is None else rows[number]
            if number is None:
                origin = taken.computed_ms[peak.base] if peak.base >= 0 else peak.anchor_ms
                what = ADDED if peak.time_ms == origin else MOVED
                extra.append(ExtraBeat(place, peak.anchor_ms, peak.time_ms, what, peak.present))
            else:
                anchor[beat] = peak.anchor_ms
                peak.places.add(int(index.time_ms[beat]))
                if peak.present:
                    lost.discard(number)
                    time[beat], moved[beat] = peak.time_ms, peak.time_ms != taken.placed_ms[number]
            known += [(place, known_at, beat) for known_at in peak.places]
        deleted[[rows[number] for number in lost]] = True
    others = ~np.isin(index.strip_of_beat, concerned)
    columns = np.array(known, dtype=np.int64).reshape(-1, 3)
    # An unknown strip has the place -1: no anchor finds its beats.
    places = Places.of(
        np.concatenate([index.strip_of_beat[others], columns[:, 0]]),
        np.concatenate([index.time_ms[others], columns[:, 1]]),
        np.concatenate([np.flatnonzero(others), columns[:, 2]]),
    )
    return Peaks(places, time, anchor, deleted, moved, tuple(extra))


def _spare(spare: list[int], taken: TakenIn, peak: EditedPeak) -> int | None:
    """The beat of the run that a peak unknown to the machine became, by place among the strip's beats."""
    if not peak.present:
        return None
    near = [(abs(taken.placed_ms[number] - peak.time_ms), number) for number in spare]
    best = min(near, default=None)
    if best is None or best[0] > TOLERANCE_MS:
        return None
    spare.remove(best[1])
    return best[1]
