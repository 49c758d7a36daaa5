"""Small multiples as one SVG string: quick to make, small to send, in the page's own text colour.

Lines without a colour of their own are drawn in ``currentColor``, so the same picture suits a light and a dark page.
Every picture has a title and a description for who cannot see it, and every frame a caption.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import numpy.typing as npt

from ecg_engine.errors import ConfigError

Wave = npt.NDArray[np.floating]


class Frame(NamedTuple):
    """One of many small pictures.

    Attributes
    ----------
    wave : array, shape (n,)
    caption : str
        Stands above the line, and is read aloud.
    colour : str
        Of the line; "" for the page's text colour.
    marks : sequence of (sample, letter, colour)
        Letters above the line, such as R-peaks.
    flag : str
        "" or a word that is set in the corner, such as "alert"; the frame then gets a border.
    """

    wave: Wave
    caption: str
    colour: str = ""
    marks: Sequence[tuple[int, str, str]] = ()
    flag: str = ""


_CAPTION = 16
_MARKS = 12
_PAD = 4


def small_multiples(
    frames: Sequence[Frame],
    *,
    title: str,
    desc: str = "",
    columns: int = 4,
    frame_width: int = 180,
    frame_height: int = 90,
    shared_scale: bool = True,
    centre_sample: int | None = None,
) -> str:
    """Frames in a grid, as one SVG.

    Parameters
    ----------
    frames : sequence of Frame
    title, desc : str
        What the picture is, and what is to be seen in it: its alternative text.
    columns : int
        Frames side by side.
    frame_width, frame_height : int
        Pixels of one frame's drawing, without its caption.
    shared_scale : bool
        One vertical scale for all frames, so that heights can be compared; else each its own.
    centre_sample : int, optional
        Draws a faint upright at this sample (the R-peak of a beat).

    Raises
    ------
    ConfigError
        If ``columns`` or a frame's size is below 1.
    """
    if columns < 1 or frame_width < 1 or frame_height < 1:
        raise ConfigError("columns, frame_width and frame_height must be 1 or more.")
    desc = desc or f"{len(frames)} small pictures: " + "; ".join(frame.caption for frame in frames[:12])
    top = _CAPTION + (_MARKS if any(frame.marks for frame in frames) else 0)
    step_x, step_y = frame_width + 2 * _PAD, frame_height + top + 2 * _PAD
    rows = max(1, -(-len(frames) // columns))
    width, height = step_x * min(columns, max(1, len(frames))), step_y * rows
    limits = [_limits(frame.wave) for frame in frames]
    if shared_scale and limits:
        limits = [(min(low for low, _ in limits), max(high for _, high in limits))] * len(frames)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label={quoteattr(title)} width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}" style="max-width:100%;height:auto" '
        'font-family="inherit" font-size="11" fill="currentColor">'
        f"<title>{escape(title)}</title><desc>{escape(desc)}</desc>"
    ]
    for i, frame in enumerate(frames):
        row, column = divmod(i, columns)
        x, y = column * step_x + _PAD, row * step_y + _PAD
        parts.append(_frame(frame, x, y, top, frame_width, frame_height, limits[i], centre_sample))
    parts.append("</svg>")
    return "".join(parts)


def _limits(wave: Wave) -> tuple[float, float]:
    finite = np.asarray(wave, dtype=float)
    finite = finite[np.isfinite(finite)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _frame(
    frame: Frame,
    x: int,
    y: int,
    top: int,
    width: int,
    height: int,
    limits: tuple[float, float],
    centre_sample: int | None,
) -> str:
    n = len(frame.wave)
    scale = (width - 1) / max(n - 1, 1)
    text = [f'<g transform="translate({x} {y})"><title>{escape(frame.caption)}</title>']
    text.append(f'<text x="0" y="11">{escape(frame.caption)}</text>')
    border = f' stroke="{frame.colour or "currentColor"}" stroke-width="1.5"' if frame.flag else ""
    text.append(
        f'<rect x="0" y="{top}" width="{width}" height="{height}" fill="currentColor" fill-opacity="0.05"{border}/>'
    )
    if frame.flag:
        text.append(
            f'<text x="{width - 4}" y="{top + 13}" text-anchor="end" font-weight="700">{escape(frame.flag)}</text>'
        )
    if centre_sample is not None and 0 <= centre_sample < n:
        at = centre_sample * scale
        text.append(
            f'<path d="M{at:.1f} {top}v{height}" stroke="currentColor" stroke-opacity="0.25" stroke-dasharray="2 3"/>'
        )
    points = _path(np.asarray(frame.wave, dtype=float), width, height, limits)
    text.append(
        f'<path transform="translate(0 {top})" d="{points}" fill="none" stroke="{frame.colour or "currentColor"}" '
        'stroke-width="1.4" stroke-linejoin="round"/>'
    )
    for sample, letter, colour in frame.marks:
        fill = f' fill="{colour}"' if colour else ""
        text.append(
            f'<text x="{sample * scale:.1f}" y="{top - 2}" text-anchor="middle" font-size="10" font-weight="700"{fill}>'
            f"{escape(letter)}</text>"
        )
    text.append("</g>")
    return "".join(text)


def _path(wave: npt.NDArray[np.float64], width: int, height: int, limits: tuple[float, float]) -> str:
    """Path of a wave; with more than two samples a pixel, the lowest and highest of each pixel are kept."""
    n = len(wave)
    if not n:
        return ""
    x = np.arange(n) * ((width - 1) / max(n - 1, 1))
    if n > 2 * width:
        edges = np.linspace(0, n, width + 1).astype(int)[:-1]
        low, high = np.minimum.reduceat(wave, edges), np.maximum.reduceat(wave, edges)
        # Going down one pixel and up the next keeps the line unbroken and every peak at its height.
        wave = np.stack([low, high], axis=1)
        wave[1::2] = wave[1::2, ::-1]
        wave, x = wave.ravel(), np.repeat(np.arange(width, dtype=float), 2)
    low_limit, high_limit = limits
    span = (high_limit - low_limit) or 1.0
    y = _PAD + (height - 2 * _PAD) * (1 - (np.clip(wave, low_limit, high_limit) - low_limit) / span)
    steps = zip(np.round(x, 1).tolist(), np.round(np.nan_to_num(y, nan=height / 2), 1).tolist(), strict=True)
    return "M" + "L".join(f"{a:g} {b:g}" for a, b in steps)


def strips_svg(
    frames: Sequence[Frame], *, title: str, desc: str = "", columns: int = 1, width: int = 900, height: int = 64
) -> str:
    """Thumbnails of whole strips under one another, each in its own scale."""
    size = {"columns": columns, "frame_width": width, "frame_height": height}
    return small_multiples(frames, title=title, desc=desc, shared_scale=False, **size)
