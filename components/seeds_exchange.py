"""Seeds in and out of the app as CSV, and the table of candidates."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import streamlit as st

from components.downloads import table_download
from components.frame import told
from components.keymap import UNDO
from components.outcome import attempt
from components.seeds_view import View
from ecg_engine.mining import CANDIDATE_COLUMNS, SEED_COLUMNS
from ecg_engine.seeds import SeedTable, check_seeds, read_seed_csv
from state import session
from state.batches import one_batch
from state.seeding import target_of

SEEDS_FILE, CANDIDATES_FILE = "seeds.csv", "seed_mined_candidates.csv"


def downloads(view: View) -> None:
    """Seeds and candidates as files."""
    with st.expander("Download", icon=":material/download:"), st.container(horizontal=True):
        table_download(view.seeds[list(SEED_COLUMNS)], SEEDS_FILE, label=f"Seeds ({len(view.seeds)})")
        table_download(view.candidates[list(CANDIDATE_COLUMNS)], CANDIDATES_FILE,
                       label=f"Candidates ({len(view.candidates)})")  # fmt: skip


def upload(view: View, *, opened: bool = False) -> None:
    """Bring a seed CSV: what it holds, which rows cannot be used and why, then add them."""
    with st.expander("Bring seeds from a file", icon=":material/upload_file:", expanded=opened):
        drawn = st.session_state.setdefault("seed_upload_drawn", 0)
        file = st.file_uploader(
            "Seed table (CSV with beat_global_id and label_name)",
            type=["csv"],
            key=f"seed_file_{drawn}",
            help="Beat numbers are those of the preprocessing run in hand.",
        )
        if file is None:
            return
        with told():
            _offer(view, check_seeds(read_seed_csv(file.getvalue()), view.run.metadata["beat_global_id"].to_numpy()))


def _offer(view: View, table: SeedTable) -> None:
    held = dict(zip(view.seeds["beat_global_id"].astype(int), view.seeds["label_name"], strict=True))
    new = table.seeds[[held.get(beat) != name for beat, name in table.seeds.itertuples(index=False)]]
    known = len(table.seeds) - len(new)
    parts = [f"**{len(new)} seeds** can be added"]
    if known:
        parts.append(f"{known} are in the basket already")
    if len(table.dropped):
        parts.append(f"**{len(table.dropped)} rows cannot be used**")
    st.markdown("; ".join(parts) + ".")
    if len(table.dropped):
        st.dataframe(
            table.dropped,
            hide_index=True,
            alt="Rows that cannot be used, with the reason",
            column_config={
                "row": st.column_config.NumberColumn("Row", width="small"),
                "beat_global_id": st.column_config.TextColumn("Beat", width="small"),
                "label_name": "Label",
                "reason": st.column_config.TextColumn("Why not", width="large"),
            },
        )
    st.button(
        f"Add {len(new)} seeds",
        type="primary",
        icon=":material/add:",
        disabled=not len(new),
        on_click=lambda: attempt(lambda: _add(view, new, held)),
        key="add_seeds_" + hashlib.sha256(new.to_csv().encode()).hexdigest()[:8],
    )


def _add(view: View, new: pd.DataFrame, held: dict[int, str]) -> str:
    ids = view.run.metadata["beat_global_id"].to_numpy()
    order = np.argsort(ids, kind="stable")
    rows = order[np.searchsorted(ids, new["beat_global_id"].to_numpy(dtype=np.int64), sorter=order)]
    made = [
        session.decision(target_of(view.run, view.index, int(row)), "seed", name, old=held.get(int(beat)))
        for row, beat, name in zip(rows, new["beat_global_id"], new["label_name"], strict=True)
    ]
    session.keep(one_batch(made))
    st.session_state["seed_upload_drawn"] += 1
    return f"{len(made)} seeds added. One undo ({UNDO}) takes them back."
