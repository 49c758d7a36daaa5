"""What the Prototypes page shows, gathered once per drawing; the limits, the gallery and the chart of purity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from components.cards import Card, CardGroup, card_grid
from components.outcome import attempt
from ecg_engine.beat_svg import Band, beat_svg, percentile_band, shared_limits
from ecg_engine.config import ValidateConfig
from ecg_engine.figures import label_colour, label_letter, purity_figure
from ecg_engine.figures.palette import INK
from ecg_engine.labels import label_name
from ecg_engine.preprocess import Run
from ecg_engine.validation import ValidationResult, validate_library
from state import session
from state.anchors import BeatIndex
from state.effective import Effective
from state.members import effective_library
from state.runs import RunRow

SETTING = "validate"
"""Under this name a study's settings hold the limits."""

REASONS = {"small": "few beats", "mixed": "mixed labels", "noisy": "much noise", "unlabelled": "no labels"}
ALL, SUSPICIOUS = "All", "Suspicious only"


@dataclass(frozen=True)
class View:
    """Everything the page draws from. ``order`` holds the prototypes' ids as the gallery shows them."""

    row: RunRow
    run: Run
    index: BeatIndex
    effective: Effective
    config: ValidateConfig
    library: pd.DataFrame
    result: ValidationResult
    order: list[int]

    def values(self, prototype_id: int) -> dict[str, Any] | None:
        """One prototype's row of the validation, or None."""
        detail = self.result.detail
        found = detail[detail["prototype_id"] == prototype_id].to_dict("records")
        return {str(name): value for name, value in found[0].items()} if found else None


def limits() -> ValidateConfig:
    """The study's limits for a prototype to be trusted."""
    return ValidateConfig.from_dict(session.the_study().settings.get(SETTING, {}))


@st.cache_resource(show_spinner=False, max_entries=6)
def _library(run_id: str, folder: str, version: int) -> pd.DataFrame:
    row = session.store().runs.get(run_id)
    return effective_library(session.load(row), session.index(row), session.effective(row))


@st.cache_resource(show_spinner="Measuring how much the members differ", max_entries=6)
def _bands(run_id: str, folder: str) -> dict[int, Band]:
    row = session.store().runs.get(run_id)
    run, prototypes = session.load(row), session.index(row).prototypes
    beats = np.asarray(run.beats)
    return {number: percentile_band(beats[prototypes == number]) for number in run.prototype_waves}


def gather(row: RunRow, shown: str) -> View:
    """The prototypes of a run under the study's limits, by effective labels."""
    folder, version = str(session.store().folder), session.store().decisions.version(row.study_id)
    run, index, effective = session.load(row), session.index(row), session.effective(row)
    library, config = _library(row.id, folder, version), limits()
    result = validate_library(library, config, labels=effective.labels, cluster_ids=index.prototypes)
    order = []
    for label in result.by_label["label"]:
        part = result.detail[result.detail["dominant_label"] == label].sort_values("size", ascending=False)
        if shown == SUSPICIOUS:
            part = part[part["suspicious"]]
        order += part["prototype_id"].astype(int).tolist()
    return View(row, run, index, effective, config, library, result, order)


def reasons(text: object) -> str:
    """Why a prototype is suspicious, in words."""
    return ", ".join(REASONS.get(word, word) for word in str(text or "").split(";") if word)


def limits_row() -> str:
    """The limits, adjustable, and which prototypes to show; returns the latter."""
    config, study = limits(), session.the_study().id
    size, purity, noise, show = st.columns([1, 1, 1, 1.6], vertical_alignment="bottom")
    size.number_input(
        "Fewest beats",
        min_value=0,
        max_value=100_000,
        step=10,
        value=config.min_size,
        key=f"limit_size_{study}",
        on_change=_keep_limits,
        args=(study,),
        help="A prototype with fewer beats is suspicious.",
    )
    purity.number_input(
        "Least purity (%)",
        min_value=0,
        max_value=100,
        step=5,
        value=round(config.min_purity * 100),
        key=f"limit_purity_{study}",
        on_change=_keep_limits,
        args=(study,),
        help="Purity: share of the most frequent label among the three most frequent ones.",
    )
    noise.number_input(
        "Most noise (%)",
        min_value=0,
        max_value=100,
        step=5,
        value=round(config.max_noise_ratio * 100),
        key=f"limit_noise_{study}",
        on_change=_keep_limits,
        args=(study,),
        help="Share of beats labelled as noise among the three most frequent labels.",
    )
    shown = show.segmented_control(
        "Show", [ALL, SUSPICIOUS], default=ALL, required=True, key="prototypes_shown", persist_state="session"
    )
    return str(shown or ALL)


def _keep_limits(study: str) -> None:
    state = st.session_state

    def keep() -> None:
        config = ValidateConfig(
            min_size=int(state[f"limit_size_{study}"]),
            min_purity=state[f"limit_purity_{study}"] / 100,
            max_noise_ratio=state[f"limit_noise_{study}"] / 100,
        )
        session.store().studies.set(study, **{SETTING: config.to_dict()})

    attempt(keep)


def gallery(view: View, selected: int | None, on_pick: Callable[[int], None]) -> None:
    """All prototypes in the view's order under their dominant labels."""
    bands = _bands(view.row.id, str(session.store().folder))
    scale = shared_limits([bands[number].low for number in view.order] + [bands[number].high for number in view.order])
    centre = round(view.run.config.pre_sec * view.run.fs)
    rows = {int(values["prototype_id"]): values for values in view.result.detail.to_dict("records")}
    groups = []
    for label_row in view.result.by_label.to_dict("records"):
        label = int(label_row["label"])
        mine = [number for number in view.order if int(rows[number]["dominant_label"]) == label]
        if mine:
            bad = int(label_row["num_suspicious"])
            groups.append(
                CardGroup(
                    [_card(rows[number], view, bands[number], scale, centre) for number in mine],
                    title=label_name(label),
                    letter=label_letter(label),
                    colour=label_colour(label),
                    note=f"{_count(int(label_row['num_prototypes']), 'prototype')}, "
                    f"{_count(int(label_row['total_members']), 'beat')}" + (f", {bad} suspicious" if bad else ""),
                )
            )
    card_grid(
        groups,
        key="prototype_gallery",
        on_pick=lambda number, action: on_pick(number),
        selected=selected,
        card_width=150,
        label="Prototypes by dominant label: median and the band in which 80 % of the members lie",
    )


def _card(values: dict[Any, Any], view: View, band: Band, scale: tuple[float, float], centre: int) -> Card:
    number, label = int(values["prototype_id"]), int(values["dominant_label"])
    why = reasons(values["reasons"])
    title = f"Prototype {number}, {label_name(label)}, median with 10 to 90 % band"
    return Card(
        id=number,
        title=f"#{number}",
        letter=label_letter(label),
        colour=label_colour(label),
        svg=beat_svg(
            view.run.prototype_waves[number],
            title=title,
            limits=scale,
            colour=label_colour(label),
            band=band,
            centre_sample=centre,
        ),
        note=_count(int(values["size"]), "beat"),
        lines=(f"purity {float(values['purity']):.0%}, noise {float(values['noise_ratio']):.0%}",),
        badge=why,
    )


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" + ("" if number == 1 else "s")


def purity_chart(view: View, selected: int | None, on_pick: Callable[[int], None]) -> None:
    """Purity against size; a click on a point chooses the prototype."""
    figure = purity_figure(view.result.detail, view.config)
    figure.update_traces(unselected={"marker": {"opacity": 1}}, selected={"marker": {"opacity": 1}})
    chosen = view.values(selected) if selected is not None else None
    if chosen:
        ring = {"size": 26, "symbol": "circle-open", "color": INK, "line": {"width": 2.5}}
        figure.add_scatter(
            x=[chosen["size"]], y=[chosen["purity"]], mode="markers", name="chosen", hoverinfo="skip", marker=ring
        )
    # A chart keeps the point that was clicked; when another way of choosing moves on, it starts afresh.
    memory = st.session_state.setdefault("purity_memory", {"drawn": 0, "clicked": None})
    if memory["clicked"] is not None and memory["clicked"] != selected:
        memory["drawn"], memory["clicked"] = memory["drawn"] + 1, None
    key = f"purity_chart_{memory['drawn']}"

    def picked() -> None:
        points = st.session_state[key].selection.points
        if points and "customdata" in points[0]:
            found = points[0]["customdata"]
            number = int(found[0] if isinstance(found, (list, tuple)) else found)
            memory["clicked"] = number
            on_pick(number)

    st.plotly_chart(
        figure,
        key=key,
        on_select=picked,
        selection_mode="points",
        theme=None,
        config={"displayModeBar": False},
        alt=str(figure.layout.meta["alt"]),
    )
    st.caption("Click a point to choose the prototype. Dashed lines are the limits; suspicious ones have a ring.")
