"""Batches of neighbours must not cost accuracy: validation figures beside shuffled windows, same seed, same split.

By beat it shows how much an epoch teaches; by patient, strip labels overfit within an epoch or two in every mode.
"""

from __future__ import annotations

from bench.common import DS1, table
from ecg_engine.config import PreprocessConfig, TrainConfig
from ecg_engine.datasets import training_data
from ecg_engine.preprocess import preprocess
from ecg_engine.strips import read_strips
from ecg_engine.training import train

CASES = (("beat", 42), ("beat", 43), ("patient", 42))
EPOCHS = 5
BATCHINGS = ("stretches", "strips", "windows")


def main() -> None:
    strips = read_strips([DS1], PreprocessConfig())
    data = training_data(preprocess(strips, PreprocessConfig()))
    rows = []
    for split, seed in CASES:
        cells = []
        for batching in BATCHINGS:
            history = train([data], TrainConfig(epochs=EPOCHS, seed=seed, split=split), batching=batching).history
            best = history.loc[history["score"].idxmax()]
            cells.append(f"{best['class_acc']:.3f} / {best['gate_acc']:.3f}")
        rows.append((f"by {split}, seed {seed}", *cells))
    title = f"Held-out accuracy, classes / noise gate, after the best of {EPOCHS} epochs on {len(strips)} strips"
    table(title, ("split", *BATCHINGS), rows)


if __name__ == "__main__":
    main()
