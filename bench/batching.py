"""Batches of whole strips must not cost accuracy: validation figures beside shuffled windows, same seed, same split."""

from __future__ import annotations

from bench.common import DS1, table
from ecg_engine.config import PreprocessConfig, TrainConfig
from ecg_engine.datasets import training_data
from ecg_engine.preprocess import preprocess
from ecg_engine.strips import read_strips
from ecg_engine.training import train

SEEDS = (42, 43, 44)
EPOCHS = 5


def main() -> None:
    run = preprocess(read_strips([DS1], PreprocessConfig()), PreprocessConfig())
    data = training_data(run)
    rows = []
    for split in ("patient", "beat"):
        for seed in SEEDS:
            best = {}
            for batching in ("strips", "windows"):
                config = TrainConfig(epochs=EPOCHS, seed=seed, split=split)
                history = train([data], config, batching=batching).history
                best[batching] = history.loc[history["score"].idxmax()]
            strips, windows = best["strips"], best["windows"]
            rows.append(
                (
                    f"{split}, seed {seed}",
                    f"{strips['class_acc']:.3f}",
                    f"{windows['class_acc']:.3f}",
                    f"{strips['class_acc'] - windows['class_acc']:+.3f}",
                    f"{strips['gate_acc']:.3f}",
                    f"{windows['gate_acc']:.3f}",
                )
            )
    title = f"Validation accuracy after the best of {EPOCHS} epochs, by batches (strip labels on beats, as in the spec)"
    header = ("split", "classes, strips", "classes, windows", "difference", "gate, strips", "gate, windows")
    table(title, header, rows)


if __name__ == "__main__":
    main()
