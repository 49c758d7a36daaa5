"""The two profiles in words and figures: what a person must know to choose one (issue 4, item 7).

Every figure is of patients who were not trained on, and is printed by the benchmark named beside it; docs/accuracy.md
has them all, with their intervals.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from ecg_engine.config import ARRHYTHMIA, REFERENCE


class Figure(NamedTuple):
    """One row of the table that sets the profiles side by side."""

    name: str
    reference: str
    arrhythmia: str
    command: str


SENTENCES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        ARRHYTHMIA: (
            "Reads a strip's label as a statement about some of its beats, and judges each beat by how it differs "
            "from the patient's ordinary ones.",
            "Keeps premature beats that look odd, marks noise without discarding it, and gives beat classes and "
            "findings that hold on patients it has not seen.",
        ),
        REFERENCE: (
            "Follows the original scripts to the number, and gives every beat the label of its strip.",
            "Choose it to repeat or compare earlier work: it discards many premature beats as noise, and on new "
            "patients its labels are often wrong.",
        ),
    }
)
"""Two sentences on each profile, the one to choose first, first."""

FIGURES: tuple[Figure, ...] = (
    Figure("R-peaks found and right (F1), %", "97.2", "99.9", "arrhythmia_rpeaks"),
    Figure("R-peaks under muscle noise of 6 dB (F1), %", "86.6", "99.6", "arrhythmia_rpeaks"),
    Figure("Ventricular beats taken for noise, %", "26.1", "0.4", "quality"),
    Figure("Supraventricular beats taken for noise, %", "34.9", "0.1", "quality"),
    Figure("Ventricular beats from strip labels alone (F1)", "0.16", "0.89", "profiles"),
    Figure("Supraventricular beats from strip labels alone (F1)", "0.03", "0.73", "profiles"),
    Figure("Strips with the right finding, %", "28", "93", "profiles"),
    Figure("Ventricular beats, 100 groups labelled (F1)", "–", "0.94", "profiles"),
    Figure("Supraventricular beats, 100 groups labelled (F1)", "–", "0.82", "profiles"),
)
"""Patients not trained on; ``command`` is what ``python -m bench`` is followed by."""

FIGURES_OF = "MIT-BIH Arrhythmia Database, set DS1: 3,960 strips of 22 patients, read by models that had not seen them"
"""What the figures were measured on."""
