"""One colour and one letter for every label and AAMI class, the same on every page.

The colours stand out on white and on the dark page (contrast 3:1 or more on both), and the five AAMI classes stay
apart for people with red-green blindness. Fifteen labels cannot: colour is never the only sign, a letter or a
symbol stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ecg_engine.labels import NOISE, UNKNOWN, UNLABELLED

AAMI_COLOURS: Mapping[str, str] = MappingProxyType(
    {"N": "#058dd1", "S": "#a98e04", "V": "#b63535", "F": "#a806f9", "Q": "#7d828a"}
)

LABEL_COLOURS: Mapping[int, str] = MappingProxyType(
    {
        NOISE: "#7d828a",
        0: "#058dd1",
        1: "#a98e04",
        2: "#b63535",
        3: "#0f8f80",
        4: "#4a6fe3",
        5: "#2f8f4e",
        6: "#6f8a12",
        7: "#d8407f",
        8: "#8a5cf0",
        9: "#99603d",
        10: "#d4561f",
        11: "#b14fc8",
        12: "#c2586a",
        UNKNOWN: "#8d74ab",
        UNLABELLED: "#6b8296",
    }
)

LABEL_LETTERS: Mapping[int, str] = MappingProxyType(
    {
        NOISE: "×",
        0: "N",
        1: "S",
        2: "V",
        3: "B",
        4: "T",
        5: "AF",
        6: "FL",
        7: "VT",
        8: "VF",
        9: "E",
        10: "C",
        11: "3",
        12: "Vs",
        UNKNOWN: "?",
        UNLABELLED: "·",
    }
)
"""What stands above a beat: its AAMI class where the label is one, so that N, S and V are also its keys."""

LABEL_SYMBOLS: Mapping[int, str] = MappingProxyType(
    {
        NOISE: "x-thin-open",
        0: "circle",
        1: "triangle-up",
        2: "square",
        3: "circle-open",
        4: "circle-dot",
        5: "diamond",
        6: "diamond-open",
        7: "star",
        8: "hexagram",
        9: "pentagon",
        10: "triangle-left",
        11: "triangle-down",
        12: "square-open",
        UNKNOWN: "cross",
        UNLABELLED: "circle-open-dot",
    }
)
"""Marker symbols (plotly's names) for charts where a letter has no room."""

INK = "#7d828a"
"""Axis titles, notes and guides: readable on light and dark."""

ACCENT = "#058dd1"
"""The one line that a chart is about."""

ALARM = "#b63535"
"""What asks for attention: suspicious, alert, worse."""

_SERIES = ("#058dd1", "#b17d05", "#b14fc8", "#0f8f80", "#b63535", "#6f8a12", "#4a6fe3", "#99603d")
_SERIES_SYMBOLS = ("circle", "triangle-up", "square", "diamond", "star", "cross", "pentagon", "hexagram")


def label_colour(label: int) -> str:
    """Colour of a label id; ids outside the list get the one of notes."""
    return LABEL_COLOURS.get(int(label), INK)


def label_letter(label: int) -> str:
    """Letter or two that stand for a label above a beat; an id outside the list stands for itself."""
    return LABEL_LETTERS.get(int(label), str(int(label)))


def label_symbol(label: int) -> str:
    """Marker symbol of a label."""
    return LABEL_SYMBOLS.get(int(label), "circle")


def series_colour(index: int) -> str:
    """Colour of the n-th of several lines or clusters without a label of their own."""
    return _SERIES[index % len(_SERIES)]


def series_symbol(index: int) -> str:
    """Marker symbol of the n-th cluster; it changes more slowly than the colour, so that pairs are rare."""
    return _SERIES_SYMBOLS[(index + index // len(_SERIES)) % len(_SERIES_SYMBOLS)]
