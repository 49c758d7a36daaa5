"""What benchmarks fit for folds of patients, kept in the system's folder for temporary files.

The shipped weights have seen all of DS1, and those of the folds take long to fit. They are kept under a name that
changes with the folds, and with those shipped weights that they would be made anew with.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Model = TypeVar("Model")


def folder_of(groups: Sequence[NDArray[np.int64]], *weights: Path) -> Path:
    """Folder of what was worked out for these folds, each given by the numbers of its patients, with such weights."""
    digest = hashlib.sha256()
    for part in (*(one.read_bytes() for one in weights), *(group.tobytes() for group in groups)):
        digest.update(part)
    folder = Path(tempfile.gettempdir()) / f"ecg-bench-folds-{digest.hexdigest()[:12]}"
    folder.mkdir(exist_ok=True)
    return folder


def once(
    groups: Sequence[NDArray[np.int64]],
    name: str,
    make: Callable[[], Iterable[Model]],
    save: Callable[[Model, Path], None],
    load: Callable[[Path], Model],
    *weights: Path,
) -> list[Model]:
    """The model of each fold, made only where they are not in the folder yet."""
    files = [folder_of(groups, *weights) / f"{name}_{one}.npz" for one in range(len(groups))]
    if not all(file.exists() for file in files):
        for model, file in zip(make(), files, strict=True):
            save(model, file)
    return [load(file) for file in files]
