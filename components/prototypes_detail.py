"""One prototype in full: its members overlaid, its label mix, its label as decided, and where its members come from."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import streamlit as st

from components.cards import Card, CardAction, CardGroup, card_grid
from components.keymap import NEXT_ITEM, PREVIOUS_ITEM, SEED, UNDO
from components.label_buttons import label_buttons
from components.outcome import attempt, go, undo
from components.prototypes_view import View, reasons
from ecg_engine.beat_svg import beat_svg
from ecg_engine.figures import label_colour, label_letter, members_overlay
from ecg_engine.labels import FILE_LABELS, UNLABELLED, label_id, label_name
from state import session
from state.anchors import members_payload
from state.deciding import Decision
from state.members import example_rows, member_origins, member_rows, mix_of
from state.seeding import target_of
from state.targets import BEAT, prototype_target

OPEN_STRIP = "g"
STRIPS_PAGE = "pages/strips.py"
ORDER = ("source_row", "patient_id", "members", "labels", "strip_label", "share", "source_file", "file_row")
"""Columns of the table of origins, the most telling first."""


def choose(prototype: int) -> None:
    """Choose a prototype."""
    session.choose(prototype=prototype)


def heading(view: View, prototype: int) -> None:
    """Title of the chosen one, and the way to the next and the one before."""
    title, before, after = st.columns([0.44, 0.28, 0.28], vertical_alignment="center")
    title.subheader(f"Prototype {prototype}", anchor=False)
    place = view.order.index(prototype) if prototype in view.order else -1
    earlier = view.order[(place - 1) if place >= 0 else -1] if view.order else prototype
    later = view.order[(place + 1) % len(view.order)] if view.order else prototype
    single = len(view.order) < 2 and prototype in view.order
    before.button("Previous", shortcut=PREVIOUS_ITEM, on_click=choose, args=(earlier,), width="stretch",
                  key="prototype_before", disabled=single)  # fmt: skip
    after.button("Next", shortcut=NEXT_ITEM, on_click=choose, args=(later,), width="stretch", key="prototype_after",
                 disabled=single)  # fmt: skip


def numbers(view: View, prototype: int) -> None:
    """Size, purity, noise and RR of the chosen one, and why it is suspicious."""
    values = view.values(prototype) or {}
    before, after = float(values["rr_prev_mean"]), float(values["rr_next_mean"])
    rows = member_rows(view.index, prototype, view.effective)
    patients = view.run.metadata["patient_id"].to_numpy()[rows]
    why = reasons(values["reasons"])
    st.markdown(
        (f":red-badge[:material/warning: {why}] " if why else "")
        + f"**{int(values['size']):,} beats** of {_patients(patients)}; "
        f"purity {float(values['purity']):.0%} (of all labels {float(values['purity_all']):.0%}); "
        f"noise {float(values['noise_ratio']):.0%}; mean RR before {before * 1000:.0f} ms, "
        f"after {after * 1000:.0f} ms."
    )


def _patients(patients: np.ndarray) -> str:
    known = {one for one in patients.tolist() if one != -1}
    if not known:
        return "unknown patients"
    return f"{len(known)} patient" + ("" if len(known) == 1 else "s")


@st.cache_data(show_spinner=False, max_entries=64)
def _overlay(run_id: str, folder: str, prototype: int, label: int) -> object:
    row = session.store().runs.get(run_id)
    run = session.load(row)
    figure = members_overlay(
        run.prototype_waves[prototype],
        np.asarray(run.beats[member_rows(session.index(row), prototype)]),
        run.fs,
        name=f"prototype {prototype}",
        colour=label_colour(label),
        pre_sec=run.config.pre_sec,
    )
    figure.update_layout(height=240)
    return figure


def overlay(view: View, prototype: int) -> None:
    """The members under their median."""
    label = int((view.values(prototype) or {})["dominant_label"])
    figure = _overlay(view.row.id, str(session.store().folder), prototype, label)
    st.plotly_chart(
        figure,
        key="prototype_overlay",
        theme=None,
        config={"displayModeBar": False},
        alt=str(figure.layout.meta["alt"]),  # type: ignore[attr-defined]
    )


def mix_bar(view: View, prototype: int) -> None:
    """All labels among the members as one bar, with the numbers beside it."""
    rows = member_rows(view.index, prototype, view.effective)
    mix = mix_of(view.effective, rows)
    unlabelled = len(rows) - sum(count for _, count in mix)
    parts: Sequence[tuple[int, int]] = [*mix, *([(UNLABELLED, unlabelled)] if unlabelled else [])]
    total = max(len(rows), 1)
    bar = "".join(
        f'<span style="flex:{count} 0 0;background:{label_colour(label)};min-width:3px"></span>'
        for label, count in parts
    )
    words = "".join(
        f'<span style="white-space:nowrap"><b style="color:{label_colour(label)};border:1.5px solid;'
        f'border-radius:.8em;padding:0 .4em;font-size:.75rem">{escape(label_letter(label))}</b> '
        f"{escape(label_name(label))} {count:,} ({_share(count / total)})</span>"
        for label, count in parts
    )
    spoken = ", ".join(f"{label_name(label)} {count}" for label, count in parts)
    st.html(
        f'<div role="img" aria-label="Label mix: {escape(spoken)}" style="display:flex;gap:2px;height:.7rem;'
        f'border-radius:.3rem;overflow:hidden">{bar}</div>'
        f'<div style="display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin-top:.4rem;font-size:.85rem">{words}</div>'
    )


def _share(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else "&lt;1%"


def labelling(view: View, prototype: int) -> None:
    """Label the whole prototype, take that back, and what came of it."""
    said = _decided(view, prototype)
    own = int(np.sum(view.effective.source[member_rows(view.index, prototype, view.effective)] == BEAT))
    title, back = st.columns([0.7, 0.3], vertical_alignment="center")
    title.markdown("**Label all its beats**")
    back.button("Undo", shortcut=UNDO, icon=":material/undo:", on_click=attempt, args=(undo,), key="prototype_undo",
                width="stretch")  # fmt: skip
    now = None if said is None or said.new is None else label_id(said.new)
    label_buttons(lambda label: attempt(lambda: _label(view, prototype, label)), key="prototype_label", now=now)
    notes = []
    if said is not None and said.new is not None:
        notes.append(f"Labelled {said.new} by {said.reader}, {said.at:%d %b %H:%M} UTC.")
    if own:
        notes.append(f"{own:,} of its beats were decided one by one and keep what was said of them.")
    st.caption(" ".join(notes) or "Nothing decided for the whole prototype: its beats have the labels of their strips.")


def _decided(view: View, prototype: int) -> Decision | None:
    target = prototype_target(view.row.id, prototype)
    mine = [made for made in session.active_decisions() if made.target == target and made.field == "label"]
    return mine[-1] if mine else None


def _label(view: View, prototype: int, label: int) -> str:
    values = view.values(prototype) or {}
    said = _decided(view, prototype)
    if said is not None and said.new == label_name(label):
        return f"Prototype {prototype} is labelled {label_name(label)} already."
    made = session.decision(
        prototype_target(view.row.id, prototype),
        "label",
        label,
        old=said.new if said is not None else str(values["dominant_label_name"]),
        payload=members_payload(view.index, prototype),
    )
    session.keep([made])
    return f"Prototype {prototype}: {int(values['size']):,} beats labelled {label_name(label)}. Undo with {UNDO}."


def origins(view: View, prototype: int) -> None:
    """Strips and patients of the members; a click opens the strip."""
    table = member_origins(view.run, view.index, view.effective, prototype)
    patients = view.run.metadata["patient_id"].to_numpy()[member_rows(view.index, prototype, view.effective)]
    st.markdown(f"**From {len(table):,} strips of {_patients(patients)}.** Click a row to read the strip.")
    rows = table["source_row"].to_numpy()
    shown = table.assign(share=table["share"] * 100, patient_id=table["patient_id"].map(_patient))
    if "file_row" in shown:
        shown["file_row"] = shown["file_row"] + 2  # as a spreadsheet counts: from 1, after the header
    if shown.get("source_file") is not None and shown["source_file"].nunique() == 1:
        shown = shown.drop(columns="source_file")
    key = f"origins_{view.row.id}_{prototype}"

    def picked() -> None:
        cells = st.session_state[key].selection.cells
        if cells:
            session.choose(strip=int(rows[cells[0][0]]), beat=None)
            go(STRIPS_PAGE)

    st.dataframe(
        shown,
        key=key,
        height=520,
        column_order=ORDER,
        hide_index=True,
        on_select=picked,
        selection_mode="single-cell",
        alt=f"Strips that the members of prototype {prototype} come from",
        column_config={
            "source_row": st.column_config.NumberColumn("Strip", format="%d", width="small"),
            "source_file": "File",
            "file_row": st.column_config.NumberColumn("Row in file", format="%d", width="small"),
            "patient_id": st.column_config.TextColumn("Patient", width="small"),
            "strip_label": "Strip's label",
            "members": st.column_config.NumberColumn("Beats", width="small"),
            "share": st.column_config.NumberColumn("Share of strip", format="%.0f %%", width="small"),
            "labels": "Their labels now",
        },
    )


def _patient(patient: object) -> str:
    return "unknown" if patient == -1 else str(patient)


def examples(view: View, prototype: int) -> None:
    """Members from the most typical to the least, to open or to make seeds of."""
    wave = view.run.prototype_waves[prototype]
    rows = _examples(view.row.id, str(session.store().folder), prototype)
    there = rows[~view.effective.deleted[rows]]
    rows = there if len(there) else rows
    seeds = dict(zip(view.effective.seeds["beat_global_id"], view.effective.seeds["label_name"], strict=True))
    table = view.run.metadata
    ids = table["beat_global_id"].to_numpy()[rows].tolist()
    st.markdown("**Its members, from the most typical to the least.** Dashed: the prototype.")
    dominant = int((view.values(prototype) or {})["dominant_label"])
    pick, first, strip = st.columns([0.42, 0.32, 0.26], vertical_alignment="bottom")
    options = list(FILE_LABELS)
    label = pick.selectbox(
        "Label of a new seed",
        options,
        index=options.index(dominant) if dominant in options else options.index(0),
        format_func=label_name,
        key=f"seed_label_{view.row.id}_{prototype}",
    )
    row_of = dict(zip(ids, rows.tolist(), strict=True))

    def act(beat: int, action: str) -> None:
        if action == "seed":
            attempt(lambda: _seed(view, row_of[beat], beat, label, seeds.get(beat)))
        else:
            session.choose(strip=int(table["source_row"].iloc[row_of[beat]]), beat=beat)
            go(STRIPS_PAGE)

    free = [beat for beat in ids if beat not in seeds]
    first.button("Seed next", shortcut=SEED, icon=":material/potted_plant:", on_click=act, width="stretch",
                 args=(free[0] if free else ids[0], "seed"), disabled=not free, key="seed_first")  # fmt: skip
    strip.button("Strip", shortcut=OPEN_STRIP, icon=":material/ecg:", on_click=act, args=(ids[0], ""),
                 width="stretch", key="open_first", help="The strip of the most typical beat")  # fmt: skip
    cards = []
    for beat, row in row_of.items():
        held = int(view.effective.labels[row])
        cards.append(
            Card(
                id=beat,
                title=f"beat {beat}",
                letter=label_letter(held),
                colour=label_colour(held),
                svg=beat_svg(
                    np.asarray(view.run.beats[row]),
                    title=f"Beat {beat}, {label_name(held)}, over its prototype",
                    colour=label_colour(held),
                    behind=wave,
                    centre_sample=round(view.run.config.pre_sec * view.run.fs),
                ),
                lines=(f"strip {table['source_row'].iloc[row]}, patient {_patient(table['patient_id'].iloc[row])}",),
                actions=(
                    CardAction("open", "Open strip"),
                    CardAction("seed", f"Seed {seeds[beat]}" if beat in seeds else "Make seed", beat in seeds),
                ),
            )
        )
    card_grid([CardGroup(cards)], key="prototype_examples", on_pick=act, card_width=150, label="Members")


@st.cache_data(show_spinner=False, max_entries=64)
def _examples(run_id: str, folder: str, prototype: int) -> np.ndarray:
    row = session.store().runs.get(run_id)
    run = session.load(row)
    return example_rows(session.index(row), run.prototype_waves[prototype], np.asarray(run.beats), prototype)


def _seed(view: View, row: int, beat: int, label: int, seed: str | None) -> str:
    target = target_of(view.run, view.index, row)
    session.keep([session.decision(target, "seed", None if seed else label, old=seed)])
    if seed:
        return f"Beat {beat} is no seed any more. Undo with {UNDO}."
    return f"Beat {beat} is a seed for {label_name(label)}. Undo with {UNDO}."
