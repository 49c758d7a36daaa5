"""How long the arrhythmia profile takes on DS1: preprocessing on one core, training on two, prediction.

Each step runs in a process of its own, so that its number of threads holds from the start. Reading the spreadsheet and
writing files is not counted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.common import DS1, lap, table
from ecg_engine.artifacts import load_run, save_run
from ecg_engine.bundle import BUNDLE_FILE, load
from ecg_engine.config import PreprocessConfig, TrainConfig
from ecg_engine.datasets import training_data
from ecg_engine.prediction import predict
from ecg_engine.preprocess import preprocess
from ecg_engine.strips import read_strips

STEPS = {"preprocess": 1, "train": 2, "predict": 1}
"""Step to threads."""


def step(name: str, folder: Path) -> None:
    """One step in the folder; prints its name, number of strips, wall and processor seconds."""
    if name == "preprocess":
        config = PreprocessConfig(profile="arrhythmia")
        strips = read_strips([DS1], config)
        with lap() as taken:
            run = preprocess(strips, config)
        save_run(run, folder / "run", pictures=False)
    else:
        run = load_run(folder / "run")
        with lap() as taken:
            if name == "train":
                train_and_keep(folder)
            else:
                predict(load(folder / BUNDLE_FILE), run)
    assert run.strips is not None
    print(len(run.strips), taken.wall, taken.processor)


def train_and_keep(folder: Path) -> None:
    from ecg_engine.training import train

    train([training_data(load_run(folder / "run"))], TrainConfig(profile="arrhythmia"), out_dir=folder)


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, threads in STEPS.items():
            environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
            done = subprocess.run(
                [sys.executable, "-m", "bench.arrhythmia_time", name, folder],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
            strips, wall, processor = (float(word) for word in done.stdout.split())
            rows.append((name, threads, f"{wall:.0f}", f"{processor:.0f}", f"{1000 * wall / strips:.1f}"))
    table(
        f"The arrhythmia profile on DS1 ({strips:,.0f} strips); a training is two fits",
        ("step", "threads", "wall s", "processor s", "ms a strip"),
        rows,
    )


if __name__ == "__main__":
    if len(sys.argv) > 2:
        step(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
