"""How long work says how far it is, and how it is told to stop."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Called with a few plain words and the share done, 0 to 1. It may raise ``Cancelled`` to stop the work."""


def silent(message: str, done: float) -> None:
    """Progress that nobody looks at."""


def part(progress: Progress, start: float, end: float) -> Progress:
    """Progress of one stage that fills ``start`` to ``end`` of the whole."""

    def inner(message: str, done: float) -> None:
        progress(message, start + (end - start) * min(max(done, 0.0), 1.0))

    return inner
