"""Source files: kept under the data folder by their hash, so that the same bytes lie there once."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from sqlalchemy import Engine, Row, select, update
from sqlalchemy.dialects import postgresql, sqlite

from state import schema
from state.db import reading, writing
from state.errors import NotFoundError, StoreError
from state.plain import new_id, now
from state.targets import clean_text

CHUNK = 1 << 20
COMPANIONS = frozenset({".dat", ".atr", ".qrs", ".xws"})
"""Files of a WFDB record beside its header; only the header is handed to the reader."""


@dataclass(frozen=True)
class SourceFile:
    """A file that a person brought: its name there, SHA-256 and size in bytes."""

    id: str
    study_id: str
    name: str
    sha256: str
    size: int
    created_at: datetime
    removed_at: datetime | None = None


class AddedFile(NamedTuple):
    """A file in the study, and whether its content was there before."""

    file: SourceFile
    known: bool


class Files:
    """The source files of all studies."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder / "files"
        self._insert = (postgresql if engine.dialect.name == "postgresql" else sqlite).insert

    def add(self, study_id: str, name: str, content: bytes | Path | BinaryIO) -> AddedFile:
        """Take a file into a study. The same content again (under any name) stays one file; a removed one returns.

        Raises
        ------
        StoreError
            If the name is empty or the disk is full.
        """
        name = PurePosixPath(clean_text(name, "file name").replace("\\", "/")).name
        if name in {"", ".", ".."}:
            raise StoreError("A file needs a name.")
        sha256, size = self._keep(content)
        table = schema.source_files
        row = {"id": new_id(), "study_id": study_id, "name": name, "sha256": sha256, "size": size, "created_at": now()}
        with writing(self._engine) as connection:
            statement = self._insert(table).on_conflict_do_nothing(index_elements=["study_id", "sha256"])
            known = connection.execute(statement.returning(table.c.id), row).first() is None
            here = (table.c.study_id == study_id) & (table.c.sha256 == sha256)
            if known:
                connection.execute(update(table).where(here).values(removed_at=None))
            return AddedFile(_file(connection.execute(select(table).where(here)).one()), known)

    def _keep(self, content: bytes | Path | BinaryIO) -> tuple[str, int]:
        """Copy the content to its place, atomically, hashing on the way."""
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._folder, prefix="incoming-")
        temporary, digest, size = Path(name), hashlib.sha256(), 0
        try:
            with os.fdopen(handle, "wb") as out:
                for chunk in _chunks(content):
                    digest.update(chunk)
                    size += len(chunk)
                    out.write(chunk)
                out.flush()
                os.fsync(out.fileno())
            place = self._place(digest.hexdigest())
            place.parent.mkdir(exist_ok=True)
            temporary.replace(place)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise StoreError(f"The disk is full: no room in {self._folder} for this file.") from error
            raise
        finally:
            temporary.unlink(missing_ok=True)
        return digest.hexdigest(), size

    def _place(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def all(self, study_id: str, *, removed: bool = False) -> list[SourceFile]:
        """Files of a study in the order they came; removed ones only when asked for."""
        table = schema.source_files
        query = select(table).where(table.c.study_id == study_id).order_by(table.c.created_at, table.c.id)
        if not removed:
            query = query.where(table.c.removed_at.is_(None))
        with reading(self._engine) as connection:
            return [_file(row) for row in connection.execute(query)]

    def get(self, file_id: str) -> SourceFile:
        """A file by id.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        with reading(self._engine) as connection:
            row = connection.execute(select(schema.source_files).where(schema.source_files.c.id == file_id)).first()
        if row is None:
            raise NotFoundError(f"There is no file {file_id!r}.")
        return _file(row)

    def remove(self, file_id: str) -> SourceFile:
        """Leave a file out of runs to come. Its content stays: earlier runs were made from it."""
        with writing(self._engine) as connection:
            table = schema.source_files
            connection.execute(update(table).where(table.c.id == file_id).values(removed_at=now()))
        return self.get(file_id)

    def restore(self, file_id: str) -> SourceFile:
        """Take a file that was left out in again."""
        with writing(self._engine) as connection:
            table = schema.source_files
            connection.execute(update(table).where(table.c.id == file_id).values(removed_at=None))
        return self.get(file_id)

    def path(self, file: SourceFile) -> Path:
        """Where the content lies (without its name's ending)."""
        return self._place(file.sha256)

    def lay_out(self, files: list[SourceFile], folder: Path) -> list[Path]:
        """Put files into a folder under their own names, and return those to read (see :meth:`laid_out`)."""
        return list(self.laid_out(files, folder).values())

    def laid_out(self, files: list[SourceFile], folder: Path) -> dict[str, Path]:
        """Put files into a folder under their own names, and return those to read, by file id.

        A WFDB header needs its signal file beside it under its own name, and messages should name the file that
        the person knows. Two files of one name lie in numbered folders.
        """
        to_read = {}
        for file in files:
            place, number = folder / file.name, 1
            while place.exists():
                number += 1
                place = folder / str(number) / file.name
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(self.path(file), place)
            except OSError:  # another disk, or a file system without links
                shutil.copyfile(self.path(file), place)
            if place.suffix.lower() not in COMPANIONS:
                to_read[file.id] = place
        return to_read


def _chunks(content: bytes | Path | BinaryIO) -> Any:
    if isinstance(content, bytes):
        yield content
        return
    if isinstance(content, Path):
        with content.open("rb") as stream:
            yield from iter(lambda: stream.read(CHUNK), b"")
        return
    yield from iter(lambda: content.read(CHUNK), b"")


def _file(row: Row[Any]) -> SourceFile:
    return SourceFile(**row._mapping)
