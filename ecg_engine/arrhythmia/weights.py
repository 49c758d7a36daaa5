"""Weights that lie beside the code as npz files: read whole, or said to be unreadable in plain words."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ecg_engine.errors import BundleError


def read_arrays(path: Path, of: str) -> dict[str, NDArray[Any]]:
    """All arrays of an npz file by name.

    Parameters
    ----------
    path : Path
    of : str
        Whose weights they are, for the message: "the noise scores".

    Raises
    ------
    BundleError
        If the file is missing, cut short, or no npz file.
    """
    try:
        # numpy leaves a file open that turns out to be none
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, AttributeError, BadZipFile) as error:
        raise BundleError(f"The weights of {of} cannot be read from {path.name} ({error}).") from error
