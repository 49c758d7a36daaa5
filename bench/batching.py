"""Batches of neighbours must not cost accuracy: validation figures beside shuffled windows, same seed, same split.

On every twelfth strip, so that it ends in minutes.
"""

from __future__ import annotations

from bench.common import SMALL, table
from ecg_engine.config import PreprocessConfig, TrainConfig
from ecg_engine.datasets import training_data
from ecg_engine.preprocess import preprocess
from ecg_engine.strips import read_strips
from ecg_engine.training import train

SEEDS = (42, 43)
EPOCHS = 4
BATCHINGS = ("stretches", "strips", "windows")


def main() -> None:
    strips = read_strips([SMALL], PreprocessConfig())
    data = training_data(preprocess(strips, PreprocessConfig()))
    rows = []
    for split in ("patient", "beat"):
        for seed in SEEDS:
            cells = []
            for batching in BATCHINGS:
                config = TrainConfig(epochs=EPOCHS, seed=seed, split=split)
                history = train([data], config, batching=batching).history
                best = history.loc[history["score"].idxmax()]
                cells.append(f"{best['class_acc']:.3f} / {best['gate_acc']:.3f}")
            rows.append((f"by {split}, seed {seed}", *cells))
    title = f"Held-out accuracy, classes / noise gate, after the best of {EPOCHS} epochs on {len(strips)} strips"
    table(title, ("split", *BATCHINGS), rows)


if __name__ == "__main__":
    main()
