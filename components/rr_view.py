"""RR intervals of a strip, a patient or the list's strips: scatter, histogram, and the beats chosen in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from components.keymap import action_keys
from components.outcome import attempt, undo
from components.pickers import rows_taken
from components.strip_view import View
from components.strips_views import read
from components.words import many
from ecg_engine.figures.rr import rr_figure, rr_histogram
from ecg_engine.labels import FILE_LABELS, label_name
from ecg_engine.rr import PREMATURE, inside, spread
from state import session
from state.batches import one_batch
from state.rr_beats import label_beats, rr_beats, strips_of_patient
from state.runs import RunRow

STRIP, PATIENT, LIST = "This strip", "This patient", "The strips of the list"
SCOPES = (STRIP, PATIENT, LIST)
_SCOPE, _NOISE, _CHOSEN, _TABLE, _LISTED, _CLEARED = (
    "rr_scope",
    "rr_noise",
    "rr_chosen",
    "rr_table",
    "rr_listed",
    "rr_cleared",
)
MOST_LISTED = 500


def rr_view(row: RunRow, view: View, places: NDArray[np.int64]) -> None:
    """Draw the charts and the table of chosen beats.

    Parameters
    ----------
    places : int64 (k,)
        The strips that the list's filter lets through.
    """
    scope, with_noise = _settings()
    beats = _beats(row, view, scope, places, with_noise)
    if not len(beats):
        _nothing(view, scope, with_noise)
        return
    _summary(beats, scope, view)
    left, right = st.columns(2, gap="medium")
    with left:
        _scatter(view, beats)
    with right:
        _histogram(beats)
    _chosen(view, beats)


def _settings() -> tuple[str, bool]:
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        scope = st.segmented_control(
            "Beats of",
            SCOPES,
            default=PATIENT,
            required=True,
            key=_SCOPE,
            persist_state="session",
            label_visibility="collapsed",
        )
        with_noise = st.toggle(
            "Count noise as beats",
            key=_NOISE,
            persist_state="session",
            help="Otherwise noise is left out, and with it every interval that begins or ends at it.",
        )
    return scope or PATIENT, bool(with_noise)


def _beats(row: RunRow, view: View, scope: str, places: NDArray[np.int64], with_noise: bool) -> pd.DataFrame:
    wanted = places
    if scope == STRIP:
        wanted = np.array([view.place])
    elif scope == PATIENT:
        wanted = strips_of_patient(view.run, view.place)
    return _kept(row.id, session.store().decisions.version(row.study_id), np.sort(wanted).tobytes(), with_noise)


@st.cache_data(show_spinner=False, max_entries=12)
def _kept(run_id: str, version: int, places: bytes, with_noise: bool) -> pd.DataFrame:
    row = session.store().runs.get(run_id)
    strips = np.frombuffer(places, dtype=np.int64)
    return rr_beats(session.load(row), session.index(row), session.effective(row), strips, with_noise=with_noise)


def _nothing(view: View, scope: str, with_noise: bool) -> None:
    where = {STRIP: f"Strip {view.strip}", PATIENT: view.patient.capitalize(), LIST: "The list"}[scope]
    noise = "" if with_noise else " but noise"
    more = "" if with_noise else " Count noise as beats to see it."
    st.info(f"{where} has no beats{noise}. Choose other strips.{more}", icon=":material/monitoring:")


def _summary(beats: pd.DataFrame, scope: str, view: View) -> None:
    known = spread(beats["before"].to_numpy())
    strips = beats["place"].nunique()
    where = f"strip {view.strip}" if scope == STRIP else view.patient if scope == PATIENT else "the list"
    words = f"**{many(len(beats), 'beat')}** on {many(strips, 'strip')} ({where})"
    if known.n:
        early = int((beats["of_usual"] < PREMATURE).sum())
        words += (
            f", median RR {known.median:.0f} ms ({60_000 / known.median:.0f} bpm), from {known.least:.0f} to "
            f"{known.most:.0f} ms. {many(early, 'beat')} early: under {PREMATURE:.0%} of the median of their strip."
        )
    st.markdown(words)


def _scatter(view: View, beats: pd.DataFrame) -> None:
    strips, times = beats["strip"].to_numpy(), beats["time_ms"].to_numpy()
    figure = rr_figure(
        beats["before"].to_numpy(),
        beats["after"].to_numpy(),
        beats["label"].to_numpy(),
        beat_ids=beats["key"].to_numpy(),
        words=lambda rows: [f"strip {strips[row]}, {times[row] / 1000:.2f} s" for row in rows],
        selected=_in_hand(view, beats),
    )
    figure.update_layout(dragmode="lasso")
    _chart(figure, "rr_scatter", lambda selection: _in_scatter(beats, selection))


def _in_hand(view: View, beats: pd.DataFrame) -> int | None:
    found = beats.loc[(beats["place"] == view.place) & (beats["anchor_ms"] == view.anchor), "key"]
    return int(found.iloc[0]) if len(found) else None


def _histogram(beats: pd.DataFrame) -> None:
    figure = rr_histogram(beats["before"].to_numpy(), beats["label"].to_numpy())
    figure.update_layout(dragmode="select", selectdirection="h")
    _chart(figure, "rr_histogram", lambda selection: _in_histogram(beats, selection))


def _chart(figure: Any, name: str, taken: Any) -> None:
    # A new key once the choice is given up: the chart would keep its own marks.
    key = f"{name}_{st.session_state.get(_CLEARED, 0)}"

    def picked() -> None:
        found = taken(st.session_state[key]["selection"])
        if found is not None:
            st.session_state[_CHOSEN] = found

    st.plotly_chart(
        figure,
        key=key,
        theme=None,
        on_select=picked,
        selection_mode=["points", "box", "lasso"],
        config={"displaylogo": False, "modeBarButtons": [["lasso2d", "select2d", "pan2d", "zoom2d", "resetScale2d"]]},
        alt=str(figure.layout.meta["alt"]),
    )


def _in_scatter(beats: pd.DataFrame, selection: Mapping[str, Any]) -> list[int] | None:
    """Beats chosen in the scatter: those clicked, or all in the area drawn, whether it shows each of them or a part."""
    points = [point["customdata"] for point in selection["points"] if point.get("customdata")]
    ids = {int(point[0]) for point in points}
    areas = [*selection.get("box", ()), *selection.get("lasso", ())]
    if not areas:
        return sorted(ids) or None
    here = np.zeros(len(beats), dtype=bool)
    for area in areas:
        here |= inside(beats["before"].to_numpy(), beats["after"].to_numpy(), area["x"], area["y"])
    # Labels that the legend has hidden are not meant.
    seen = set(beats.loc[beats["key"].isin(ids), "label"])
    return sorted(beats.loc[here & beats["label"].isin(seen), "key"].tolist())


def _in_histogram(beats: pd.DataFrame, selection: Mapping[str, Any]) -> list[int] | None:
    bars = [point["customdata"] for point in selection["points"] if point.get("customdata")]
    if not bars:
        return None
    before, labels = beats["before"].to_numpy(), beats["label"].to_numpy()
    here = np.zeros(len(beats), dtype=bool)
    for low, high, _slow, _fast, label in bars:
        here |= (before >= low) & (before < high) & (labels == int(label))
    return sorted(beats.loc[here, "key"].tolist())


def _chosen(view: View, beats: pd.DataFrame) -> None:
    ids = st.session_state.get(_CHOSEN) or []
    chosen = beats[beats["key"].isin(ids)]
    if not len(chosen):
        st.caption(
            "Draw around points, or across bars, to choose beats: they are listed here, can be opened on their strip, "
            "and labelled together."
        )
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown(f"**{many(len(chosen), 'beat')} chosen**", width="content")
        _label_all(view, chosen)
        st.button("Give up the choice", key="rr_clear", icon=":material/deselect:", on_click=_clear)
        st.button("Undo", key="rr_undo", icon=":material/undo:", shortcut=_undo_key(), on_click=attempt, args=(undo,))
    _table(chosen)


def _label_all(view: View, chosen: pd.DataFrame) -> None:
    count = many(len(chosen), "beat")
    with st.popover(f"Label all {count}", icon=":material/sell:", key="rr_label_all"):
        label = st.selectbox("Label", FILE_LABELS, format_func=label_name, key="rr_label", index=None,
                             placeholder="Choose a label")  # fmt: skip
        if label is None:
            st.caption(f"All {count} chosen get it. One undo takes all of it back.")
            return
        mix = chosen["label"].map(label_name).value_counts()
        st.caption("Now: " + ", ".join(f"{name} {number:,}" for name, number in mix.items()))
        st.button(
            f"Label {count} as {label_name(label)}",
            type="primary",
            key="rr_label_yes",
            on_click=attempt,
            args=(lambda: _label(view, chosen, label),),
        )


def _label(view: View, chosen: pd.DataFrame, label: int) -> str:
    made = label_beats(view.run, chosen, label, session.decision)
    st.session_state["rr_label"] = None
    if not made:
        return f"All of them are {label_name(label)} already, by a reader."
    session.keep(one_batch(made))
    before = f"; {many(len(chosen) - len(made), 'other')} had it already" if len(made) < len(chosen) else ""
    return f"{many(len(made), 'beat')} labelled {label_name(label)}{before}. One undo ({_undo_key()}) takes it back."


def _undo_key() -> str:
    return action_keys()["undo"]


def _clear() -> None:
    st.session_state.pop(_CHOSEN, None)
    st.session_state[_CLEARED] = st.session_state.get(_CLEARED, 0) + 1


def _table(chosen: pd.DataFrame) -> None:
    listed = chosen.head(MOST_LISTED)
    st.session_state[_LISTED] = list(zip(listed["strip"].tolist(), listed["beat_id"].tolist(), strict=True))
    st.dataframe(
        pd.DataFrame(
            {
                "strip": listed["strip"],
                "patient": listed["patient"],
                "time": listed["time_ms"] / 1000,
                "label": listed["label"].map(label_name),
                "before": listed["before"],
                "after": listed["after"],
                "rate": listed["rate"],
                "usual": 100 * listed["of_usual"],
            }
        ),
        key=_TABLE,
        on_select=_open,
        selection_mode=["single-row", "single-cell"],
        hide_index=True,
        height=min(38 + 35 * len(listed), 320),
        placeholder="–",
        column_config={
            "strip": st.column_config.NumberColumn("Strip", format="%d", width=70),
            "patient": st.column_config.TextColumn("Patient", width=120),
            "time": st.column_config.NumberColumn("Time", format="%.2f s", width=80),
            "label": st.column_config.TextColumn("Label", width=150),
            "before": st.column_config.NumberColumn("RR before", format="%.0f ms", width=100),
            "after": st.column_config.NumberColumn("RR after", format="%.0f ms", width=100),
            "rate": st.column_config.NumberColumn("Rate", format="%.0f bpm", width=90),
            "usual": st.column_config.NumberColumn("Of the strip's median", format="%.0f %%", width=150),
        },
        alt="The beats chosen, with strip, time, label and RR",
    )
    more = f"The first {MOST_LISTED:,} of {len(chosen):,}. " if len(chosen) > MOST_LISTED else ""
    st.caption(f"{more}Click a row to read its strip at that beat.")


def _open() -> None:
    rows = rows_taken(st.session_state[_TABLE]["selection"])
    listed: list[tuple[int, int]] = st.session_state.get(_LISTED, [])
    if rows and rows[0] < len(listed):
        strip, beat = listed[rows[0]]
        read(strip, beat if beat >= 0 else None)
