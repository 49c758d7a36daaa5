"""Small helpers that all of the store uses: ids, the clock, and values fit for JSON."""

from __future__ import annotations

import itertools
import json
import math
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

_counter = itertools.count(secrets.randbelow(1 << 12))


def now() -> datetime:
    """The time now, UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """A new id of 24 hex digits that sorts by time: milliseconds, a running number, chance."""
    return f"{time.time_ns() // 1_000_000:012x}{next(_counter) & 0xFFFF:04x}{secrets.token_hex(4)}"


def plain(value: Any) -> Any:
    """Turn a value into what JSON and both databases can hold.

    Numpy scalars and arrays become Python numbers and lists, keys become text, and numbers that are not finite
    become None, because PostgreSQL refuses them.
    """
    if value is None or (isinstance(value, (bool, int, str)) and not isinstance(value, np.generic)):
        return value.replace("\x00", "") if isinstance(value, str) else value
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.tolist()]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Path):
        return str(value)
    return str(value)


def to_json(value: Any) -> str:
    """JSON text of any value, through :func:`plain`."""
    return json.dumps(plain(value), allow_nan=False, separators=(",", ":"))
