"""What all tests share: where the golden outputs and the real ECG lie, and what may not be skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.postgres import postgres_server as postgres_server

# Before anything loads torch or scikit-learn: tests share few cores with the servers and workers that they start, and
# threads that wait for each other by spinning make every one of them crawl.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("ECG_SHARED", REPOSITORY.parent / "shared"))
REQUIRED = {word for word in os.environ.get("ECG_REQUIRE", "").split(",") if word}
"""What must run: golden, real, postgres, browser. CI sets all of them; elsewhere the missing is skipped."""


def missing(kind: str, what: str) -> None:
    """Skip the test, or fail it where `kind` is required."""
    if kind in REQUIRED:
        pytest.fail(f"{kind} tests are required here, but {what}", pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="session")
def reference_folder() -> Path:
    """The golden outputs of the reference scripts."""
    folder = SHARED / "reference"
    if not folder.is_dir():
        missing("golden", f"there is no folder {folder}")
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real, annotated ECG."""
    folder = SHARED / "data"
    if not folder.is_dir():
        missing("real", f"there is no folder {folder}")
    return folder
