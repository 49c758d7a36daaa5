"""Candidates of one seed: overlaid, side by side, and accepted or rejected one by one or in one go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from components.cards import Card, CardAction, CardGroup, card_grid
from components.keymap import NEXT_ITEM, PREVIOUS_ITEM, UNDO
from components.outcome import attempt, undo
from components.seeds_view import View, choose, label_of_seed, open_strip, remove, where
from ecg_engine.beat_svg import beat_svg, shared_limits
from ecg_engine.figures import candidates_overlay, label_colour, label_letter
from ecg_engine.labels import label_id
from state import session
from state.batches import one_batch
from state.deciding import Decision
from state.seeding import ACCEPTED, OPEN, OTHERWISE, REJECTED, REJECTED_FIELD, target_of

ACCEPT, REJECT, OPEN_STRIP, ACCEPT_ALL = "y", "l", "g", "Shift+y"
NEXT_SEED, PREVIOUS_SEED, REMOVE = "n", "p", "Delete"
UNDECIDED, EVERYTHING = "To decide", "All"
OVERLAID = 60
"""Candidates that are overlaid at most."""
_NOW = "candidate_now"


def heading(view: View, seed: int) -> None:
    """The chosen seed, its label, and the way out of the basket."""
    title, label, out = st.columns([0.34, 0.36, 0.3], vertical_alignment="center")
    title.subheader(f"Beat {seed}", anchor=False)
    with label:
        label_of_seed(view, seed)
    out.button("Remove", shortcut=REMOVE, on_click=remove, args=(view, seed), key="seed_remove", width="stretch",
               icon=":material/delete:", help="Take the seed out of the basket")  # fmt: skip


def walk(view: View, seed: int) -> None:
    """The way to the next seed and the one before."""
    order = view.seeds["beat_global_id"].astype(int).tolist()
    place, single = order.index(seed), len(order) < 2
    before, after = st.columns(2)
    before.button("Previous", shortcut=PREVIOUS_SEED, on_click=choose, key="seed_before", args=(order[place - 1],),
                  width="stretch", disabled=single, help="Previous seed")  # fmt: skip
    after.button("Next", shortcut=NEXT_SEED, on_click=choose, key="seed_after", width="stretch", disabled=single,
                 args=(order[(place + 1) % len(order)],), help="Next seed")  # fmt: skip


def candidates(view: View, seed: int) -> None:
    """All that can be done with one seed's candidates."""
    found = view.of(seed)
    similar = found[found["similarity"] >= view.settings["least_similarity"]].reset_index(drop=True)
    st.markdown(_counts(found, similar))
    seed_values = view.seeds[view.seeds["beat_global_id"] == seed].iloc[0]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        shown = st.segmented_control("Show", [UNDECIDED, EVERYTHING], default=UNDECIDED, required=True,
                                     key="candidates_shown", persist_state="session",
                                     label_visibility="collapsed")  # fmt: skip
        listed = similar[similar["outcome"] == OPEN] if shown == UNDECIDED else similar
        listed = listed.reset_index(drop=True)
        now = _current(listed)
        _buttons(view, listed, now, str(seed_values["label_name"]))
    if not len(similar):
        best = f" The most similar one has {found['similarity'].max():.2f}." if len(found) else ""
        st.info(
            f"No candidate is that similar.{best} Lower the least similarity, or search more strips.",
            icon=":material/search_off:",
        )
    elif not len(listed):
        st.success("All of its candidates are decided. Go on with the next seed.", icon=":material/check:")
    else:
        _overlay(view, seed, int(seed_values["row"]), listed)
        _cards(view, seed, int(seed_values["row"]), listed, now)


def _counts(found: pd.DataFrame, similar: pd.DataFrame) -> str:
    counts = similar["outcome"].value_counts()
    parts = [f"**{len(similar)} of {len(found)} candidates** are similar enough"]
    words = ((ACCEPTED, "accepted"), (REJECTED, "rejected"), (OTHERWISE, "labelled otherwise"))
    parts += [f"{counts[name]} {word}" for name, word in words if counts.get(name)]
    return "; ".join(parts) + "."


def _current(listed: pd.DataFrame) -> int | None:
    """The candidate that the keys speak of: the one chosen, else the first."""
    ids = listed["candidate_beat_global_id"].astype(int).tolist()
    now = st.session_state.get(_NOW)
    return now if now in ids else (ids[0] if ids else None)


def _point(beat: int) -> None:
    st.session_state[_NOW] = beat


def _buttons(view: View, listed: pd.DataFrame, now: int | None, seed_label: str) -> None:
    ids = listed["candidate_beat_global_id"].astype(int).tolist()
    place = ids.index(now) if now is not None else 0
    none = not ids
    before, after = (ids[place - 1], ids[(place + 1) % len(ids)]) if ids else (0, 0)
    st.button("Previous", shortcut=PREVIOUS_ITEM, on_click=_point, args=(before,), key="candidate_before",
              disabled=none)  # fmt: skip
    st.button("Next", shortcut=NEXT_ITEM, on_click=_point, args=(after,), key="candidate_after", disabled=none)
    act = (view, listed, now)
    outcome = "" if none else str(listed["outcome"].iloc[place])
    accepted, rejected = outcome == ACCEPTED, outcome == REJECTED
    st.button(
        "Take back" if accepted else "Accept",
        shortcut=ACCEPT,
        icon=":material/undo:" if accepted else ":material/check:",
        on_click=_decide,
        args=(*act, "accept"),
        key="candidate_accept",
        type="secondary" if accepted else "primary",
        disabled=none,
        help=f"Take the label {seed_label} back" if accepted else f"Label the beat {seed_label}",
    )
    st.button(
        "Reopen" if rejected else "Reject",
        shortcut=REJECT,
        icon=":material/undo:" if rejected else ":material/close:",
        on_click=_decide,
        args=(*act, "reject"),
        key="candidate_reject",
        disabled=none,
        help="Take the rejection back" if rejected else f"The beat is no {seed_label}; its label stays",
    )
    st.button("Strip", shortcut=OPEN_STRIP, icon=":material/ecg:", on_click=_decide, args=(*act, "strip"),
              key="candidate_strip", disabled=none, help="Open it on its strip")  # fmt: skip
    st.button("Undo", shortcut=UNDO, icon=":material/undo:", on_click=attempt, args=(undo,), key="seeds_undo")
    undecided = listed[listed["outcome"] == OPEN]
    if st.button(f"Accept all {len(undecided)}", shortcut=ACCEPT_ALL, icon=":material/done_all:", key="accept_all",
                 disabled=not len(undecided), help="All that are shown and not decided"):  # fmt: skip
        _confirm(view, undecided, seed_label)


@st.dialog("Accept all of them?")
def _confirm(view: View, undecided: pd.DataFrame, seed_label: str) -> None:
    least = undecided["similarity"].min()
    st.markdown(
        f"**{len(undecided)} beats** get the label **{seed_label}**. Their similarity is {least:.2f} or more. "
        f"One undo ({UNDO}) takes all of them back."
    )
    with st.container(horizontal=True):
        if st.button(
            f"Label {len(undecided)} beats",
            type="primary",
            key="accept_all_yes",
            shortcut="Enter",
            on_click=attempt,
            args=(lambda: _accept_all(view, undecided),),
        ):
            st.rerun()
        if st.button("Leave them", key="accept_all_no"):
            st.rerun()


def _accept_all(view: View, undecided: pd.DataFrame) -> str:
    made = [_accepting(view, values) for _, values in undecided.iterrows()]
    session.keep(one_batch(made))
    return f"{len(made)} beats labelled {undecided['seed_label'].iloc[0]}. One undo ({UNDO}) takes them back."


def _accepting(view: View, values: pd.Series) -> Decision:
    return session.decision(
        target_of(view.run, view.index, int(values["row"])),
        "label",
        label_id(str(values["seed_label"])),
        old=values["label_now"],
        reason=f"like seed beat {values['seed_beat_global_id']}, similarity {values['similarity']:.3f}",
    )


def _decide(view: View, listed: pd.DataFrame, beat: int, action: str) -> None:
    """What a key or a card's button asks for."""
    place = int(np.flatnonzero(listed["candidate_beat_global_id"].to_numpy() == beat)[0])
    values = listed.iloc[place]
    row = int(values["row"])
    if action == "strip":
        _point(beat)
        open_strip(view, row)
    elif action in ("accept", "reject"):
        attempt(lambda: _accept(view, values) if action == "accept" else _reject(view, values))
        later = listed.iloc[place + 1 :]
        waiting = later[later["outcome"] == OPEN]["candidate_beat_global_id"]
        if len(waiting):
            _point(int(waiting.iloc[0]))
    else:
        _point(beat)


def _accept(view: View, values: pd.Series) -> str:
    beat, name = int(values["candidate_beat_global_id"]), values["seed_label"]
    if values["outcome"] == ACCEPTED:
        target = target_of(view.run, view.index, int(values["row"]))
        said = [made for made in session.active_decisions() if made.target == target and made.field == "label"]
        if said:
            session.store().decisions.undo(said[-1].id, session.reader())
            return f"Beat {beat}: the label {name} is taken back."
        return f"Beat {beat} is labelled {name} by another decision; undo it on its strip."
    session.keep([_accepting(view, values)])
    return f"Beat {beat} is labelled {name}. Undo with {UNDO}."


def _reject(view: View, values: pd.Series) -> str:
    beat, name, row = int(values["candidate_beat_global_id"]), str(values["seed_label"]), int(values["row"])
    before = view.rejected.get((row, name))
    if before is not None:
        session.store().decisions.undo(before.id, session.reader())
        return f"Beat {beat} is open again."
    made = session.decision(target_of(view.run, view.index, row), REJECTED_FIELD, name)
    session.keep([made])
    return f"Beat {beat} is rejected as {name}. Undo with {UNDO}."


def _overlay(view: View, seed: int, seed_row: int, listed: pd.DataFrame) -> None:
    top = listed.head(OVERLAID)
    figure = candidates_overlay(
        view.beat(seed_row),
        np.asarray(view.run.beats[top["row"].to_numpy()]),
        top["similarity"].to_numpy(),
        view.run.fs,
        beat_ids=top["candidate_beat_global_id"].to_numpy(),
        seed_name=f"seed, beat {seed}",
        pre_sec=view.run.config.pre_sec,
    )
    figure.update_layout(height=250)
    st.plotly_chart(
        figure,
        key="candidates_overlay",
        theme=None,
        config={"displayModeBar": False},
        alt=str(figure.layout.meta["alt"]),
    )


def _cards(view: View, seed: int, seed_row: int, listed: pd.DataFrame, now: int | None) -> None:
    seed_wave = view.beat(seed_row)
    waves = np.asarray(view.run.beats[listed["row"].to_numpy()])
    scale = shared_limits([seed_wave, waves])
    cards = [_card(view, values, waves[i], seed_wave, scale) for i, values in enumerate(listed.to_dict("records"))]
    st.caption("Most similar first. Dashed: the seed. The number is the similarity.")
    with st.container(height=520, border=False):
        card_grid(
            [CardGroup(cards)],
            key=f"candidate_cards_{seed}",
            on_pick=lambda beat, action: _decide(view, listed, beat, action),
            selected=now,
            card_width=150,
            label="Candidates, most similar first, over their seed",
        )


def _card(
    view: View, values: dict[Any, Any], wave: np.ndarray, seed_wave: np.ndarray, scale: tuple[float, float]
) -> Card:
    row, beat = int(values["row"]), int(values["candidate_beat_global_id"])
    label = int(view.effective.labels[row])
    outcome = str(values["outcome"])
    similarity = float(values["similarity"])
    words = {ACCEPTED: "accepted", REJECTED: "rejected", OTHERWISE: "labelled otherwise"}
    return Card(
        id=beat,
        title=f"{similarity:.3f}",
        letter=label_letter(label),
        colour=label_colour(label),
        svg=beat_svg(
            wave,
            title=f"Candidate beat {beat}, similarity {similarity:.3f}, over its seed",
            limits=scale,
            colour=label_colour(label),
            behind=seed_wave,
            centre_sample=view.centre_sample,
        ),
        note=words.get(outcome, ""),
        lines=(where(view.run.metadata, row),),
        actions=(
            CardAction("accept", "Accept", outcome == ACCEPTED),
            CardAction("reject", "Reject", outcome == REJECTED),
            CardAction("strip", "Strip"),
        ),
        faded=outcome in (REJECTED, OTHERWISE),
    )
