"""Settings of training in plain words, those that the profile uses, and which of them few people need."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import streamlit as st

from components.settings import Group, Setting, draw, made
from ecg_engine.config import ARRHYTHMIA, REFERENCE, TrainConfig
from state.studies import Study

_VAL_SPLIT = Setting("val_split", "Share held out (%)", "Of the patients, for the figures.", 5, 100)
_SEED = Setting("seed", "Random start", "The same number gives the same model.")
_GATE = Setting("gate_loss_weight", "Weight of the noise gate", "Beside the weight of the labels, 1.", 0.1)
_REFERENCE = (
    Group(
        "",
        (
            Setting(
                "model",
                "Network",
                "Both see a beat's shape and its neighbours. The hybrid one also compares it with the prototypes, and "
                "learns what noise looks like.",
                choices={"hybrid": "Hybrid", "context": "Context only"},
            ),
            Setting("epochs", "Epochs", "How often all strips are gone through. The best epoch is kept."),
            Setting(
                "split",
                "Held out",
                "Figures count only on patients that the model has not seen. By beats, they flatter.",
                choices={"patient": "Whole patients", "beat": "Single beats"},
            ),
        ),
    ),
)
_PROTOTYPES = Group(
    "Prototypes in the model",
    (
        Setting("min_proto_size", "Fewest beats", "Smaller prototypes are left out.", 10),
        Setting("min_proto_purity", "Least purity (%)", "Less pure prototypes are left out.", 5, 100),
        Setting("max_prototypes", "Most prototypes", "The largest are kept.", 16),
        Setting("top_k_sim", "Similarities per beat", "To the prototypes most like it."),
    ),
)
_REFERENCE_MORE = (
    Group(
        "Learning",
        (
            Setting("batch_size", "Beats at a time", "Size of a batch."),
            Setting("lr", "Learning rate", "How far each step goes.", 0.0005),
            _VAL_SPLIT,
            Setting("use_class_weights", "Rare labels weigh more", "So that common ones do not drown them."),
            _GATE,
            _SEED,
        ),
    ),
    _PROTOTYPES,
)
_ARRHYTHMIA = (
    Group(
        "",
        (
            Setting(
                "model",
                "Networks",
                "The towers see how each beat differs from the patient's ordinary ones, in time and in shape. The "
                "hybrid one also compares beats with prototypes and learns what noise looks like; it takes longer.",
                choices={"towers": "Towers", "hybrid": "Towers and hybrid"},
            ),
            Setting("epochs", "Epochs", "How long the networks learn; 25 is usual. Half as many take half the time."),
            _VAL_SPLIT,
        ),
    ),
)
_BASIC: Mapping[str, tuple[Group, ...]] = MappingProxyType({REFERENCE: _REFERENCE, ARRHYTHMIA: _ARRHYTHMIA})


def _more(profile: str, model: str) -> tuple[Group, ...]:
    if profile == REFERENCE:
        return _REFERENCE_MORE
    if model == "hybrid":
        return (Group("Learning", (_GATE, _SEED)), _PROTOTYPES)
    return (Group("Learning", (_SEED,)),)


def training_settings(study: Study, before: TrainConfig) -> TrainConfig | None:
    """Draw the settings of a profile; None while they are impossible (the reason is shown).

    Parameters
    ----------
    before : TrainConfig
        Of the profile; what was used last, to begin with.
    """
    profile = before.profile
    turn_key = f"training_turn_{study.id}"
    turn = st.session_state.setdefault(turn_key, 0)
    values = (TrainConfig(profile=profile) if turn else before).to_dict()
    key = f"train_{study.id}_{profile}_{turn}"
    values |= draw(_BASIC[profile], values, key)
    more = _more(profile, values["model"])
    with st.expander("More settings", icon=":material/tune:"):
        values |= draw(more, values, key)
        st.button(
            "Back to the defaults",
            key=f"defaults_{key}",
            icon=":material/restart_alt:",
            on_click=lambda: st.session_state.update({turn_key: turn + 1}),
        )
    return made(TrainConfig, values, (*_BASIC[profile], *more))
