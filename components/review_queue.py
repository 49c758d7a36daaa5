"""The queue of beats under review: one at a time, a key for each answer, and the place kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from components import review_item as item
from components.keymap import (
    ACCEPT,
    ACCEPT_STRIP,
    LABEL_KEYS,
    NEXT_ITEM,
    OPEN_STRIP,
    PREVIOUS_ITEM,
    UNDO,
    VALID,
)
from components.outcome import attempt, begin_page
from components.review_view import View, open_strip, patient_name, queue_of, settled
from ecg_engine.labels import NOISE, label_name
from ecg_engine.queue import ORDERS, REASON_TITLES
from state import session
from state.batches import one_batch
from state.deciding import Decision
from state.reviewing import accept_field, verdict_label
from state.seeding import target_of
from state.targets import BEAT, parse_target

_AT, _LAST = "review_at", "review_last"

KEYS = (
    (ACCEPT, "Accept the suggestion"),
    (ACCEPT_STRIP, "Accept it for all beats under review on this strip that have the same suggestion"),
    *((key, label_name(label)) for label, key in LABEL_KEYS.items()),
    (VALID, "It is a beat, not noise"),
    (NEXT_ITEM, "Skip to the next open beat"),
    (PREVIOUS_ITEM, "Back to the beat before"),
    (UNDO, "Undo your last step"),
    (OPEN_STRIP, "Open the strip"),
)


@st.fragment
def review_queue(view: View) -> None:
    """Draw the queue; only this part is drawn again after an answer."""
    begin_page()
    left, right = st.columns([0.26, 0.74], vertical_alignment="center")
    with left:
        items = _settings(view)
    if not len(items):
        st.info("No beat under review matches this filter.", icon=":material/filter_alt_off:")
        return
    done = settled(view, items["row"].to_numpy())
    place = _place(view, items, done)
    with right:
        _progress(items, done, place)
    beat = {str(name): value for name, value in items.iloc[place].to_dict().items()}
    _remember(view, beat)
    answers = _Answers(view, items, done, place)
    answers.first_row()
    item.strip(view, beat)
    thinks, shape, labels = st.columns([0.36, 0.18, 0.46], gap="medium")
    with thinks:
        item.suggestion(view, beat)
    with shape:
        item.shape(view, beat)
    with labels:
        st.markdown(f"Now: {item.holds_now(view, view.effective, int(beat['row']))}")
        answers.labels()
        st.caption(st.session_state.get(_LAST) or "Each answer is kept at once, and can be undone.")


def _settings(view: View) -> pd.DataFrame:
    """Order and filters, folded away; returns the beats that are left, in order."""
    under = view.beats[view.beats["review_flag"] == 1]
    counts = view.summary.get("review_reasons", {})
    labels = sorted(int(label) for label in under["pred_label_raw"].dropna().unique())
    state = st.session_state
    filtered = any(state.get(f"review_{name}") for name in ("reasons", "suggestions", "patients"))
    title = ORDERS[state.get("review_order") or "uncertain"].title + (", filtered" if filtered else "")
    with st.popover(title, icon=":material/sort:", width="stretch", key="review_settings"):
        order = st.radio(
            "Order",
            list(ORDERS),
            format_func=lambda name: ORDERS[name].title,
            captions=[order.help for order in ORDERS.values()],
            key="review_order",
            persist_state="session",
        )
        reasons = st.pills(
            "Only for these reasons",
            list(REASON_TITLES),
            selection_mode="multi",
            format_func=lambda name: f"{REASON_TITLES[name]} ({counts.get(name, 0):,})",
            key="review_reasons",
            persist_state="session",
            wrap=True,
        )
        suggestions = st.multiselect(
            "Only these suggestions",
            labels,
            format_func=label_name,
            key="review_suggestions",
            persist_state="session",
            placeholder="Any",
        )
        patients = st.multiselect(
            "Only these patients",
            list(dict.fromkeys(under["patient_id"].astype(str))),
            format_func=patient_name,
            key="review_patients",
            persist_state="session",
            placeholder="All",
        )
    return queue_of(view, order or "uncertain", reasons, suggestions, patients)


def _place(view: View, items: pd.DataFrame, done: np.ndarray) -> int:
    """Where the reader is: at the beat remembered, else at the first one that is open."""
    ids = items["beat_global_id"].to_numpy()
    known = st.session_state.setdefault(_AT, {}).get(view.row.id)
    wanted = session.chosen_number("item") if known is None else known
    found = np.flatnonzero(ids == wanted) if wanted is not None else np.array([], dtype=int)
    if len(found):
        return int(found[0])
    still = np.flatnonzero(~done)
    return int(still[0]) if len(still) else 0


def _remember(view: View, beat: dict[str, Any]) -> None:
    number, strip = int(beat["beat_global_id"]), int(beat["source_row"])
    st.session_state.setdefault(_AT, {})[view.row.id] = number
    if session.chosen_number("item") != number or session.chosen_number("beat") != number:
        session.choose(strip=strip, beat=number, item=number)


def _progress(items: pd.DataFrame, done: np.ndarray, place: int) -> None:
    count, total = int(done.sum()), len(items)
    text = f"**{count:,} of {total:,} settled**, {total - count:,} left; this is number {place + 1:,}"
    st.progress(count / total, text=text)
    if count == total:
        st.success("Every beat of this queue is settled. The model can learn from your answers.",
                   icon=":material/task_alt:")  # fmt: skip
        if st.button("Go to Training", icon=":material/model_training:", key="review_to_training"):
            st.switch_page("pages/training.py")


class _Answers:
    """The buttons for one beat. Each acts before the queue is drawn again."""

    def __init__(self, view: View, items: pd.DataFrame, done: np.ndarray, place: int) -> None:
        self.view, self.items, self.done, self.place = view, items, done, place
        self.beat = items.iloc[place]
        self.label = int(self.beat["pred_label_raw"])
        made = view.said.get(int(self.beat["row"]))
        self.now = verdict_label(made) if made is not None else ""

    def first_row(self) -> None:
        """Accept, and move about."""
        view, items, done, place = self.view, self.items, self.done, self.place
        alike = _alike(items, done, place)
        strip, number = int(self.beat["source_row"]), int(self.beat["beat_global_id"])
        with st.container(horizontal=True, gap="xsmall"):
            self._button(f"Accept {label_name(self.label)}", "accept", lambda: _accept(view, items, done, place),
                         shortcut=ACCEPT, type="primary", icon=":material/check:")  # fmt: skip
            self._button(f"All {len(alike)} alike on this strip", "accept_strip",
                         lambda: _accept_strip(view, items, done, place, alike), shortcut=ACCEPT_STRIP,
                         icon=":material/done_all:", disabled=len(alike) < 2)  # fmt: skip
            self._button("Back", "back", lambda: _go(view, items, max(place - 1, 0)), shortcut=PREVIOUS_ITEM,
                         icon=":material/arrow_back:", disabled=place == 0)  # fmt: skip
            self._button("Skip", "skip", lambda: _go(view, items, _next(done, place)), shortcut=NEXT_ITEM,
                         icon=":material/arrow_forward:")  # fmt: skip
            self._button("Undo", "undo", lambda: _undo(view, items), shortcut=UNDO, icon=":material/undo:")
            self._button("Open strip", "open", lambda: open_strip(strip, number), shortcut=OPEN_STRIP,
                         icon=":material/ecg:")  # fmt: skip

    def labels(self) -> None:
        """One button for each label, and for a beat that is no noise."""
        with st.container(horizontal=True, gap="xsmall"):
            for label, shortcut in LABEL_KEYS.items():
                field, value = ("noise", 1) if label == NOISE else ("label", label)
                self._label(label_name(label), f"label_{label}", shortcut, field, value)
            self._label("No noise", "valid", VALID, "noise", 0, help="It is a beat; its class stays as it is now.")

    def _label(self, text: str, key: str, shortcut: str, field: str, value: int, **more: Any) -> None:
        kind = "primary" if self.now == text else "secondary"
        self._button(text, key, self._settle(field, value, text), shortcut=shortcut, type=kind, **more)

    def _settle(self, field: str, value: int, words: str) -> Callable[[], None]:
        return lambda: _settle(self.view, self.items, self.done, self.place, field, value, words)

    @staticmethod
    def _button(text: str, key: str, action: Callable[[], None], **more: Any) -> None:
        st.button(text, key=f"review_{key}", on_click=attempt, args=(action,), **more)


def _alike(items: pd.DataFrame, done: np.ndarray, place: int) -> np.ndarray:
    """Places of the open beats on the same strip with the same suggestion, and of this one, open or not."""
    same = np.ones(len(items), dtype=bool)
    for name in ("source_row", "pred_label_raw"):
        values = items[name].to_numpy()
        same &= values == values[place]
    same &= ~done
    same[place] = True
    return np.flatnonzero(same)


def _next(done: np.ndarray, place: int) -> int:
    """The next open place after this one, from the start again if need be; the next one if all are settled."""
    still = np.flatnonzero(~done)
    still = still[still != place]
    if not len(still):
        return (place + 1) % len(done) if done[place] else place
    later = still[still > place]
    return int(later[0] if len(later) else still[0])


def _go(view: View, items: pd.DataFrame, place: int) -> None:
    st.session_state.setdefault(_AT, {})[view.row.id] = int(items["beat_global_id"].iloc[place])


def _decision(view: View, items: pd.DataFrame, place: int, field: str, value: int) -> Decision:
    row = int(items["row"].iloc[place])
    old = label_name(int(view.effective.labels[row]))
    why = f"review of {view.model_name}"
    return session.decision(
        target_of(view.run, view.index, row), field, value, old=None if field == "noise" else old, reason=why
    )


def _accepted(view: View, items: pd.DataFrame, place: int) -> Decision:
    field = accept_field(str(view.effective.source[int(items["row"].iloc[place])]))
    return _decision(view, items, place, field, int(items["pred_label_raw"].iloc[place]))


def _settle(view: View, items: pd.DataFrame, done: np.ndarray, place: int, field: str, value: int, words: str) -> None:
    session.keep([_decision(view, items, place, field, value)])
    _after(view, items, done, np.array([place]), place, f"{_short(items, place)}: {words}")


def _accept(view: View, items: pd.DataFrame, done: np.ndarray, place: int) -> None:
    session.keep([_accepted(view, items, place)])
    words = f"{_short(items, place)}: {label_name(int(items['pred_label_raw'].iloc[place]))}, as suggested"
    _after(view, items, done, np.array([place]), place, words)


def _accept_strip(view: View, items: pd.DataFrame, done: np.ndarray, place: int, alike: np.ndarray) -> None:
    session.keep(one_batch(_accepted(view, items, int(number)) for number in alike))
    label = label_name(int(items["pred_label_raw"].iloc[place]))
    strip = int(items["source_row"].iloc[place])
    _after(view, items, done, alike, place, f"{len(alike)} beats of strip {strip}: {label}, as suggested")


def _after(view: View, items: pd.DataFrame, done: np.ndarray, now_done: np.ndarray, place: int, words: str) -> None:
    done = done.copy()
    done[now_done] = True
    st.session_state[_LAST] = f"Kept. {words}. Undo with {UNDO}."
    _go(view, items, _next(done, place))


def _short(items: pd.DataFrame, place: int) -> str:
    return f"Beat {int(items['beat_index_in_record'].iloc[place]) + 1} of strip {int(items['source_row'].iloc[place])}"


def _undo(view: View, items: pd.DataFrame) -> None:
    """Undo the reader's last step and go back to that beat, if the queue has it."""
    undone = session.undo_last()
    if undone is None:
        st.session_state[_LAST] = "There is nothing of yours to undo."
        return
    many = " and all that was decided with it" if undone.payload.get("batch") else ""
    st.session_state[_LAST] = f"Undone: {verdict_label(undone)}{many}."
    target = parse_target(undone.target)
    if target.kind != BEAT:
        return
    row = int(view.index.match(view.index.places([target.name]), np.array([target.number]))[0])
    found = np.flatnonzero(items["row"].to_numpy() == row)
    if row >= 0 and len(found):
        _go(view, items, int(found[0]))
