"""Seeds: the basket of chosen beats, the beats most like each of them, and what the reader makes of those."""

from __future__ import annotations

import streamlit as st

from components import seeds_candidates as found
from components import seeds_exchange as exchange
from components.frame import empty_state, page_header
from components.keymap import NEXT_ITEM, PREVIOUS_ITEM, UNDO
from components.outcome import attempt, begin_page, undo
from components.seeds_view import View, gather, search_settings, seed_cards
from state import session

KEYS = (
    (NEXT_ITEM, "Next candidate"),
    (PREVIOUS_ITEM, "Previous candidate"),
    (found.ACCEPT, "Accept: the beat gets the seed's label"),
    (found.REJECT, "Reject: the beat keeps its label"),
    (found.ACCEPT_ALL, "Accept all that are shown"),
    (found.OPEN_STRIP, "Open the candidate on its strip"),
    (found.NEXT_SEED, "Next seed"),
    (found.PREVIOUS_SEED, "Previous seed"),
    (found.REMOVE, "Take the seed out of the basket"),
    (UNDO, "Undo your last step"),
)


def page() -> None:
    begin_page()
    page_header("Seeds", "Choose a few beats as examples; the beats most like them are found and labelled.", KEYS)
    run = session.preprocess_run()
    if run is None:
        empty_state(
            "No beats yet",
            "Seeds are chosen among beats. Bring a file of strips and preprocess it first.",
            action="Go to Upload",
            page="pages/upload.py",
        )
        return
    view = gather(run)
    if not len(view.seeds):
        nothing(view)
        return
    ids = view.seeds["beat_global_id"].astype(int).tolist()
    chosen = session.chosen_number("seed")
    if chosen not in ids:
        chosen = ids[0]
    left, right = st.columns([0.32, 0.68], gap="medium")
    with left:
        st.markdown(f"**{len(ids)} seed{'' if len(ids) == 1 else 's'}**")
        found.walk(view, chosen)
        with st.container(height=680, border=False):
            seed_cards(view, chosen)
    with right:
        search_settings(view)
        found.heading(view, chosen)
        found.candidates(view, chosen)
    exchange.downloads(view)
    exchange.upload(view)


def nothing(view: View) -> None:
    empty_state(
        "The basket is empty",
        "On the Strips page choose a beat that shows its kind well and make it a seed. "
        "The Prototypes page offers typical beats, too.",
        action="Go to Strips",
        page="pages/strips.py",
        icon=":material/potted_plant:",
    )
    with st.container(horizontal=True):
        if st.button("Go to Prototypes", icon=":material/grid_view:", key="empty_prototypes"):
            st.switch_page("pages/prototypes.py")
        st.button("Undo", shortcut=UNDO, icon=":material/undo:", on_click=attempt, args=(undo,), key="seeds_undo_empty")
    exchange.upload(view)


page()
