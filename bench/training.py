"""An epoch on the 3,960 strips: windows/s with each beat of a batch encoded once, beside every place encoded anew.

The second is how the old scripts trained: shuffled windows, five encodings each. Both in one run, on the same beats.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from bench.common import DS1, lap, peak_memory_gb, table
from ecg_engine.bundle import load
from ecg_engine.config import PreprocessConfig, TrainConfig
from ecg_engine.datasets import training_data
from ecg_engine.prediction import predict
from ecg_engine.preprocess import preprocess
from ecg_engine.strips import read_strips
from ecg_engine.training import train

EPOCHS = {"stretches": 2, "strips": 2, "windows": 1, "scripts": 1}
WORDS = {
    "stretches": "stretches of neighbours, each beat encoded once (what train does)",
    "strips": "whole strips, each beat encoded once",
    "windows": "shuffled windows, each beat of a batch encoded once",
    "scripts": "the scripts' way: shuffled windows, every place encoded",
}


def main() -> None:
    run = preprocess(read_strips([DS1], PreprocessConfig()), PreprocessConfig())
    data = training_data(run)
    rows, seconds, bundle = [], {}, None
    for batching, epochs in EPOCHS.items():
        result = train([data], TrainConfig(epochs=epochs), batching=batching)
        bundle = bundle or result.bundle
        best = result.history.sort_values("seconds").iloc[0]
        seconds[batching] = float(best["seconds"])
        rows.append((WORDS[batching], f"{best['seconds']:.1f}", f"{best['windows_per_sec']:,.0f}"))
    ratios = [f"{seconds[batching] / seconds['scripts']:.2f}" for batching in EPOCHS]
    table(
        f"One epoch on {len(data.windows.centre):,} windows ({torch.get_num_threads()} threads, "
        f"{'GPU' if torch.cuda.is_available() else 'no GPU'})",
        ("batches", "s", "windows/s", "ratio to the scripts' way"),
        [(*row, ratio) for row, ratio in zip(rows, ratios, strict=True)],
    )
    assert bundle is not None
    with tempfile.TemporaryDirectory() as folder:
        bundle.save(Path(folder) / "model_bundle.pt")
        with lap() as predicting:
            predicted = predict(load(Path(folder) / "model_bundle.pt"), run)
    count = int(predicted.summary["num_beats_predicted"])
    table(
        "Prediction with the trained model",
        ("", "s", "windows/s", "strips/s", "peak memory, GB"),
        [
            (
                f"{count:,} beats",
                f"{predicting.wall:.1f}",
                f"{count / predicting.wall:,.0f}",
                f"{len(predicted.strips) / predicting.wall:,.0f}",
                f"{peak_memory_gb():.2f}",
            )
        ],
    )


if __name__ == "__main__":
    main()
