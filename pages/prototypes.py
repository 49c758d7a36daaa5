"""Prototypes: which shapes the machine found, which of them can be trusted, and what each of them is."""

from __future__ import annotations

import streamlit as st

from components import prototypes_detail as detail
from components.downloads import table_download
from components.frame import empty_state, page_header
from components.keymap import NEXT_ITEM, PREVIOUS_ITEM, SEED, UNDO
from components.label_buttons import LABEL_KEYS_SHOWN
from components.outcome import begin_page
from components.prototypes_view import View, gallery, gather, limits_row, purity_chart
from ecg_engine.validation import BY_LABEL_FILE, DETAIL_FILE, SUSPICIOUS_FILE
from state import session

KEYS = (
    (NEXT_ITEM, "Next prototype"),
    (PREVIOUS_ITEM, "Previous prototype"),
    (SEED, "Make the next typical beat a seed"),
    (detail.OPEN_STRIP, "Open the strip of the most typical beat"),
    (UNDO, "Undo your last step"),
    *LABEL_KEYS_SHOWN,
)
GALLERY, CHART, TABLE = "Gallery", "Purity against size", "By label"


def page() -> None:
    begin_page()
    page_header("Prototypes", "Groups of beats of one shape. Check the suspicious ones, and label a whole group.", KEYS)
    run = session.preprocess_run()
    if run is None:
        empty_state(
            "No prototypes yet",
            "They come from preprocessing. Bring a file of strips and preprocess it first.",
            action="Go to Upload",
            page="pages/upload.py",
        )
        return
    view = gather(run, limits_row())
    if not len(view.result.detail):
        empty_state(
            "This run has no prototypes",
            "It has fewer than two usable beats. See on the Strips page why beats count as noise.",
            action="Go to Strips",
            page="pages/strips.py",
        )
        return
    summary(view)
    known = set(view.result.detail["prototype_id"].astype(int))
    chosen = session.chosen_number("prototype")
    if chosen not in known:
        chosen = view.order[0] if view.order else int(view.result.detail["prototype_id"].iloc[0])
    left, right = st.columns([0.56, 0.44], gap="medium")
    with left:
        overview(view, chosen)
    with right:
        detail.heading(view, chosen)
        detail.numbers(view, chosen)
        detail.overlay(view, chosen)
        detail.labelling(view, chosen)
        detail.mix_bar(view, chosen)
    st.divider()
    left, right = st.columns([0.44, 0.56], gap="medium")
    with left:
        detail.origins(view, chosen)
    with right:
        detail.examples(view, chosen)
    downloads(view)


def summary(view: View) -> None:
    total, bad = view.result.summary["num_prototypes"], view.result.summary["num_suspicious"]
    st.markdown(f"**{bad} of {total} prototypes are suspicious** under these limits, by the labels that hold now.")


def overview(view: View, chosen: int) -> None:
    shown = st.segmented_control(
        "View",
        [GALLERY, CHART, TABLE],
        default=GALLERY,
        required=True,
        key="prototypes_view",
        persist_state="session",
        label_visibility="collapsed",
    )
    if shown == CHART:
        purity_chart(view, chosen, detail.choose)
    elif shown == TABLE:
        by_label(view)
    elif view.order:
        with st.container(height=760, border=False):
            gallery(view, chosen, detail.choose)
    else:
        st.info("No prototype is suspicious under these limits.", icon=":material/check:")


def by_label(view: View) -> None:
    table = view.result.by_label.drop(columns="label")
    st.dataframe(
        table.assign(mean_purity=table["mean_purity"] * 100),
        hide_index=True,
        alt="Prototypes counted by dominant label",
        column_config={
            "label_name": "Dominant label",
            "num_prototypes": "Prototypes",
            "total_members": st.column_config.NumberColumn("Beats", format="localized"),
            "mean_purity": st.column_config.NumberColumn("Mean purity", format="%.0f %%"),
            "num_suspicious": "Suspicious",
        },
    )


def downloads(view: View) -> None:
    with st.expander("Download the tables", icon=":material/download:"), st.container(horizontal=True):
        table_download(view.result.detail, DETAIL_FILE, label="All prototypes, checked")
        table_download(view.result.by_label, BY_LABEL_FILE, label="By label")
        table_download(view.result.suspicious, SUSPICIOUS_FILE, label="Suspicious ones")
        table_download(view.library, "prototype_library.csv", label="Prototype library")


page()
