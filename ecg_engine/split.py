"""Which windows are trained on and which are held out (spec section 10, item 3)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_engine.errors import InputError
from ecg_engine.labels import NOISE, label_name

STARTS = 12
"""Random starts of the search for a stratified grouping; the best one is taken."""


@dataclass(frozen=True)
class Split:
    """Two parts of some windows.

    Attributes
    ----------
    kind : {"patient", "strip", "beat"}
        What was kept together. "strip" only where a split by patient was wanted and there is a single patient.
    train, val : int64
        Rows, ascending.
    groups_train, groups_val : tuple of str
        Patients (or strips) of each part; empty for "beat".
    parted : list of dict
        Labels that are not in both parts: label, name, train, val (windows in each).
    notes : tuple of str
        What the reader of the figures must know, as sentences.
    """

    kind: str
    train: NDArray[np.int64]
    val: NDArray[np.int64]
    groups_train: tuple[str, ...]
    groups_val: tuple[str, ...]
    parted: list[dict[str, Any]]
    notes: tuple[str, ...]


def split_windows(
    labels: NDArray[Any],
    patients: NDArray[Any],
    strips: NDArray[Any],
    *,
    kind: str = "patient",
    val_split: float = 0.2,
    seed: int = 42,
    hold_out: Collection[str] | None = None,
    unit: str = "beats",
) -> Split:
    """Split windows by patient, or by beat as the scripts did.

    Parameters
    ----------
    labels : int, shape (n,)
        Label of each window's centre beat.
    patients : object (str), shape (n,)
        Patient group; a strip without a patient has a group of its own, ``strip:...``.
    strips : object (str), shape (n,)
        Strip of each window.
    kind : {"patient", "beat"}
    val_split : float
        Share of each label that is wished for in the held-out part.
    seed : int
        Where the search starts; with few patients all seeds tend to end at the same, best stratified, split.
    hold_out : collection of str, optional
        Patient groups to hold out, instead of choosing: so that a new model is judged on the patients that the old
        one has not seen either. Those that are not in the data are passed over; with none in the data, or all of
        it, a fresh choice is made and the notes say so.

    unit : str
        What the notes call the rows: the arrhythmia profile splits strips.

    Raises
    ------
    InputError
        If there is a single strip: nothing could be held out.
    """
    if kind == "beat":
        train, val, notes = _by_beat(labels, val_split, seed)
        return Split("beat", train, val, (), (), _parted(labels, train, val), tuple(notes))
    notes = []
    groups, used = patients.astype(str), "patient"
    if len(np.unique(groups)) == 1:
        groups, used = strips.astype(str), "strip"
        if len(np.unique(groups)) == 1:
            raise InputError(
                "all beats to train on come from one strip, so no part can be held out",
                remedy="Training needs at least two strips, better several patients.",
            )
        notes.append(
            "There is one patient only, so the split is by strip: the figures do not say how the model does on others."
        )
    elif all(name.startswith("strip:") for name in np.unique(groups)):
        notes.append(
            "No patient is known, so each strip counts as its own patient: one person may be in both parts, "
            "and the figures may be too good."
        )
    names, number = np.unique(groups, return_inverse=True)
    chosen = np.zeros(len(names), dtype=bool)
    if hold_out is not None:
        chosen = np.isin(names, list(hold_out))
        if not chosen.any() or chosen.all():
            why = "none of the patients to hold out is" if not chosen.any() else "only patients to hold out are"
            notes.append(f"A fresh held-out part was chosen, because {why} in the data.")
            chosen = np.zeros(len(names), dtype=bool)
    if not chosen.any():
        chosen = _choose(labels, number, len(names), val_split, seed)
    held = chosen[number]
    train, val = np.flatnonzero(~held), np.flatnonzero(held)
    parted = _parted(labels, train, val)
    notes += [f"{entry['name']} is not in both parts ({entry['train']} to train on, {entry['val']} held out): its "
              "figures say nothing." for entry in parted]  # fmt: skip
    return Split(used, train, val, tuple(names[~chosen].tolist()), tuple(names[chosen].tolist()), parted, tuple(notes))


def _by_beat(
    labels: NDArray[Any], val_split: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
    from sklearn.model_selection import train_test_split

    notes = ["The split is by beat: beats of one strip are on both sides, so the figures are too good."]
    values, counts = np.unique(labels, return_counts=True)
    lone = np.isin(labels, values[counts < 2])
    rows = np.flatnonzero(~lone)
    if len(rows) < 2:
        raise InputError("there are too few labelled beats to hold any out", remedy="Label more beats.")
    notes += [f"{label_name(value)} has a single beat; it is in the training part." for value in values[counts < 2]]
    options = {"test_size": val_split, "random_state": seed, "shuffle": True}
    try:
        train, val = train_test_split(rows, stratify=labels[rows], **options)
    except ValueError:  # fewer held-out beats than labels
        train, val = train_test_split(rows, **options)
        notes.append("There are too few beats to have every label in both parts.")
    return np.sort(np.concatenate([train, np.flatnonzero(lone)])), np.sort(val), notes


def _choose(labels: NDArray[Any], number: NDArray[Any], n_groups: int, share: float, seed: int) -> NDArray[np.bool_]:
    """Groups to hold out: every label's held-out share near ``share``, no label wholly on one side if avoidable.

    From several random starts, single groups change sides (and, with few groups, pairs swap) as long as that helps.
    """
    values, place = np.unique(labels, return_inverse=True)
    counts = np.zeros((n_groups, len(values)))
    np.add.at(counts, (number, place), 1)
    total = counts.sum(axis=0)
    splittable = (counts > 0).sum(axis=0) > 1

    def cost(held: NDArray[Any]) -> NDArray[np.float64]:  # held counts (..., K)
        part = held / total
        whole = held.sum(axis=-1) / total.sum()
        wrong = ((part - share) ** 2).sum(axis=-1) + 2 * (whole - share) ** 2
        wrong += ((part == 0) & splittable).sum(axis=-1) + 2.0 * ((part == 1) & splittable).sum(axis=-1)
        return np.asarray(wrong + 1e3 * ((whole == 0) | (whole == 1)), dtype=float)

    rng = np.random.default_rng(seed)
    best, best_cost = np.zeros(n_groups, dtype=bool), np.inf
    for _ in range(STARTS):
        side = rng.random(n_groups) < share
        held = counts[side].sum(axis=0)
        now = float(cost(held))
        for _ in range(4 * n_groups):
            step = np.where(side[:, None], -counts, counts)  # what moving each group to the other side changes
            flips = cost(held + step)
            moved = [int(np.argmin(flips))]
            lowest = float(flips[moved[0]])
            if n_groups <= 150:
                out, inn = np.flatnonzero(side), np.flatnonzero(~side)
                if len(out) and len(inn):
                    swaps = cost(held + step[out][:, None] + step[inn][None, :])
                    if swaps.min() < lowest - 1e-12:
                        i, j = np.unravel_index(int(np.argmin(swaps)), swaps.shape)
                        moved, lowest = [int(out[i]), int(inn[j])], float(swaps.min())
            if lowest >= now - 1e-12:
                break
            held = held + step[moved].sum(axis=0)
            side[moved] = ~side[moved]
            now = lowest
        if now < best_cost - 1e-12:
            best, best_cost = side.copy(), now
    return best


def _parted(labels: NDArray[Any], train: NDArray[np.int64], val: NDArray[np.int64]) -> list[dict[str, Any]]:
    rows = []
    for value in np.unique(labels[labels >= NOISE]):
        a, b = int(np.sum(labels[train] == value)), int(np.sum(labels[val] == value))
        if not a or not b:
            rows.append({"label": int(value), "name": label_name(value), "train": a, "val": b})
    return rows
