"""The review queue: order and filters above, and below them the component that is answered by keys in the browser.

Answers go from the component to the store beside the page (docs/reading.md). Python hears of them when the reader's
hand rests, and draws counts anew.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from components.keymap import action_keys, label_keys
from components.outcome import go
from components.reading import channel_data, look_data
from components.review_items import Desk, counts_of, item_of, patients_of, steps_of
from components.review_view import open_strip, patient_name
from components.scripts import script, style
from ecg_engine.figures.paper import Paper
from ecg_engine.labels import FILE_LABELS, UNLABELLED, label_name
from ecg_engine.queue import ORDERS, REASON_TITLES
from state import session
from state.queue_candidates import MODEL_REASONS

KEY = "review_queue"
TRAINING_PAGE = "pages/training.py"
MARKS_MM, LEAST_MM, TALLEST_MM = 20.0, 45.0, 65.0
"""Millimetres of paper that marks and numbers take beside the trace, and of the lowest and the tallest paper."""
NOTHING = "No beat or strip is in doubt."
BY_GAIN, BY_DOUBT = "gain", "uncertain"
NOTHING_WITHOUT_MODEL = (
    "No strip disagrees with its beats, no noise looks like an ectopic beat, and nobody was unsure of anything. "
    "Let a model read the strips: what it is not sure of waits here."
)
_WORDS = {
    "accept": "Accept the suggestion",
    "accept_strip": "Accept it for all open beats of this strip that have the same suggestion; "
    "at a group, show another of its beats",
    "valid": "It is a beat, not noise",
    "unsure": "Unsure: leave it for a second reader",
    "next": "Skip to the next open item",
    "previous": "Back to the item before",
    "undo": "Undo your last step",
    "seed": "Add the beat to the seeds, or take it out",
    "note": "Write a note",
    "open_strip": "Open the strip",
}


def queue_keys() -> tuple[tuple[str, str], ...]:
    """The keys of the queue, for the page's list."""
    keys = action_keys()
    first, rest = ("accept", "accept_strip"), [name for name in _WORDS if name not in ("accept", "accept_strip")]
    labels = ((key, label_name(label)) for label, key in label_keys().items())
    return (*((keys[name], _WORDS[name]) for name in first), *labels, *((keys[name], _WORDS[name]) for name in rest))


def _component() -> Any:
    html = '<div class="queue"></div>'
    return st.components.v2.component(
        "ecg_review.review_queue", html=html, css=style("review_queue"), js=script("review_queue")
    )


def review_queue(desk: Desk) -> None:
    """Draw the queue."""
    asked = {"run": desk.source.id, "prediction": desk.row.id if desk.row else None, **chosen_filters(desk)}
    counts = counts_of(desk, asked["reasons"], asked["labels"], asked["patients"])
    config = desk.config
    data = {
        "channel": channel_data(),
        "look": look_data(),
        "queue": asked,
        "filtered": bool(asked["reasons"] or asked["labels"] or asked["patients"]),
        "counts": {"total": counts.total, "left": counts.left, "version": counts.version},
        "item": item_of(desk, session.chosen("item")),
        "steps": steps_of(session.active_decisions(), session.reader()),
        "model": desk.model_name,
        "reason": f"review of {desk.model_name}" if desk.model_name else "review",
        "nothing": NOTHING if desk.row else NOTHING_WITHOUT_MODEL,
        "limits": {
            "confidence": config.min_class_conf,
            "noise": config.max_noise_prob,
            "similarity": None if desk.has_groups else config.min_proto_sim,  # their models compare no prototypes
        }
        if desk.row
        else None,
        "paper": {
            "height": _height(desk),
            "assumed": session.the_study().units_assumed,
            "filter": [desk.run.config.low_hz, desk.run.config.high_hz],
            "filtered": False,
            "window": [desk.run.config.pre_sec, desk.run.config.post_sec],
        },
    }
    _component()(
        key=KEY,
        data=data,
        on_rest_change=_rested,
        on_open_change=_opened,
        on_train_change=lambda: go(TRAINING_PAGE),
        on_stale_change=_stale,
    )


def order_and_filters(desk: Desk) -> None:
    """Order and filters, folded away."""
    state, key = st.session_state, _order_key(desk)
    orders = [name for name in ORDERS if desk.has_groups or name != BY_GAIN]
    filtered = any(state.get(f"review_{name}") for name in ("reasons", "suggestions", "patients"))
    title = ORDERS[_order(desk)].title + (", filtered" if filtered else "")
    with st.popover(title, icon=":material/sort:", key="review_settings"):
        st.radio(
            "Order",
            orders,
            index=orders.index(_default(desk)),
            format_func=lambda name: ORDERS[name].title,
            captions=[ORDERS[name].help for name in orders],
            key=key,
            persist_state="session",
        )
        reasons = [name for name in REASON_TITLES if _may_come_up(name, desk)]
        st.pills(
            "Only for these reasons",
            reasons,
            selection_mode="multi",
            format_func=lambda name: REASON_TITLES[name],
            key="review_reasons",
            persist_state="session",
            wrap=True,
        )
        found = counts_of(desk, [], [], [])
        # Beside the choices, not in them: a choice whose words change with each answer would lose what is chosen.
        waits = [f"{REASON_TITLES[name].lower()} {count:,}" for name, count in found.reasons.items() if count]
        st.caption(f"Open now: {', '.join(waits) or 'nothing'}.")
        st.multiselect(
            "Only these labels",
            [*FILE_LABELS, UNLABELLED],
            format_func=label_name,
            key="review_suggestions",
            persist_state="session",
            placeholder="Any",
            help="The suggestion; where there is none, the label that holds.",
        )
        st.multiselect(
            "Only these patients",
            patients_of(desk),
            format_func=patient_name,
            key="review_patients",
            persist_state="session",
            placeholder="All",
        )


def _may_come_up(reason: str, desk: Desk) -> bool:
    """Whether items of this run and prediction can have a reason: others are not offered."""
    if not desk.row and reason in (*MODEL_REASONS, "unknown"):
        return False
    return desk.has_groups if reason in ("group", "pattern") else reason != "similarity" or not desk.has_groups


def chosen_filters(desk: Desk) -> dict[str, Any]:
    """Order and filters as the channel's ``items`` takes them."""
    state = st.session_state
    return {
        "order": _order(desk),
        "reasons": sorted(state.get("review_reasons") or []),
        "labels": sorted(int(label) for label in state.get("review_suggestions") or []),
        "patients": sorted(str(patient) for patient in state.get("review_patients") or []),
    }


def _order_key(desk: Desk) -> str:
    """Runs with groups remember an order of their own: what is best first differs."""
    return "review_order_of_groups" if desk.has_groups else "review_order"


def _default(desk: Desk) -> str:
    """Where one key can label hundreds of beats, those keys come first; else what the model learns most from."""
    return BY_GAIN if desk.has_groups else BY_DOUBT


def _order(desk: Desk) -> str:
    order = str(st.session_state.get(_order_key(desk)))
    return order if order in ORDERS else _default(desk)


def _height(desk: Desk) -> float:
    """Millimetres of paper that nine strips of ten need: one height for all, so that no button moves under the hand."""
    return _tall(desk.source.id, str(session.store().folder), session.the_study().units_per_mv, desk)


@st.cache_resource(show_spinner=False, max_entries=4)
def _tall(source_id: str, data: str, units_per_mv: float, _desk: Desk) -> float:
    strips = _desk.run.strips
    assert strips is not None
    starts = strips.offsets[:-1]
    spans = np.maximum.reduceat(strips.samples, starts) - np.minimum.reduceat(strips.samples, starts)
    wanted = float(np.nanpercentile(spans, 90)) / units_per_mv * Paper().gain + MARKS_MM
    return float(np.clip(5 * np.ceil(wanted / 5), LEAST_MM, TALLEST_MM))


def _sent(name: str) -> dict[str, Any]:
    value = st.session_state[KEY].get(name)
    return dict(value) if isinstance(value, dict) else {}


def _rested() -> None:
    """The reader's hand rests: note where she is; drawing the page again brings the counts up to date."""
    at = _sent("rest")
    if at.get("item"):
        session.choose(item=at["item"], strip=at.get("strip"), beat=at.get("beat"))


def _opened() -> None:
    at = _sent("open")
    if at.get("strip") is not None:
        session.choose(item=at.get("item"))
        open_strip(int(at["strip"]), at.get("beat"))


def _stale() -> None:
    """The pass of the channel is too old: drawing the page makes a new one."""
