"""Beats of strips as the nets of the arrhythmia profile take them in: columns, pictures, waves, and what is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg_engine.arrhythmia.context import VF_COLUMNS, Context
from ecg_engine.arrhythmia.references import QRS, CutBeats, References
from ecg_engine.labels import UNLABELLED


@dataclass(frozen=True)
class Examples:
    """Beats of strips, ready for the nets.

    Attributes
    ----------
    vf : float32 (n, Dv)
    s : float32 (n, Ds)
    pictures : float32 (n, 3, L)
    bounds : int64 (s + 1,)
        Beats of each strip.
    labels : int64 (s,)
        Label of each strip (-999 where it has none).
    known : int64 (n,)
        Label id that a reader gave to a beat, or -999.
    weight : float32 (n,)
        How much each known beat counts, 1 by default; a label passed on to look-alikes counts less.
    waves : float32 (n, LENGTH) or None
        The beats as cut, which only the hybrid net reads; not copied from where they were cut until strips are chosen
        or files joined.
    unit : float32 (n,) or None
        What to multiply the waves with: the patient's ordinary QRS is then 1 high, its main deflection upwards.
    noise : bool (n,) or None
        Beats flagged as noise, for the gate of the hybrid net; None where nobody looked.
    """

    vf: NDArray[np.float32]
    s: NDArray[np.float32]
    pictures: NDArray[np.float32]
    bounds: NDArray[np.int64]
    labels: NDArray[np.int64]
    known: NDArray[np.int64]
    weight: NDArray[np.float32]
    waves: NDArray[np.float32] | None = None
    unit: NDArray[np.float32] | None = None
    noise: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.vf)

    @classmethod
    def of(
        cls,
        beats: CutBeats,
        context: Context,
        labels: ArrayLike | None = None,
        known: ArrayLike | None = None,
        weight: ArrayLike | None = None,
        references: References | None = None,
        noise: ArrayLike | None = None,
    ) -> Examples:
        """Gather what the nets need.

        Parameters
        ----------
        beats, context : of the same beats
        labels : array_like of int (s,), optional
            Effective label of each strip.
        known : array_like of int (n,), optional
            Label ids of beats that a reader labelled, -999 elsewhere.
        weight : array_like of float (n,), optional
        references : References, optional
            Of the same beats; without them the examples hold no waves.
        noise : array_like of bool (n,), optional
        """
        n, strips = len(beats), len(beats.patient)
        return cls(
            context.columns(VF_COLUMNS),
            context.s_columns(),
            context.pictures,
            beats.bounds,
            np.full(strips, UNLABELLED) if labels is None else np.asarray(labels, dtype=np.int64),
            np.full(n, UNLABELLED) if known is None else np.asarray(known, dtype=np.int64),
            np.ones(n, dtype=np.float32) if weight is None else np.asarray(weight, dtype=np.float32),
            None if references is None else beats.waves,
            None if references is None else _unit(references.patient)[beats.patient[beats.strip]],
            None if noise is None else np.asarray(noise, dtype=bool),
        )

    @property
    def without_waves(self) -> Examples:
        """The same for nets that read no waves: what is chosen or joined then takes less memory."""
        return replace(self, waves=None, unit=None)

    def strips(self, rows: NDArray[np.integer]) -> Examples:
        """Only these strips, in this order."""
        spans = [np.arange(self.bounds[row], self.bounds[row + 1]) for row in rows]
        beats = np.concatenate([*spans, np.zeros(0, dtype=np.int64)]).astype(np.int64)
        bounds = np.concatenate([[0], np.cumsum([len(span) for span in spans])]).astype(np.int64)
        return Examples(
            self.vf[beats],
            self.s[beats],
            self.pictures[beats],
            bounds,
            self.labels[rows],
            self.known[beats],
            self.weight[beats],
            None if self.waves is None else self.waves[beats],
            None if self.unit is None else self.unit[beats],
            None if self.noise is None else self.noise[beats],
        )


def join(parts: list[Examples]) -> Examples:
    """Examples of several files as one; what only some of them have (waves, flags of noise) is left out."""
    sizes = np.cumsum([0, *(len(part) for part in parts)])
    bounds = [part.bounds[:-1] + start for part, start in zip(parts, sizes[:-1], strict=True)]
    return Examples(
        np.concatenate([part.vf for part in parts]),
        np.concatenate([part.s for part in parts]),
        np.concatenate([part.pictures for part in parts]),
        np.concatenate([*bounds, sizes[-1:]]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.known for part in parts]),
        np.concatenate([part.weight for part in parts]),
        _all([part.waves for part in parts]),
        _all([part.unit for part in parts]),
        _all([part.noise for part in parts]),
    )


def _all(arrays: list[NDArray[Any] | None]) -> NDArray[Any] | None:
    there = [one for one in arrays if one is not None]
    return np.concatenate(there) if len(there) == len(arrays) else None


def _unit(patient: NDArray[np.float32]) -> NDArray[np.float32]:
    """One over the height of each patient's QRS, with the sign of its main deflection."""
    qrs = patient[:, QRS]
    main = np.take_along_axis(qrs, np.abs(qrs).argmax(axis=1)[:, None], axis=1)[:, 0]
    return (np.where(main < 0, -1, 1) / (np.ptp(qrs, axis=1) + 1e-6)).astype(np.float32)
