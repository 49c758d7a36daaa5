"""Everything that a run wrote, to take away: file by file, or all in one archive."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pandas as pd
import streamlit as st

from components.words import size
from state import session
from state.runs import RunRow

ALL_AT_ONCE = 200 << 20
"""Above so many bytes the archive leaves large arrays out; they are still offered one by one."""


def run_downloads(run: RunRow, *, title: str = "Files of this run") -> None:
    """A folded list of a run's artefacts, each with its size and a button."""
    folder = session.store().runs.path(run)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with st.expander(f"{title} ({len(files)})", icon=":material/download:"):
        if not files:
            st.write("This run has no files on the disk any more.")
            return
        name = st.selectbox(
            "File",
            [str(path.relative_to(folder)) for path in files],
            format_func=lambda name: f"{name}  ({size((folder / name).stat().st_size)})",
            key=f"file_{run.id}",
        )
        one, everything = st.columns(2)
        one.download_button(
            "Download this file",
            data=lambda: (folder / name).open("rb"),
            file_name=Path(name).name,
            key=f"one_{run.id}",
            on_click="ignore",
            icon=":material/download:",
            width="stretch",
        )
        everything.download_button(
            "Download all as one archive",
            data=lambda: _archive(folder, files),
            file_name=f"{run.kind}_{run.created_at:%Y-%m-%d_%H%M}.zip",
            key=f"all_{run.id}",
            on_click="ignore",
            icon=":material/folder_zip:",
            width="stretch",
        )


def table_download(table: pd.DataFrame, name: str, *, label: str = "Download the table", key: str = "") -> None:
    """A button that hands out a table as CSV."""
    st.download_button(
        label,
        data=lambda: table.to_csv(index=False).encode(),
        file_name=name,
        mime="text/csv",
        key=key or f"table_{name}",
        on_click="ignore",
        icon=":material/table:",
    )


def _archive(folder: Path, files: list[Path]) -> bytes:
    buffer, total = io.BytesIO(), 0
    left_out = []
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(files, key=lambda path: path.stat().st_size):
            total += path.stat().st_size
            if total > ALL_AT_ONCE:
                left_out.append(str(path.relative_to(folder)))
            else:
                archive.write(path, path.relative_to(folder))
        if left_out:
            text = "These files are too large for one archive; download them one by one:\n" + "\n".join(left_out)
            archive.writestr("LEFT_OUT.txt", text)
    return buffer.getvalue()
