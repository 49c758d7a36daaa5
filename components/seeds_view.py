"""The seed basket: what the Seeds page shows, gathered once per drawing, and the seeds as cards."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from components.cards import Card, CardAction, CardGroup, card_grid
from components.keymap import UNDO
from components.outcome import attempt, go
from ecg_engine.beat_svg import beat_svg
from ecg_engine.figures import label_colour, label_letter
from ecg_engine.labels import FILE_LABELS, label_id, label_name
from ecg_engine.preprocess import Run
from state import session
from state.anchors import BeatIndex
from state.deciding import Decision
from state.effective import Effective
from state.runs import RunRow
from state.seeding import basket, mine, rejections, target_of, with_outcome

SETTING = "mining"
"""Under this name a study's settings hold how candidates are searched."""
DEFAULTS = {"search_rows": 100, "top_k": 50, "least_similarity": 0.5}
STRIPS_PAGE = "pages/strips.py"


@dataclass(frozen=True)
class View:
    """Everything the page draws from."""

    row: RunRow
    run: Run
    index: BeatIndex
    effective: Effective
    seeds: pd.DataFrame
    settings: dict[str, Any]
    candidates: pd.DataFrame
    rejected: dict[tuple[int, str], Decision]

    @property
    def centre_sample(self) -> int:
        """Where the R-peak lies in a beat."""
        return round(self.run.config.pre_sec * self.run.fs)

    def beat(self, row: int) -> np.ndarray:
        """Samples of one beat."""
        return np.asarray(self.run.beats[row])

    def of(self, seed: int) -> pd.DataFrame:
        """Candidates of one seed, most similar first."""
        return self.candidates[self.candidates["seed_beat_global_id"] == seed].reset_index(drop=True)


def settings() -> dict[str, Any]:
    """How candidates are searched in this study."""
    return {**DEFAULTS, **session.the_study().settings.get(SETTING, {})}


@st.cache_resource(show_spinner="Searching for beats like the seeds", max_entries=12)
def _mined(run_id: str, folder: str, basis: str, search_rows: int, top_k: int) -> pd.DataFrame:
    row = session.store().runs.get(run_id)
    return mine(session.load(row), session.effective(row), search_rows, top_k)


def gather(row: RunRow) -> View:
    """The seeds of a run and their candidates, mined again only when seeds, noise or settings have changed."""
    run, index, effective, chosen = session.load(row), session.index(row), session.effective(row), settings()
    basis = hashlib.sha256(effective.noisy.tobytes() + effective.seeds.to_csv(index=False).encode()).hexdigest()
    mined = _mined(row.id, str(session.store().folder), basis, int(chosen["search_rows"]), int(chosen["top_k"]))
    rejected = rejections(index, session.active_decisions())
    candidates = with_outcome(mined, effective, rejected)
    return View(row, run, index, effective, basket(run, effective), chosen, candidates, rejected)


def choose(seed: int) -> None:
    """Choose a seed."""
    session.choose(seed=seed)


def open_strip(view: View, row: int) -> None:
    """Lead to the strip of one beat."""
    place = view.run.metadata.iloc[row]
    session.choose(strip=int(place["source_row"]), beat=int(place["beat_global_id"]))
    go(STRIPS_PAGE)


def where(table: pd.DataFrame, row: int) -> str:
    """ "strip 12, patient 208" of one beat."""
    patient = table["patient_id"].iloc[row]
    return f"strip {table['source_row'].iloc[row]}, " + (f"patient {patient}" if patient != -1 else "patient unknown")


def search_settings(view: View) -> None:
    """How many strips are searched, how many candidates a seed gets, and from which similarity they are shown."""
    study = session.the_study().id
    strips = max(int(view.run.metadata["source_row"].max() - view.run.metadata["source_row"].min()) + 1, 1)
    rows, top, least = st.columns(3)
    rows.number_input(
        f"Strips to search (of {strips:,})",
        min_value=1,
        max_value=max(strips, int(view.settings["search_rows"])),
        value=int(view.settings["search_rows"]),
        step=50,
        key=f"mining_search_rows_{study}",
        on_change=_keep,
        args=(study, "search_rows"),
        help="The first so many strips of the file. Beats that count as noise are left out.",
    )
    top.number_input(
        "Candidates for each seed",
        min_value=1,
        max_value=300,
        value=int(view.settings["top_k"]),
        step=10,
        key=f"mining_top_k_{study}",
        on_change=_keep,
        args=(study, "top_k"),
    )
    least.number_input(
        "Least similarity",
        min_value=-1.0,
        max_value=1.0,
        value=float(view.settings["least_similarity"]),
        step=0.05,
        format="%.2f",
        key=f"mining_least_similarity_{study}",
        on_change=_keep,
        args=(study, "least_similarity"),
        help="Cosine of shape and RR together: 1 is alike, 0 unrelated. Less similar candidates are not shown.",
    )


def _keep(study: str, name: str) -> None:
    def keep() -> None:
        kept = {**settings(), name: st.session_state[f"mining_{name}_{study}"]}
        session.store().studies.set(study, **{SETTING: kept})

    attempt(keep)


def seed_cards(view: View, chosen: int) -> None:
    """The basket by label."""
    groups = []
    for label in dict.fromkeys(view.seeds["label"].tolist()):
        mine_ = view.seeds[view.seeds["label"] == label]
        groups.append(
            CardGroup(
                [_card(view, values) for values in mine_.to_dict("records")],
                title=label_name(label),
                letter=label_letter(label),
                colour=label_colour(label),
                note=f"{len(mine_)} seed" + ("" if len(mine_) == 1 else "s"),
            )
        )

    def act(seed: int, action: str) -> None:
        if action == "remove":
            remove(view, seed)
        elif action == "strip":
            open_strip(view, _row(view, seed))
        else:
            choose(seed)

    card_grid(groups, key="seed_basket", on_pick=act, selected=chosen, card_width=140, label="Seeds by label")


def _card(view: View, values: dict[Any, Any]) -> Card:
    label, row = int(values["label"]), int(values["row"])
    beat = int(values["beat_global_id"])
    found = view.of(beat)
    undecided = int(np.sum((found["outcome"] == "open") & (found["similarity"] >= view.settings["least_similarity"])))
    return Card(
        id=beat,
        title=f"beat {beat}",
        letter=label_letter(label),
        colour=label_colour(label),
        svg=beat_svg(
            view.beat(row),
            title=f"Seed beat {beat}, {label_name(label)}",
            colour=label_colour(label),
            centre_sample=view.centre_sample,
        ),
        lines=(where(view.run.metadata, row), f"{undecided} to decide"),
        actions=(CardAction("strip", "Strip"), CardAction("remove", "Remove")),
    )


def _row(view: View, seed: int) -> int:
    return int(view.seeds.loc[view.seeds["beat_global_id"] == seed, "row"].iloc[0])


def remove(view: View, seed: int) -> None:
    """Take a seed out of the basket."""

    def act() -> str:
        values = view.seeds[view.seeds["beat_global_id"] == seed].iloc[0]
        target = target_of(view.run, view.index, int(values["row"]))
        session.keep([session.decision(target, "seed", None, old=values["label_name"])])
        return f"Beat {seed} is no seed any more. Undo with {UNDO}."

    attempt(act)


def relabel(view: View, seed: int, key: str) -> None:
    """Give a seed the label that was picked."""

    def act() -> str | None:
        values = view.seeds[view.seeds["beat_global_id"] == seed].iloc[0]
        label = int(st.session_state[key])
        if label == label_id(str(values["label_name"])):
            return None
        target = target_of(view.run, view.index, int(values["row"]))
        session.keep([session.decision(target, "seed", label, old=values["label_name"])])
        return f"Beat {seed} is now a seed for {label_name(label)}. Undo with {UNDO}."

    attempt(act)


def label_of_seed(view: View, seed: int) -> None:
    """The seed's label, to be changed."""
    label = int(view.seeds.loc[view.seeds["beat_global_id"] == seed, "label"].iloc[0])
    key = f"label_of_seed_{seed}_{label}"
    st.selectbox(
        "Label of this seed",
        FILE_LABELS,
        index=FILE_LABELS.index(label),
        format_func=label_name,
        key=key,
        on_change=relabel,
        args=(view, seed, key),
        label_visibility="collapsed",
    )
