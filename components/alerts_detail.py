"""One cluster of beats under review: what it may be, its members on their strips, and what to do about it."""

from __future__ import annotations

import numpy as np
import streamlit as st

from components.alerts_view import View, choose, standing
from components.cards import Card, CardAction, CardGroup, card_grid
from components.keymap import ACCEPT, NEXT_ITEM, OPEN_STRIP, PREVIOUS_ITEM, SEED, UNDO
from components.label_buttons import label_buttons
from components.outcome import attempt, undo
from components.picture import picture
from components.review_view import open_strip, patient_name
from components.words import counted, many
from ecg_engine.beat_svg import beat_svg
from ecg_engine.figures import label_colour, label_letter, strip_frame, strips_svg
from ecg_engine.figures.palette import series_colour
from ecg_engine.labels import CLASS_LABELS, NOISE, UNKNOWN, label_name
from ecg_engine.spread import evenly
from state import session
from state.batches import one_batch
from state.pattern_members import open_rows, strips_of, typical_first, words_said
from state.seeding import target_of
from state.targets import alert_target

CANCEL = "Esc"
EXAMPLES, THUMBNAILS = 12, 6
_ASKED = "alerts_asked"


def heading(view: View, cluster: int) -> None:
    """Title of the chosen cluster, and the way to the next and the one before."""
    title, before, after = st.columns([0.44, 0.28, 0.28], vertical_alignment="center")
    title.subheader(f"Cluster {cluster}", anchor=False)
    place = view.order.index(cluster)
    last = len(view.order)
    before.button("Previous", shortcut=PREVIOUS_ITEM, on_click=choose, args=(view.order[place - 1],), width="stretch",
                  key="alerts_before", disabled=last < 2)  # fmt: skip
    after.button("Next", shortcut=NEXT_ITEM, on_click=choose, args=(view.order[(place + 1) % last],), width="stretch",
                 key="alerts_after", disabled=last < 2)  # fmt: skip


def facts(view: View, cluster: int) -> None:
    """How many beats of how many patients, what the model would call them, and what readers said."""
    rows, review = view.rows(cluster), view.review
    beats = review.beats[review.beats["row"].isin(rows)]
    values, counts = np.unique(beats["pred_label_raw"].dropna().to_numpy(dtype=int), return_counts=True)
    labels = {label_name(label): count for label, count in zip(values.tolist(), counts.tolist(), strict=True)}
    known = {patient for patient in beats["patient_id"].astype(str) if patient != "-1"}
    state = standing(view, cluster)
    mark = {
        "alert": ":red-badge[:material/warning: alert] ",
        "small": ":gray-badge[:material/info: below the size of an alert] ",
    }.get(state, f":green-badge[:material/check: {state}] ")
    said = dict(words_said(review.said, rows))
    st.markdown(
        f"{mark}**{many(len(rows), 'beat')}** on {many(beats['source_row'].nunique(), 'strip')} of "
        f"{many(len(known), 'patient') if known else 'unknown patients'}.  \n"
        f"The model would call them: {counted(labels)}.  \n"
        + (f"Readers said: {counted(said)}." if said else "No reader has settled any of them.")
    )


def actions(view: View, cluster: int) -> None:
    """Acknowledge the alert, name the pattern, take the last step back."""
    asked = _asked(view, cluster)
    seen, back = st.columns([0.62, 0.38])
    done = cluster in view.seen
    seen.button(
        "Take back: seen" if done else "Acknowledge: seen",
        key="alerts_seen",
        icon=":material/visibility_off:" if done else ":material/visibility:",
        shortcut=None if asked is not None else ACCEPT,
        on_click=attempt,
        args=(lambda: _acknowledge(view, cluster, not done),),
        disabled=not view.alert(cluster),
        width="stretch",
        help="The alert stays in the list, marked as seen."
        if view.alert(cluster)
        else "Only a cluster that is large enough is an alert.",
    )
    back.button("Undo", shortcut=UNDO, icon=":material/undo:", on_click=attempt, args=(undo,), key="alerts_undo",
                width="stretch")  # fmt: skip
    if asked is not None:
        _confirm(view, cluster, asked)
        return
    st.markdown("**Name the pattern:** label all its beats")
    label_buttons(lambda label: _ask(view, cluster, label), key="alerts_label")
    st.caption("You are asked once more before anything is kept.")


def _ask(view: View, cluster: int, label: int | None) -> None:
    st.session_state[_ASKED] = None if label is None else (view.row.id, cluster, label)


def _asked(view: View, cluster: int) -> int | None:
    run, number, label = st.session_state.get(_ASKED) or (None, None, None)
    return label if (run, number) == (view.row.id, cluster) else None


def _confirm(view: View, cluster: int, label: int) -> None:
    rows = view.rows(cluster)
    free = open_rows(view.review.said, rows)
    settled = len(rows) - len(free)
    with st.container(border=True):
        st.markdown(
            f"Label **{many(len(free), 'beat')}** of cluster {cluster} as **{label_name(label)}**?"
            + (f" What readers said of {many(settled, 'other beat')} one by one stays." if settled else "")
        )
        yes, no = st.columns([0.62, 0.38])
        yes.button(f"Label as {label_name(label)}", key="alerts_yes", type="primary", shortcut=ACCEPT,
                   icon=":material/check:", on_click=attempt, args=(lambda: _label(view, cluster, label),),
                   disabled=not len(free), width="stretch")  # fmt: skip
        no.button("Cancel", key="alerts_no", shortcut=CANCEL, on_click=_ask, args=(view, cluster, None),
                  width="stretch")  # fmt: skip


def _label(view: View, cluster: int, label: int) -> str:
    review = view.review
    rows, effective = open_rows(review.said, view.rows(cluster)), review.effective
    field, value = ("noise", 1) if label == NOISE else ("label", label)
    session.keep(
        one_batch(
            session.decision(
                target_of(review.run, review.index, row),
                field,
                value,
                old=None if field == "noise" else label_name(int(effective.labels[row])),
                reason=f"cluster {cluster} of new patterns",
            )
            for row in rows.tolist()
        )
    )
    _ask(view, cluster, None)
    return f"Cluster {cluster}: {many(len(rows), 'beat')} labelled {label_name(label)}. Undo with {UNDO}."


def _acknowledge(view: View, cluster: int, seen: bool) -> str:
    old = "1" if cluster in view.seen else None
    session.keep([session.decision(alert_target(view.row.id, cluster), "acknowledged", 1 if seen else 0, old=old)])
    return f"Cluster {cluster} is marked as {'seen' if seen else 'not seen'}. Undo with {UNDO}."


def strips(view: View, cluster: int) -> None:
    """The strips that its beats lie on, as small pictures and as a list that leads to them."""
    review, rows = view.review, view.rows(cluster)
    found = strips_of(review.run, rows, review.said)
    st.markdown(f"**On {many(len(found), 'strip')}.** Click a row to read the strip.")
    key = f"alerts_strips_{view.row.id}_{cluster}"
    numbers = found["source_row"].tolist()

    def picked() -> None:
        cells = st.session_state[key].selection.cells
        if cells:
            open_strip(int(numbers[int(cells[0][0])]))

    st.dataframe(
        found.assign(patient_id=found["patient_id"].map(patient_name)),
        key=key,
        height=min(38 + 35 * len(found), 214),
        hide_index=True,
        on_select=picked,
        selection_mode="single-cell",
        alt=f"Strips that the beats of cluster {cluster} lie on",
        column_config={
            "source_row": st.column_config.NumberColumn("Strip", format="%d"),
            "patient_id": "Patient",
            "record_label_name": "Strip's label",
            "members": st.column_config.NumberColumn("Beats of this cluster"),
            "beats": st.column_config.NumberColumn("Beats of the strip"),
            "settled": st.column_config.NumberColumn("Settled"),
        },
    )
    mine = set(rows.tolist())
    frames = []
    for number in numbers[:THUMBNAILS]:
        frame = strip_frame(review.run, int(number))
        on_strip = np.flatnonzero(review.run.metadata["source_row"].to_numpy() == number)
        peaks = review.run.metadata["r_index"].to_numpy()
        marks = [(int(peaks[row]), "▼", series_colour(cluster)) for row in on_strip.tolist() if row in mine]
        frames.append(frame._replace(marks=marks))
    if frames:
        title = f"The first {len(frames)} strips; ▼ marks the beats of cluster {cluster}"
        picture(strips_svg(frames, title=title, width=470, height=56), key="alerts_thumbnails")
        st.caption(title + ".")


def members(view: View, cluster: int) -> None:
    """Its beats from the most typical to the least, to open or to make seeds of."""
    review, rows = view.review, view.rows(cluster)
    centroid = view.patterns.centroids[cluster]
    ordered = typical_first(review.run.beats, rows, centroid)
    spread = ordered[evenly(len(ordered), EXAMPLES)]
    seeds = dict(zip(review.effective.seeds["beat_global_id"], review.effective.seeds["label_name"], strict=True))
    ids = review.index.beat_ids[spread].tolist()
    row_of = dict(zip(ids, spread.tolist(), strict=True))
    st.markdown("**Its beats, from the most typical to the least.** Dashed: the median of the cluster.")
    pick, first, strip = st.columns([0.4, 0.32, 0.28], vertical_alignment="bottom")
    label = pick.selectbox(
        "Label of a new seed",
        CLASS_LABELS,
        index=CLASS_LABELS.index(_usual(view, rows)),
        format_func=label_name,
        key=f"alerts_seed_label_{view.row.id}_{cluster}",
        persist_state="session",
    )

    def act(beat: int, action: str) -> None:
        row = row_of[beat]
        if action == "seed":
            attempt(lambda: _seed(view, row, beat, label, seeds.get(beat)))
        else:
            open_strip(int(review.run.metadata["source_row"].iloc[row]), beat)

    free = [beat for beat in ids if beat not in seeds]
    first.button("Seed the next one", shortcut=SEED, icon=":material/potted_plant:", on_click=act, width="stretch",
                 args=(free[0] if free else ids[0], "seed"), disabled=not free, key="alerts_seed")  # fmt: skip
    strip.button("Open strip", shortcut=OPEN_STRIP, icon=":material/ecg:", on_click=act, args=(ids[0], ""),
                 width="stretch", key="alerts_open", help="The strip of the most typical beat")  # fmt: skip
    cards = [_card(view, row, beat, centroid, seeds.get(beat)) for beat, row in row_of.items()]
    card_grid([CardGroup(cards)], key="alerts_members", on_pick=act, card_width=150, label="Beats of the cluster")


def _usual(view: View, rows: np.ndarray) -> int:
    """What the model would call most of them: the first offer for a seed's label."""
    beats = view.review.beats
    values = beats.loc[beats["row"].isin(rows), "pred_label_raw"].dropna()
    usual = int(values.mode().iloc[0]) if len(values) else 0
    return usual if usual in CLASS_LABELS else 0


def _card(view: View, row: int, beat: int, centroid: np.ndarray, seed: str | None) -> Card:
    review = view.review
    table, label = review.run.metadata, int(review.effective.labels[row])
    settled = row in review.said
    return Card(
        id=beat,
        title=f"beat {beat}",
        letter=label_letter(label) if settled else "?",
        colour=label_colour(label if settled else UNKNOWN),
        svg=beat_svg(
            np.asarray(review.run.beats[row]),
            title=f"Beat {beat} over the median of its cluster",
            colour="currentColor",
            behind=centroid,
            centre_sample=round(review.run.config.pre_sec * review.run.fs),
        ),
        lines=(f"strip {table['source_row'].iloc[row]}, patient {patient_name(table['patient_id'].iloc[row])}",),
        note=label_name(label) if settled else "",
        actions=(
            CardAction("open", "Open strip"),
            CardAction("seed", f"Seed {seed}" if seed else "Make seed", bool(seed)),
        ),
    )


def _seed(view: View, row: int, beat: int, label: int, seed: str | None) -> str:
    target = target_of(view.review.run, view.review.index, row)
    session.keep([session.decision(target, "seed", None if seed else label, old=seed)])
    if seed:
        return f"Beat {beat} is no seed any more. Undo with {UNDO}."
    return f"Beat {beat} is a seed for {label_name(label)}. Undo with {UNDO}."
