"""Files are written whole or not at all, and a refusal reads well."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecg_engine.errors import EngineError
from ecg_engine.files import atomic_write


def test_a_refused_file_leaves_the_old_one_and_no_draft(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("old")

    def full(draft: Path) -> None:
        draft.write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(EngineError, match=r"table\.csv could not be saved.*No space left"):
        atomic_write(target, full)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_a_folder_that_is_a_file_is_named_not_hidden(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("not a folder")
    with pytest.raises(EngineError, match=r"table\.csv could not be saved"):
        atomic_write(tmp_path / "runs" / "table.csv", lambda draft: draft.write_text("x"))
