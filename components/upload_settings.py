"""Settings of preprocessing: the profile, what most people set, and folded below it what few do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from components.outcome import attempt
from components.profiles import choose_profile
from components.settings import Group, Setting, draw, made
from ecg_engine.config import REFERENCE, PreprocessConfig
from state import session
from state.studies import Study

BASIC = (
    Group(
        "",
        (
            Setting("low_hz", "Filter from (Hz)", "Slower waves, such as breathing, are taken out.", 0.1),
            Setting("high_hz", "Filter to (Hz)", "Faster waves, such as mains hum, are taken out.", 1.0),
        ),
    ),
)
NOISE_RULES = Group(
    "When a beat counts as noise",
    (
        Setting("rr_min_sec", "RR interval under (ms)", "Too short to be a heartbeat.", 10, 1000),
        Setting("rr_max_sec", "RR interval over (ms)", "Too long to be believed.", 50, 1000),
        Setting("min_local_cluster", "Groups smaller than", "Of the beats of one label; a rare shape is noise."),
        Setting("ptp_z_min", "Flat: height score under", "Robust score over all beats.", 0.5),
        Setting("slope_z_min", "Blunt: slope score under", "Robust score over all beats.", 0.5),
        Setting("slope_z_max", "Spiky: slope score over", "Robust score over all beats.", 0.5),
        Setting("edge_z_max", "Restless ends: score over", "Robust score over all beats.", 0.5),
    ),
)
ADVANCED = (
    Group(
        "Beats",
        (
            Setting("pre_sec", "Before the R-peak (ms)", "Where a beat begins.", 10, 1000),
            Setting("post_sec", "After the R-peak (ms)", "Where a beat ends.", 10, 1000),
            Setting("context_radius", "Beats on either side", "Neighbours that the model sees with each beat."),
            Setting(
                "detector",
                "R-peak finder",
                "The plain one steps in by itself where the other finds nothing.",
                choices={"neurokit": "NeuroKit", "gradient": "Plain slope"},
            ),
            Setting("filter_order", "Steepness of the filter", "Order of the Butterworth filter."),
            Setting("min_samples", "Shortest strip (readings)", "Shorter strips are skipped."),
        ),
    ),
    NOISE_RULES,
    Group(
        "Clusters and seeds",
        (
            Setting("n_global_clusters", "Clusters", "Each becomes a prototype."),
            Setting("pca_components", "Shape components", "How finely shapes are told apart."),
            Setting("seed", "Random start", "The same number gives the same clusters."),
            Setting("search_rows", "Rows searched for candidates", "From the first row of the study."),
            Setting("top_k_candidates", "Candidates for each seed"),
        ),
    ),
)
ALL = (*BASIC, *ADVANCED)
REFERENCE_ONLY = frozenset(("detector", *(setting.name for setting in NOISE_RULES.settings)))
"""Settings that the arrhythmia profile does not use: it finds R-peaks and noise in ways of its own."""
RATE = Group(
    "", (Setting("duration_sec", "Length of a strip (s)", step=0.5), Setting("fs", "Sampling rate (Hz)", step=0.1))
)


def used(groups: Sequence[Group], profile: str) -> list[Group]:
    """The settings that a profile uses, without headings that are left with none."""
    if profile == REFERENCE:
        return list(groups)
    left = [replace(group, settings=[s for s in group.settings if s.name not in REFERENCE_ONLY]) for group in groups]
    return [group for group in left if group.settings]


def used_by(profile: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a run's settings that its profile uses."""
    return {name: value for name, value in values.items() if profile == REFERENCE or name not in REFERENCE_ONLY}


def settings(study: Study, before: PreprocessConfig) -> PreprocessConfig | None:
    """Draw all settings; None while they are impossible (the reason is shown beside them).

    Parameters
    ----------
    before : PreprocessConfig
        What was used last, to begin with.
    """
    profile = choose_profile(before.profile, f"profile_{study.id}")
    turn = st.session_state.setdefault(f"settings_turn_{study.id}", 0)
    if turn:
        before = PreprocessConfig()
    key = f"preprocess_{study.id}_{turn}"
    values: dict[str, Any] = before.to_dict()
    left, middle, right = st.columns(3)
    values |= _rate(left, middle, before, key)
    _units(right, study)
    values |= draw(BASIC, values, key)
    with st.expander("More settings", icon=":material/tune:"):
        st.caption(
            "The defaults are those of the reference method. Change them only if you know why."
            if profile == REFERENCE
            else "Change these only if you know why. The R-peak finder and the limits of noise are the profile's own."
        )
        values |= draw(used(ADVANCED, profile), values, key)
        st.button(
            "Back to the defaults",
            key=f"defaults_{key}",
            icon=":material/restart_alt:",
            on_click=lambda: st.session_state.update({f"settings_turn_{study.id}": turn + 1}),
        )
    values |= {"units_per_mv": study.units_per_mv, "profile": profile}
    return made(PreprocessConfig, values, (*ALL, RATE))


def _rate(left: Any, middle: Any, before: PreprocessConfig, key: str) -> dict[str, Any]:
    by_rate = left.selectbox(
        "Time axis",
        [False, True],
        index=int(before.fs is not None),
        format_func=lambda given: "I know the sampling rate" if given else "I know how long a strip lasts",
        key=f"{key}_by_rate",
        help="WFDB records bring their own sampling rate.",
        persist_state="session",
    )
    if by_rate:
        start = before.fs if before.fs is not None else 250.0
        fs = middle.number_input(
            "Sampling rate (Hz)", value=float(start), step=1.0, format="%.1f", key=f"{key}_fs", persist_state="session"
        )
        return {"fs": fs or 0.0}
    duration = middle.number_input(
        "Length of a strip (s)",
        value=before.duration_sec,
        step=0.5,
        format="%.1f",
        key=f"{key}_duration",
        persist_state="session",
        help="The sampling rate follows: readings in a strip divided by its length. WFDB records are cut to it.",
    )
    return {"fs": None, "duration_sec": duration}


def _units(place: Any, study: Study) -> None:
    key = f"units_{study.id}_{study.units_per_mv}"

    def keep() -> str | None:
        session.store().studies.set_units(study.id, float(st.session_state[key] or 0))
        return "The gain is set."

    assumed = "assumed" if study.units_assumed else "set"
    with place:
        st.number_input(
            f"Units in one millivolt ({assumed})",
            value=study.units_per_mv,
            step=10.0,
            format="%.1f",
            key=key,
            help="Only the millivolt axis depends on it. It is assumed until you set it. WFDB records bring theirs.",
            on_change=attempt,
            args=(keep,),
        )
        if study.units_assumed:
            st.button(
                f"{study.units_per_mv:g} is right",
                key=f"units_right_{study.id}",
                icon=":material/check:",
                on_click=attempt,
                args=(keep,),
                type="tertiary",
            )
