"""Framed bytes: a header in JSON, then samples as int16; ``docs/reading.md`` has the layout.

A trace keeps its own scale, so that its whole range is used: the error is at most half of ``scale``. Whole numbers that
fit are kept exactly.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.errors import StoreError
from state.plain import plain, to_json

MAGIC = b"ECGF"
_HEAD = struct.Struct("<4sI")
_STEPS = 65534  # of int16, symmetric around 0


class FrameWriter:
    """Gathers traces, and puts the frame together when the header is complete."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.int16]] = []
        self._count = 0

    def add(self, values: NDArray[Any]) -> dict[str, Any]:
        """Take in a trace and return what the header says of it.

        Parameters
        ----------
        values : (n,)
            Finite numbers.

        Raises
        ------
        ValueError
            If one of them is not finite: it would be read as some other number.
        """
        scale, zero, samples = _quantised(np.asarray(values))
        trace = {"offset": self._count, "count": len(samples), "scale": scale, "zero": zero}
        self._parts.append(samples)
        self._count += len(samples)
        return trace

    def frame(self, header: Mapping[str, Any]) -> bytes:
        """The bytes of header and traces. Numbers that are not finite become null."""
        try:
            text = json.dumps(header, allow_nan=False, default=plain, separators=(",", ":")).encode("utf-8")
        except ValueError:  # one that is not finite: looking through everything takes longer
            text = to_json(header).encode("utf-8")
        text += b" " * (-(len(text) + _HEAD.size) % 4)
        return b"".join([_HEAD.pack(MAGIC, len(text)), text, *(part.tobytes() for part in self._parts)])


def _quantised(values: NDArray[Any]) -> tuple[float, float, NDArray[np.int16]]:
    if not len(values):
        return 1.0, 0.0, np.empty(0, dtype="<i2")
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("a trace holds a number that is not finite")
    zero, scale = (low + high) / 2, (high - low) / _STEPS or 1.0
    rounded = np.rint(values)
    if high - low < _STEPS - 1 and np.array_equal(rounded, values):
        zero, scale = float(np.rint(zero)), 1.0
    return scale, zero, np.rint((values.astype(np.float64) - zero) / scale).astype("<i2")


class Frame(NamedTuple):
    """A frame as it was read."""

    header: dict[str, Any]
    samples: NDArray[np.int16]

    def trace(self, trace: Mapping[str, Any]) -> NDArray[np.float64]:
        """The values of a trace that the header names, float64 (n,)."""
        part = self.samples[trace["offset"] : trace["offset"] + trace["count"]]
        return trace["zero"] + trace["scale"] * part.astype(np.float64)


def read_frame(data: bytes) -> Frame:
    """Read framed bytes, as the browser does; for tests and notebooks.

    Raises
    ------
    StoreError
        If the bytes are no frame, or not a whole one.
    """
    if len(data) < _HEAD.size or data[:4] != MAGIC:
        raise StoreError("These bytes are no frame: they do not begin with ECGF.")
    size = _HEAD.unpack_from(data)[1]
    if _HEAD.size + size > len(data) or (len(data) - _HEAD.size - size) % 2:
        raise StoreError("The frame is cut short.")
    header = json.loads(data[_HEAD.size : _HEAD.size + size].decode("utf-8"))
    return Frame(header, np.frombuffer(data, dtype="<i2", offset=_HEAD.size + size))
