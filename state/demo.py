"""The demo study: made once per store, so that the app has something on every page when it is first opened.

Simulated, labelled strips (no real patient's) to teach with, and a real five-minute ECG full of PVCs, without labels,
to predict. ``python -m state.demo`` makes it, too; ``make app`` does so before the app opens.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import sleepecg

from ecg_engine.errors import EngineError
from ecg_engine.simulate import simulate_strips
from state.plain import now
from state.store import Store, open_store
from state.studies import Study

KEY, NAME = "demo", "Demo"
SIMULATED_FILE = "simulated strips.csv"
REAL_FILE = "five real minutes, unlabelled.csv"
SECONDS = 10
UNITS_PER_MV = 200.0
PATIENCE_SECONDS = 60
N_PER_LABEL: Mapping[int, int] = {-1: 10, 0: 70, 1: 8, 2: 50, 4: 8, 6: 8, 7: 10, 8: 5}
"""Strips of each label. Mostly Normal and PVC, which a small model learns in seconds; the rest is for variety."""
N_PATIENTS = 12
TRAINING: Mapping[str, Any] = {
    "epochs": 24,
    "batch_size": 32,
    "lr": 2e-3,
    "use_class_weights": False,
    "min_proto_size": 30,
    "min_proto_purity": 0.6,
}
"""Small batches and prototypes, because the study is small."""


def ensure_demo(store: Store) -> Study:
    """The demo study; if the store has none, it is made and its runs are started, one after another, as jobs.

    Making it takes a second or two; its pages fill while the jobs run, within a minute.
    """
    study, made = store.studies.ensure(KEY, NAME, {"units_per_mv": UNITS_PER_MV, "units_assumed": False})
    # Whoever made the study finishes it; another process steps in only when that one evidently did not.
    left_half = not made and now() - study.created_at > timedelta(seconds=PATIENCE_SECONDS)
    if study.archived or not (made or left_half) or store.jobs.newest(study.id) is not None:
        return study
    store.files.add(study.id, SIMULATED_FILE, _csv(_simulated()))
    store.files.add(study.id, REAL_FILE, _csv(_real()))
    steps: list[tuple[str, Mapping[str, Any]]] = [("train", {"config": TRAINING}), ("predict", {}), ("alerts", {})]
    store.jobs.submit(study.id, "preprocess", then=steps)
    return study


def _simulated() -> pd.DataFrame:
    return simulate_strips(n_per_label=N_PER_LABEL, n_patients=N_PATIENTS, units_per_mv=UNITS_PER_MV).strips


def _real() -> pd.DataFrame:
    """Five minutes of MIT-BIH record 208, as sleepecg brings them: 360 Hz, mV."""
    ecg, fs = sleepecg.get_toy_ecg()
    size = SECONDS * fs
    strips = np.rint(ecg[: len(ecg) // size * size].reshape(-1, size) * UNITS_PER_MV).astype(int)
    waves = [",".join(map(str, strip)) for strip in strips.tolist()]
    return pd.DataFrame({"Patient ID": "MIT-BIH 208", "ECG Wave": waves, "Label": ""})


def _csv(table: pd.DataFrame) -> bytes:
    buffer = io.StringIO()
    table.to_csv(buffer, index=False)
    return buffer.getvalue().encode()


def main() -> int:
    """Make the demo study if the store has none; its jobs go on after this ends."""
    try:
        store = open_store()
        study = ensure_demo(store)
        print(f"The demo study is ready ({len(store.files.all(study.id))} files).")
        store.close()
    except (EngineError, OSError) as error:
        print(f"The store cannot be opened: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
