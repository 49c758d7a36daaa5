"""ECG paper: millimetres, boxes, the calibration pulse and what is printed in the margin.

A small box is one millimetre: 0.04 s by 0.1 mV at 25 mm/s and 10 mm/mV. The drawing is grid-accurate, not
ruler-accurate: the boxes are square and signals lie rightly on them, but a millimetre on a screen is what the
screen makes of it. Nothing is ever rescaled to fit: a signal that leaves the paper is cut, and the paper says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ecg_engine.errors import ConfigError

SPEEDS = (12.5, 25.0, 50.0)
"""Paper speeds in mm/s."""
GAINS = (5.0, 10.0, 20.0)
"""Paper gains in mm/mV."""
ASSUMED_UNITS_PER_MV = 200.0

MARGIN = {"l": 8, "r": 8, "t": 34, "b": 34}
CALIBRATION_MM = (2.0, 5.0, 2.0)
"""Foot, top and foot of the 1 mV pulse that stands before the strip, in mm."""
MAX_HEIGHT_MM = 120.0


@dataclass(frozen=True)
class Ink:
    """Colours of paper and print."""

    paper: str
    small: str
    large: str
    trace: str
    text: str


INKS = {
    "light": Ink("#fffaf8", "rgba(226,118,118,0.26)", "rgba(214,84,84,0.55)", "#16181d", "#5d636c"),
    "dark": Ink("#14161b", "rgba(208,96,96,0.17)", "rgba(208,96,96,0.42)", "#eceef2", "#a9aeb8"),
}
"""``light`` is the pink of real paper; ``dark`` the same paper at night."""


@dataclass(frozen=True)
class Paper:
    """How a strip is printed.

    Parameters
    ----------
    speed : float
        mm/s, one of :data:`SPEEDS`.
    gain : float
        mm/mV, one of :data:`GAINS`.
    px_per_mm : float
        Size on the screen.
    theme : str
        ``light`` or ``dark``.

    Raises
    ------
    ConfigError
        On another speed, gain or theme; the message names the choices.
    """

    speed: float = 25.0
    gain: float = 10.0
    px_per_mm: float = 4.0
    theme: str = "light"

    def __post_init__(self) -> None:
        if self.speed not in SPEEDS:
            raise ConfigError(f"speed is {self.speed!r}; it must be one of {', '.join(f'{v:g}' for v in SPEEDS)} mm/s.")
        if self.gain not in GAINS:
            raise ConfigError(f"gain is {self.gain!r}; it must be one of {', '.join(f'{v:g}' for v in GAINS)} mm/mV.")
        if self.theme not in INKS:
            raise ConfigError(f"theme is {self.theme!r}; it must be one of {', '.join(INKS)}.")

    @property
    def ink(self) -> Ink:
        """Colours of the theme."""
        return INKS[self.theme]

    @property
    def small_box(self) -> tuple[float, float]:
        """Seconds and millivolts of one millimetre."""
        return 1 / self.speed, 1 / self.gain

    @property
    def calibration_sec(self) -> float:
        """Width of the calibration pulse with its feet, in s."""
        return sum(CALIBRATION_MM) / self.speed

    def printed(
        self, fs: float, units_per_mv: float, *, assumed: bool = True, filter_hz: tuple[float, float] | None = None
    ) -> str:
        """The line under the strip: speed, gain, filter, rate, and how units became millivolts."""
        bands = f"{filter_hz[0]:g}–{filter_hz[1]:g} Hz" if filter_hz else "unfiltered"
        box = f"large box {5 / self.speed:g} s × {5 / self.gain:g} mV"
        units = f"{units_per_mv:g} units/mV{' (assumed)' if assumed else ''}"
        return f"{self.speed:g} mm/s   {self.gain:g} mm/mV   {bands}   {fs:g} Hz   {units}   {box}"

    def window_mv(self, low: float, high: float) -> tuple[float, float]:
        """Range of the paper for a signal between ``low`` and ``high`` mV: whole large boxes, at least 25 mm.

        Never more than :data:`MAX_HEIGHT_MM`; what lies outside is cut, not rescaled.
        """
        box = 5 / self.gain
        bottom = np.floor((low - 0.2 * box) / box) * box
        top = np.ceil((high + 0.2 * box) / box) * box
        most = MAX_HEIGHT_MM / self.gain
        if top - bottom > most:
            bottom, top = max(bottom, -most / 2), min(top, most / 2)
        while top - bottom < 5 * box:
            top += box
            if top - bottom < 5 * box:
                bottom -= box
        return float(bottom), float(top)

    def axes(self, seconds: tuple[float, float], millivolts: tuple[float, float]) -> dict[str, Any]:
        """Plotly layout of this paper for a span of seconds and millivolts: grid, size and fixed aspect."""
        ink = self.ink
        width = (seconds[1] - seconds[0]) * self.speed * self.px_per_mm
        height = (millivolts[1] - millivolts[0]) * self.gain * self.px_per_mm
        dx, dy = self.small_box

        def axis(span: tuple[float, float], box: float) -> dict[str, Any]:
            return {
                "range": list(span),
                "tick0": 0,
                "dtick": 5 * box,
                "gridcolor": ink.large,
                "gridwidth": 1,
                "zeroline": False,
                "showticklabels": False,
                "ticks": "",
                "showline": True,
                "mirror": True,
                "linecolor": ink.large,
                "minor": {"tick0": 0, "dtick": box, "showgrid": True, "gridcolor": ink.small, "gridwidth": 1},
            }

        return {
            "width": round(width + MARGIN["l"] + MARGIN["r"]),
            "height": round(height + MARGIN["t"] + MARGIN["b"]),
            "margin": dict(MARGIN),
            "plot_bgcolor": ink.paper,
            "paper_bgcolor": "rgba(0,0,0,0)",
            "showlegend": False,
            "dragmode": "pan",
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": ink.text, "activecolor": ink.text},
            "hovermode": "closest",
            "hoverdistance": 12,
            "xaxis": {**axis(seconds, dx), "constrain": "domain"},
            # The anchor keeps the boxes square whatever room the page gives the figure.
            "yaxis": {
                **axis(millivolts, dy),
                "scaleanchor": "x",
                "scaleratio": self.gain / self.speed,
                "constrain": "domain",
            },
        }

    def calibration(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Seconds (before 0) and millivolts of the 1 mV pulse."""
        foot, top, _ = CALIBRATION_MM
        edges = np.array([0, foot, foot, foot + top, foot + top, sum(CALIBRATION_MM)], dtype=np.float32)
        pulse = np.array([0, 0, 1, 1, 0, 0], dtype=np.float32)
        return (edges / np.float32(self.speed) - np.float32(self.calibration_sec)), pulse


def to_millivolts(
    wave: npt.ArrayLike, units_per_mv: float = ASSUMED_UNITS_PER_MV, *, baseline: float | None = None
) -> npt.NDArray[np.float32]:
    """Units of the file to mV around ``baseline`` (the median by default); float32, shape (n,).

    Raises
    ------
    ConfigError
        If the gain is not above 0.
    """
    if not units_per_mv > 0:
        raise ConfigError(f"units_per_mv is {units_per_mv!r}; it must be a number above 0.")
    samples = np.asarray(wave, dtype=np.float32)
    zero = float(np.median(samples)) if baseline is None and samples.size else float(baseline or 0.0)
    return (samples - np.float32(zero)) / np.float32(units_per_mv)
