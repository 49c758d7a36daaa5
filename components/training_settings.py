"""Settings of training in plain words, and which of them few people need."""

from __future__ import annotations

import streamlit as st

from components.settings import Group, Setting, draw, made
from ecg_engine.config import TrainConfig
from state.studies import Study

BASIC = (
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
ADVANCED = (
    Group(
        "Learning",
        (
            Setting("batch_size", "Beats at a time", "Size of a batch."),
            Setting("lr", "Learning rate", "How far each step goes.", 0.0005),
            Setting("val_split", "Share held out (%)", "Of the patients, for the figures.", 5, 100),
            Setting("use_class_weights", "Rare labels weigh more", "So that common ones do not drown them."),
            Setting("gate_loss_weight", "Weight of the noise gate", "Beside the weight of the labels, 1.", 0.1),
            Setting("seed", "Random start", "The same number gives the same model."),
        ),
    ),
    Group(
        "Prototypes in the model",
        (
            Setting("min_proto_size", "Fewest beats", "Smaller prototypes are left out.", 10),
            Setting("min_proto_purity", "Least purity (%)", "Less pure prototypes are left out.", 5, 100),
            Setting("max_prototypes", "Most prototypes", "The largest are kept.", 16),
            Setting("top_k_sim", "Similarities per beat", "To the prototypes most like it."),
        ),
    ),
)
ALL = (*BASIC, *ADVANCED)


def training_settings(study: Study, before: TrainConfig) -> TrainConfig | None:
    """Draw all settings; None while they are impossible (the reason is shown)."""
    turn_key = f"training_turn_{study.id}"
    turn = st.session_state.setdefault(turn_key, 0)
    values = (TrainConfig() if turn else before).to_dict()
    key = f"train_{study.id}_{turn}"
    values |= draw(BASIC, values, key)
    with st.expander("More settings", icon=":material/tune:"):
        values |= draw(ADVANCED, values, key)
        st.button(
            "Back to the defaults",
            key=f"defaults_{key}",
            icon=":material/restart_alt:",
            on_click=lambda: st.session_state.update({turn_key: turn + 1}),
        )
    return made(TrainConfig, values, ALL)
