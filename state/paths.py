"""Where the app keeps what it remembers."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

APP_NAME = "ecg-strip-review"
DATA_VARIABLE = "ECG_REVIEW_DATA"


def data_folder() -> Path:
    """Folder of the store: ``$ECG_REVIEW_DATA``, else the data folder that the system gives each person.

    It is made if it is missing.
    """
    named = os.environ.get(DATA_VARIABLE, "").strip()
    folder = Path(named).expanduser() if named else Path(platformdirs.user_data_dir(APP_NAME, appauthor=False))
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()
