"""The label ids, their names and their AAMI classes (spec section 1)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ecg_engine.errors import InputError

NOISE = -1
UNKNOWN = -99
"""Unknown/Review: given by prediction, never by a file."""
UNLABELLED = -999
"""A blank or unreadable label: never trained on, always predicted."""
VFIB = 8

P_COLUMNS = ("p_n", "p_s", "p_v", "p_f")
"""Columns of a prediction of the arrhythmia profile that hold the probability of each AAMI class."""

LABEL_NAMES: Mapping[int, str] = MappingProxyType(
    {
        NOISE: "Noise",
        0: "Normal",
        1: "PAC",
        2: "PVC",
        3: "Sinus Bradycardia",
        4: "Sinus Tachycardia",
        5: "AFib",
        6: "Atrial Flutter",
        7: "VTach",
        8: "VFib",
        9: "Ventricular Ectopic",
        10: "Couplets",
        11: "Triplets",
        12: "PVC Subtypes",
        UNKNOWN: "Unknown/Review",
        UNLABELLED: "Unlabelled",
    }
)

CLASS_LABELS: tuple[int, ...] = tuple(label for label in LABEL_NAMES if label >= 0)
"""What a beat or a strip can be taught as, in ascending order."""

FILE_LABELS: tuple[int, ...] = (NOISE, *CLASS_LABELS)
"""What a file or a reader may give."""

_AAMI: Mapping[int, str] = MappingProxyType(
    {0: "N", 3: "N", 4: "N", 5: "N", 6: "N", 1: "S", 2: "V", 7: "V", 9: "V", 10: "V", 11: "V", 12: "V"}
)

_IDS = {name.casefold(): label for label, name in LABEL_NAMES.items()}


def label_name(label: int) -> str:
    """Name of a label id; an id outside the list reads ``Label 17``."""
    return LABEL_NAMES.get(int(label), f"Label {int(label)}")


def label_id(name: str) -> int:
    """Label id of a name, whatever its case.

    Raises
    ------
    InputError
        If no label has this name; the message lists the names there are.
    """
    try:
        return _IDS[name.strip().casefold()]
    except KeyError:
        choices = ", ".join(LABEL_NAMES[label] for label in FILE_LABELS)
        raise InputError(f"unknown label {name!r}", remedy=f"The labels are: {choices}.") from None


def aami_class(label: int) -> str | None:
    """AAMI class (N, S or V) of a label; None for noise, VFib and what is not known."""
    return _AAMI.get(int(label))
