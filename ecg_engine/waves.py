"""From the text of a wave cell to samples, and the checks that a wave must pass (spec sections 2 and 10.5)."""

from __future__ import annotations

import json
import re
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

EXCEL_CELL_LIMIT = 32_767
"""Characters that Excel keeps of a cell; the rest of a longer text is gone without a word."""

_NOT_PLAIN = re.compile(r"[^0-9eE+\-.,\s]")
_AROUND_COMMA = re.compile(r"\s*,\s*")
_EXACT_INTEGERS = 2**53


class RowSkipped(Exception):
    """A row that cannot be used.

    Parameters
    ----------
    kind : str
        The reason in a few words, the same for all rows that share it.
    reason : str
        The reason with this row's own values.
    """

    def __init__(self, kind: str, reason: str = "") -> None:
        self.kind, self.reason = kind, reason or kind
        super().__init__(self.reason)


def parse_wave(cell: object) -> NDArray[np.float32]:
    """Samples of one wave cell.

    Parameters
    ----------
    cell : object
        Normally text: numbers parted by commas; empty tokens are ignored. A cell that Excel turned into a number is
        one sample.

    Returns
    -------
    float32 (n,)

    Raises
    ------
    RowSkipped
        If the cell is blank, cut by Excel, or holds anything but numbers; the reason names the first bad token.
    """
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return np.array([cell], dtype=np.float32) if cell == cell else _blank()
    if cell is None or (isinstance(cell, str) and not cell.strip(" ,\t\r\n")):
        return _blank()
    if not isinstance(cell, str):
        raise RowSkipped("wave is not text", f"wave is not text but {type(cell).__name__}: {str(cell)[:40]!r}")
    if len(cell) == EXCEL_CELL_LIMIT:
        raise RowSkipped(
            "wave cut off by Excel",
            f"wave cut off by Excel: the cell has exactly {EXCEL_CELL_LIMIT} characters, the most that Excel keeps; "
            "export it as CSV",
        )
    text = cell.strip(" ,\t\r\n")
    if _has_blanks(text):
        text = _AROUND_COMMA.sub(",", text)
    values = None if _has_blanks(text) else _parse_integers(text)
    if values is None:
        values = _parse_plain(text)
    if values is None:
        values = _parse_tokens(text)
    with np.errstate(over="ignore"):  # what overflows becomes infinite, and check_wave says so
        return values.astype(np.float32)


def check_wave(samples: NDArray[np.float32], min_samples: int) -> None:
    """Refuse a wave that is no signal.

    Raises
    ------
    RowSkipped
        If the wave has fewer than `min_samples` samples, holds NaN or infinite values, or never changes.
    """
    if len(samples) < min_samples:
        raise RowSkipped("wave too short", f"wave too short: {len(samples)} samples, at least {min_samples} are needed")
    bad = int(np.count_nonzero(~np.isfinite(samples)))
    if bad:
        raise RowSkipped("NaN or infinite samples", f"NaN or infinite samples: {bad} of {len(samples)}")
    if samples.min() == samples.max():
        raise RowSkipped("flat line", f"flat line: all {len(samples)} samples are {samples[0]:g}")


def resample(waves: NDArray[np.float32], fs_in: float, fs_out: float) -> NDArray[np.float32]:
    """Bring waves to another sampling rate (polyphase filter, padded with each wave's median).

    Parameters
    ----------
    waves : float32 (k, n)
    fs_in, fs_out : float
        Hz.

    Returns
    -------
    float32 (k, ceil(n * fs_out / fs_in))
    """
    ratio = Fraction(fs_out / fs_in).limit_denominator(10_000)
    out = resample_poly(waves.astype(np.float64), ratio.numerator, ratio.denominator, axis=1, padtype="median")
    return out.astype(np.float32)


def _has_blanks(text: str) -> bool:
    # numpy reads a blank token as 0 and "- 5" as -5, so no blank may reach it
    return any(blank in text for blank in " \t\r\n\v\f")


def _blank() -> NDArray[np.float32]:
    raise RowSkipped("no wave", "no wave: the cell is blank")


def _parse_integers(text: str) -> NDArray[np.float64] | None:
    # Whole numbers are what most exports hold, and numpy reads them ten times faster than it reads decimals.
    try:
        values = np.fromstring(text, dtype=np.int64, sep=",")
    except ValueError:
        return None
    # Numbers beyond the range of int64 are clipped without a word, so those are left to the next parser.
    exact = len(values) > 0 and int(values.min()) > -_EXACT_INTEGERS and int(values.max()) < _EXACT_INTEGERS
    return values.astype(np.float64) if exact else None


def _parse_plain(text: str) -> NDArray[np.float64] | None:
    # JSON's number parser is 2.5 times faster than numpy's; the pattern keeps out what else JSON would take.
    if _NOT_PLAIN.search(text):
        return None
    try:
        return np.array(json.loads(f"[{text}]"), dtype=np.float64)
    except (ValueError, OverflowError):
        return None


def _parse_tokens(text: str) -> NDArray[np.float64]:
    tokens = [token for token in map(str.strip, text.split(",")) if token]
    if not any("_" in token for token in tokens):  # Python would read 1_000 as a number
        try:
            return np.array(tokens).astype(np.float64)
        except ValueError:
            pass
    bad = next(token for token in tokens if not _is_number(token))
    raise RowSkipped("text in the wave", f"text in the wave: {bad[:40]!r} is not a number")


def _is_number(token: str) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return "_" not in token
