"""Moments, sizes and counts in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime


def when(moment: datetime | None) -> str:
    """A moment in this computer's time: ``24 Nov 2026, 09:12``."""
    return "" if moment is None else f"{moment.astimezone():%d %b %Y, %H:%M}".lstrip("0")


def size(count: float) -> str:
    """A number of bytes: ``951 kB``."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count = count / 1000
    return f"{count:.1f} GB"


def many(count: int, one: str, more: str = "") -> str:
    """``1 strip``, ``3,960 strips``; ``more`` where an s is not enough."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def counted(counts: Mapping[str, int], most: int = 4) -> str:
    """The largest counts: ``Normal 220, PVC 90, 2 more kinds``."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    parts = [f"{name} {count:,}" for name, count in ordered[:most]]
    if len(ordered) > most:
        parts.append(many(len(ordered) - most, "more kind"))
    return ", ".join(parts)


def listed(names: list[str]) -> str:
    """``A``, ``A and B``, ``A, B and C``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
