"""One row a strip by effective labels: what the list of strips shows and filters. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.errors import InputError
from ecg_engine.labels import NOISE, label_id, label_name
from ecg_engine.preprocess import Run
from ecg_engine.tables import NO_PATIENT
from state.anchors import FILE_LABELS_KEY, BeatIndex
from state.deciding import Decision
from state.derived import shown_labels
from state.effective import Effective
from state.strip_findings import Findings, noise_sentences
from state.targets import BEAT, STRIP, parse_target

UNKNOWN_PATIENT = "unknown"

ORDERS: Mapping[str, tuple[str, bool]] = {
    "Strip": ("strip", True),
    "Patient": ("patient", True),
    "Label": ("label", True),
    "Most noise": ("noise_share", False),
    "Least noise": ("noise_share", True),
    "Most beats": ("beats", False),
    "Most decisions": ("decisions", False),
    "Most serious finding": ("serious", True),
    "Strangest pattern": ("known_share", True),
    "Noisiest strip": ("noise_score", False),
}
"""Orders of the list, by what the reader calls them: column, ascending. The last three need a column that not every
run has: see :func:`orders_of`."""

ALL, WITH, WITHOUT = "All", "With decisions", "Without"
NOISY, READABLE = "Noisy", "Readable"


@dataclass(frozen=True)
class StripFilter:
    """What a reader wants to see; the empty filter keeps everything.

    Attributes
    ----------
    search : str
        Every word must be found in the strip's number, row, patient or file.
    labels : sequence of int
        Effective label of the strip.
    holds : sequence of int
        At least one beat of one of these effective labels (-1: noise).
    patients : sequence of str
    noise : (float, float)
        Least and most share of noise, 0 to 1.
    decided : str
        ``ALL``, ``WITH`` or ``WITHOUT`` decisions.
    order : str
        One of ``ORDERS``; by number where the run lacks what it needs.
    findings : sequence of str
        What the list says that the model found; passed over where it found nothing.
    noisy : str
        ``ALL``, ``NOISY`` or ``READABLE`` strips; passed over where the profile judges beats alone.
    """

    search: str = ""
    labels: Sequence[int] = ()
    holds: Sequence[int] = ()
    patients: Sequence[str] = ()
    noise: tuple[float, float] = (0.0, 1.0)
    decided: str = ALL
    order: str = "Strip"
    findings: Sequence[str] = ()
    noisy: str = ALL


@dataclass(frozen=True)
class StripRows:
    """The strips of a run.

    Attributes
    ----------
    table : DataFrame
        One row a strip in the run's order: strip (0-based data row over all files), row (1-based data row in its
        file), patient (text), file, label (effective), label_name, decided (a reader gave it), beats, noise_beats,
        noise_share (NaN without beats), mix ("Normal 9, PVC 2"), decisions (that hold). Where a model found something:
        finding (in a word or two), findings (all, in words), serious (0 the most), known_share. Where the profile
        judges strips: noise_score, noisy (bool), noise_said (a sentence).
    by_label : dict of int to int64 (n,)
        Beats of each effective label per strip; noise, computed or said, counts as -1. Here and in ``beats`` those
        that a reader added count, and those that a reader deleted do not.
    hashes : list of str
    """

    table: pd.DataFrame
    by_label: dict[int, NDArray[np.int64]]
    hashes: list[str]


def strip_rows(
    run: Run, index: BeatIndex, effective: Effective, decisions: Iterable[Decision], findings: Findings | None = None
) -> StripRows:
    """Gather the strips of a run.

    Parameters
    ----------
    decisions : iterable of Decision
        Those that hold, oldest first.
    findings : Findings, optional
        What a model found on them.

    Raises
    ------
    InputError
        If the run keeps no strips.
    """
    strips = run.strips
    if strips is None:
        raise InputError("this run keeps no strips, only beats", remedy="Preprocess the file again to see its strips.")
    n = len(strips)
    place, shown = shown_labels(index, effective)
    labels, decided, counts = strip_labels(run, index, decisions)
    by_label = {int(one): np.bincount(place[shown == one], minlength=n) for one in np.unique(shown)}
    beats = np.bincount(place, minlength=n)
    noise = by_label.get(NOISE, np.zeros(n, dtype=np.int64))
    with np.errstate(invalid="ignore"):
        share = np.where(beats > 0, noise / beats, np.nan)
    names = {int(one): label_name(int(one)) for one in np.unique(labels)}
    table = pd.DataFrame(
        {
            "strip": strips.source_row,
            "row": strips.file_row + 1,
            "patient": [UNKNOWN_PATIENT if one == NO_PATIENT else str(one) for one in strips.patient_id],
            "file": strips.source_file,
            "label": labels,
            "label_name": [names[one] for one in labels.tolist()],
            "decided": decided,
            "beats": beats,
            "noise_beats": noise,
            "noise_share": share,
            "mix": _mixes(by_label, n),
            "decisions": counts,
        }
    )
    if findings is not None:
        table = table.assign(
            finding=findings.names,
            findings=findings.words,
            serious=findings.rank,
            known_share=findings.known_share,
        )
    if run.strip_quality is not None:
        quality = run.strip_quality
        table = table.assign(
            noise_score=quality["noise_score"].to_numpy(),
            noisy=quality["noisy"].to_numpy() != 0,
            noise_said=noise_sentences(run),
        )
    return StripRows(table, by_label, list(index.hashes))


def orders_of(rows: StripRows) -> list[str]:
    """The orders that a run's strips can be brought into."""
    return [name for name, (column, _) in ORDERS.items() if column in rows.table]


def strip_labels(
    run: Run, index: BeatIndex, decisions: Iterable[Decision]
) -> tuple[NDArray[np.int32], NDArray[np.bool_], NDArray[np.int64]]:
    """Effective label of each strip, whether a reader gave it, and the decisions on it and on its beats."""
    assert run.strips is not None
    labels = np.array(run.strips.label, dtype=np.int32)
    for name, label in (run.summary.get(FILE_LABELS_KEY) or {}).items():
        if name in index.hashes:
            labels[index.hashes[name]] = int(label)
    from_file = labels.copy()
    decided, counts = np.zeros(len(labels), dtype=bool), np.zeros(len(labels), dtype=np.int64)
    for decision in decisions:
        target = parse_target(decision.target)
        place = index.hashes.get(target.name) if target.kind in (BEAT, STRIP) else None
        if place is None:
            continue
        counts[place] += 1
        if target.kind == STRIP and decision.field == "label":
            decided[place] = decision.new is not None
            labels[place] = from_file[place] if decision.new is None else label_id(decision.new)
    return labels, decided, counts


def _mixes(by_label: Mapping[int, NDArray[np.int64]], n: int) -> list[str]:
    """Labels of each strip's beats, most frequent first, noise last."""
    parts: list[list[tuple[int, int]]] = [[] for _ in range(n)]
    for label, counts in by_label.items():
        for place in np.flatnonzero(counts).tolist():
            parts[place].append((label, int(counts[place])))
    for part in parts:
        part.sort(key=lambda item: (item[0] == NOISE, -item[1], item[0]))
    return [", ".join(f"{label_name(label)} {count}" for label, count in part) for part in parts]


def filtered(rows: StripRows, wanted: StripFilter) -> NDArray[np.int64]:
    """Places of the strips that a filter keeps, in its order."""
    table = rows.table
    keep = np.ones(len(table), dtype=bool)
    if wanted.labels:
        keep &= table["label"].isin(list(wanted.labels)).to_numpy()
    if wanted.holds:
        none = np.zeros(len(table), dtype=np.int64)
        keep &= sum((rows.by_label.get(label, none) for label in wanted.holds), none) > 0
    if wanted.patients:
        keep &= table["patient"].isin(list(wanted.patients)).to_numpy()
    low, high = wanted.noise
    if (low, high) != (0.0, 1.0):
        share = table["noise_share"].to_numpy()
        with np.errstate(invalid="ignore"):
            keep &= (share >= low - 1e-9) & (share <= high + 1e-9)
    if wanted.decided != ALL:
        keep &= (table["decisions"].to_numpy() > 0) == (wanted.decided == WITH)
    if wanted.findings and "finding" in table:
        keep &= table["finding"].isin(list(wanted.findings)).to_numpy()
    if wanted.noisy != ALL and "noisy" in table:
        keep &= table["noisy"].to_numpy() == (wanted.noisy == NOISY)
    words = wanted.search.casefold().split()
    if words:
        keep &= np.array([all(_found(word, row) for word in words) for row in _searched(table)], dtype=bool)
    column, ascending = ORDERS[wanted.order]
    places = np.flatnonzero(keep)
    if column == "strip" or column not in table:
        return places
    values = table[column].iloc[places]
    if column == "patient":  # by number where patients are numbers
        values = values.map(lambda name: (0, int(name), "") if name.isdigit() else (1, 0, name))
    return places[values.reset_index(drop=True).sort_values(ascending=ascending, kind="stable").index.to_numpy()]


def _searched(table: pd.DataFrame) -> Iterable[tuple[str, str, str, str]]:
    columns = (table["strip"].astype(str), table["row"].astype(str), table["patient"].str.casefold())
    return zip(*columns, table["file"].str.casefold(), strict=True)


def _found(word: str, row: tuple[str, str, str, str]) -> bool:
    # A number is a whole number: "12" finds strip 12, not strips 112 and 120.
    strip, file_row, patient, file = row
    return word in (strip, file_row) or (word == patient if word.isdigit() else word in patient) or word in file
