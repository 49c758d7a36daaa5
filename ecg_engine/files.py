"""Writing files so that a half-written one never takes the place of a whole one."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ecg_engine.errors import EngineError


def atomic_write(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place and move it there once it is whole.

    Raises
    ------
    EngineError
        If the system refuses: disk full, not writable.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(draft)
        draft.replace(path)
    except (OSError, RuntimeError) as error:  # torch.save reports a full disk as a RuntimeError
        raise EngineError(
            f"{path.name} could not be saved: {error}. Free some space or choose another folder."
        ) from error
    finally:
        with contextlib.suppress(OSError):  # what went wrong above says more
            draft.unlink(missing_ok=True)


def plain(value: Any) -> Any:
    """Plain values for JSON: no numpy, and None for what is no number."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
