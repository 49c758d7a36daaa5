"""What a reader decides on the Strips page: labels, noise, seeds, and taking it back."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from components.keymap import (
    LABEL_KEYS,
    NEXT_BEAT,
    NEXT_STRIP,
    PREVIOUS_BEAT,
    PREVIOUS_STRIP,
    SEED,
    UNDO,
    VALID,
)
from components.label_buttons import LABEL_KEYS_SHOWN, label_buttons
from components.outcome import attempt
from components.strip_view import View, go_to_beat, go_to_strip, neighbour, view_now
from components.typed_keys import typed_keys
from ecg_engine.labels import NOISE, UNLABELLED, label_name
from state import session
from state.deciding import Decision
from state.runs import RunRow
from state.seeding import target_of
from state.targets import BEAT
from state.telling import beat_of, told_decision, told_target

BEAT_SCOPE, STRIP_SCOPE = "Beat", "Whole strip"
_SCOPE, _MOVE_ON = "strips_scope", "strips_move_on"

KEYS = (
    (PREVIOUS_BEAT, "Previous beat"),
    (NEXT_BEAT, "Next beat"),
    (PREVIOUS_STRIP, "Previous strip of the list"),
    (NEXT_STRIP, "Next strip of the list"),
    *LABEL_KEYS_SHOWN,
    (VALID, "It is a beat, not noise"),
    (SEED, "Add the beat to the seeds, or take it out"),
    (UNDO, "Undo your last step"),
)


def press(row: RunRow, key: str) -> None:
    """Do what a key of the page means, on the beat or strip that is in hand at this moment.

    Not on the one that was on the screen when the button was drawn: who types quickly is a few beats ahead of it.
    """
    attempt(lambda: _do(view_now(row), key))


def keys(row: RunRow) -> None:
    """Listen to the page's keys, so that none is lost however quickly they are typed."""
    typed_keys(
        [PREVIOUS_BEAT, NEXT_BEAT, PREVIOUS_STRIP, NEXT_STRIP, *LABEL_KEYS.values(), VALID, SEED, UNDO],
        lambda key: press(row, key),
        key="strips_keys",
        held=(PREVIOUS_BEAT, NEXT_BEAT, PREVIOUS_STRIP, NEXT_STRIP),
    )


def _do(view: View, key: str) -> str | None:
    if key in _MOVES:
        _MOVES[key](view)
        return None
    if key == UNDO:
        return _undo(view)
    of_beat = _scope() == BEAT_SCOPE
    label = _LABEL_OF.get(key)
    if label is not None and not of_beat:
        return _label_strip(view, label)
    if view.beat < 0:
        return "No beat was found on this strip. It can be labelled as a whole."
    if label is not None:
        return _label(view, label)
    if key == SEED:
        return _seed(view, seed_of(view))
    return _noise(view, 0) if of_beat else None


def _scope() -> str:
    return st.session_state.get(_SCOPE) or BEAT_SCOPE


def moves(view: View) -> None:
    """Buttons to the strips and beats beside the ones in hand."""
    back, forth = neighbour(view.strip, -1), neighbour(view.strip, 1)
    at, last = view.at, len(view.beats) - 1
    for text, name, shortcut, icon, off, help in (
        ("Strip", "previous", PREVIOUS_STRIP, "arrow_back", back is None, "Previous strip of the list"),
        ("Strip", "next", NEXT_STRIP, "arrow_forward", forth is None, "Next strip of the list"),
        ("Beat", "beat_before", PREVIOUS_BEAT, "chevron_left", at <= 0, "Previous beat"),
        ("Beat", "beat_after", NEXT_BEAT, "chevron_right", at >= last, "Next beat"),
    ):
        _button(view, text, name, shortcut, icon, off=off, help=help)


def actions(view: View) -> None:
    """What can be said of the beat or the strip: a row of choices, and a button for each label."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.segmented_control(
            "What is labelled",
            [BEAT_SCOPE, STRIP_SCOPE],
            default=BEAT_SCOPE,
            required=True,
            key=_SCOPE,
            persist_state="session",
            label_visibility="collapsed",
        )
        of_beat = _scope() == BEAT_SCOPE
        no_beat = view.beat < 0
        _button(view, "No noise", "valid", VALID, "check_circle", off=no_beat or not of_beat,
                help="It is a beat; its class stays as it is")  # fmt: skip
        seed = None if no_beat else seed_of(view)
        _button(view, "Take out of seeds" if seed else "Add to seeds", "seed", SEED, "potted_plant", off=no_beat)
        _button(view, "Undo", "undo", UNDO, "undo", help="Undo your last step")
        st.toggle(
            "Move on after labelling",
            value=True,
            key=_MOVE_ON,
            persist_state="session",
            help="To the next beat, or to the next strip when whole strips are labelled",
        )
    row = view.row
    label_buttons(
        lambda label: press(row, LABEL_KEYS[label]),
        key="strips_label",
        now=_now(view) if of_beat else view.label,
        disabled=of_beat and no_beat,
    )


def _button(
    view: View, text: str, name: str, shortcut: str, icon: str, *, off: bool = False, help: str | None = None
) -> None:
    st.button(
        text,
        key=f"strips_{name}",
        on_click=press,
        args=(view.row, shortcut),
        shortcut=shortcut,
        icon=f":material/{icon}:",
        disabled=off,
        help=help,
    )


def _now(view: View) -> int | None:
    if view.beat < 0:
        return None
    return NOISE if view.effective.noisy[view.beat] else int(view.effective.labels[view.beat])


def seed_of(view: View) -> str | None:
    """Label under which the beat in hand is a seed, or None."""
    seeds = view.effective.seeds
    found = seeds.loc[seeds["beat_global_id"] == view.index.beat_ids[view.beat], "label_name"]
    return str(found.iloc[0]) if len(found) else None


def _label(view: View, label: int) -> str:
    if label == NOISE:
        return _noise(view, 1)
    row, name = view.beat, label_name(label)
    said = f"Beat {view.number}: {name}"
    if view.effective.source[row] == BEAT and _now(view) == label:
        _move_on(view)
        return f"{said}, as before"
    _keep(view, target_of(view.run, view.index, row), "label", label, old=label_name(int(view.effective.labels[row])))
    _move_on(view)
    return said


def _label_strip(view: View, label: int) -> str:
    following = neighbour(view.strip, 1)
    said = f"Strip {view.strip}: {label_name(label)}"
    if view.rows.table["decided"].iloc[view.place] and view.label == label:
        said += ", as before"
    else:
        _keep(view, view.target, "label", label, old=label_name(view.label))
    if st.session_state.get(_MOVE_ON, True):
        go_to_strip(following)
    return said


def _noise(view: View, noise: int) -> str:
    row = view.beat
    said = f"Beat {view.number}: {'noise' if noise else 'no noise'}"
    was = int(view.effective.noisy[row])
    if view.effective.source[row] == BEAT and was == noise:
        said += ", as before"
    else:
        _keep(view, target_of(view.run, view.index, row), "noise", noise, old=was)
    _move_on(view)
    return said


def _seed(view: View, seed: str | None) -> str:
    label = int(view.effective.labels[view.beat])
    if seed is None and label == UNLABELLED:
        return "Label the beat first: a seed stands for a label."
    new = None if seed else label_name(label)
    _keep(view, target_of(view.run, view.index, view.beat), "seed", new, old=seed)
    return f"Beat {view.number} is no seed any more" if seed else f"Beat {view.number} is a seed for {new}"


def _keep(view: View, target: str, field: str, new: str | int | None, *, old: object) -> None:
    session.keep([session.decision(target, field, new, old=old)])


def _move_on(view: View) -> None:
    if st.session_state.get(_MOVE_ON, True):
        go_to_beat(view, view.at + 1)


def _undo(view: View) -> str:
    undone = session.undo_last()
    if undone is None:
        return "There is nothing of yours to undo."
    many = ", and all that was decided with it" if undone.payload.get("batch") else ""
    show(view, undone)
    return f"Undone: {told_decision(undone, view.run.strips, view.index)}{many}"


def show(view: View, decision: Decision) -> None:
    """Go to the strip and beat that a decision is about, if the run has them."""
    place = told_target(decision.target, view.run.strips, view.index).place
    if place is None:
        return
    strip, row = int(view.rows.table["strip"].iloc[place]), beat_of(decision.target, view.index)
    if row is not None:
        session.choose(strip=strip, beat=int(view.index.beat_ids[row]))
    elif strip != view.strip:
        go_to_strip(strip)


_LABEL_OF = {key: label for label, key in LABEL_KEYS.items()}
_MOVES: Mapping[str, Callable[[View], None]] = {
    PREVIOUS_BEAT: lambda view: go_to_beat(view, view.at - 1),
    NEXT_BEAT: lambda view: go_to_beat(view, view.at + 1),
    PREVIOUS_STRIP: lambda view: go_to_strip(neighbour(view.strip, -1)),
    NEXT_STRIP: lambda view: go_to_strip(neighbour(view.strip, 1)),
}
