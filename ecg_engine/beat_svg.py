"""One beat as a small SVG of its own: a line, what it varies by, and what it is compared with.

For pictures that a person can click one by one; many in one picture are :mod:`ecg_engine.svg`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import numpy.typing as npt

from ecg_engine.errors import ConfigError

Wave = npt.NDArray[np.floating]
_PAD = 4.0


class Band(NamedTuple):
    """Between which values a share of the members lies at each sample; two arrays of shape (beat_len,)."""

    low: Wave
    high: Wave


def percentile_band(members: npt.NDArray[np.floating], low: float = 10, high: float = 90) -> Band:
    """Per-sample percentiles of the members.

    Parameters
    ----------
    members : array, shape (k, beat_len)
        k of 1 or more.
    low, high : float
        Percent.

    Raises
    ------
    ConfigError
        If there are no members.
    """
    if not len(members):
        raise ConfigError("A band needs one member at least.")
    # Laid out sample by sample, so that the partial sort runs along memory.
    bounds = np.percentile(np.ascontiguousarray(np.asarray(members, dtype=np.float32).T), [low, high], axis=1)
    return Band(bounds[0].astype(np.float32), bounds[1].astype(np.float32))


def shared_limits(waves: Iterable[Wave]) -> tuple[float, float]:
    """Lowest and highest value of all waves, so that pictures beside each other have one scale; (0, 1) for none."""
    lows, highs = [], []
    for wave in waves:
        lows.append(float(np.min(wave)))
        highs.append(float(np.max(wave)))
    return (min(lows), max(highs)) if lows else (0.0, 1.0)


def beat_svg(
    wave: Wave,
    *,
    title: str,
    limits: tuple[float, float] | None = None,
    colour: str = "currentColor",
    band: Band | None = None,
    behind: Wave | None = None,
    centre_sample: int | None = None,
    width: int = 180,
    height: int = 84,
) -> str:
    """Draw a beat.

    Parameters
    ----------
    wave : array, shape (n,)
    title : str
        Its alternative text.
    limits : (low, high), optional
        Values at the lower and the upper edge; those of what is drawn by default. What lies outside is cut.
    colour : str
        Of the line and, paler, of the band.
    band : Band, optional
        Drawn as an area.
    behind : array, shape (n,), optional
        What the beat is compared with: a dashed line in the page's text colour.
    centre_sample : int, optional
        Draws a faint upright there (the R-peak).
    width, height : int
        Pixels of the view box; the picture fills the width it is given.
    """
    drawn = [wave, *(band or ()), *([behind] if behind is not None else [])]
    low, high = limits or shared_limits(drawn)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label={quoteattr(title)} '
        f'viewBox="0 0 {width} {height}" style="display:block;width:100%;height:auto"><title>{escape(title)}</title>'
    ]
    if centre_sample is not None and 0 <= centre_sample < len(wave):
        at = centre_sample * (width - 1) / max(len(wave) - 1, 1)
        parts.append(
            f'<path d="M{at:.1f} 0v{height}" stroke="currentColor" stroke-opacity=".28" stroke-dasharray="2 3"/>'
        )
    if band is not None:
        upper, lower = (_points(edge, width, height, low, high) for edge in (band.high, band.low))
        area = "M" + "L".join([*upper, *reversed(lower)]) + "Z"
        parts.append(f'<path d="{area}" fill="{colour}" fill-opacity=".22"/>')
    if behind is not None:
        line = "M" + "L".join(_points(behind, width, height, low, high))
        parts.append(
            f'<path d="{line}" fill="none" stroke="currentColor" stroke-opacity=".6" stroke-width="1.3" '
            'stroke-dasharray="4 2"/>'
        )
    line = "M" + "L".join(_points(wave, width, height, low, high))
    parts.append(f'<path d="{line}" fill="none" stroke="{colour}" stroke-width="1.7" stroke-linejoin="round"/></svg>')
    return "".join(parts)


def _points(wave: Wave, width: int, height: int, low: float, high: float) -> list[str]:
    values = np.nan_to_num(np.asarray(wave, dtype=float), nan=low)
    x = np.arange(len(values)) * ((width - 1) / max(len(values) - 1, 1))
    share = (np.clip(values, low, high) - low) / ((high - low) or 1.0)
    y = _PAD + (height - 2 * _PAD) * (1 - share)
    return [f"{a:g} {b:g}" for a, b in zip(np.round(x, 1).tolist(), np.round(y, 1).tolist(), strict=True)]
