"""Train the R-peak finder anew: ``python -m ecg_engine.arrhythmia.train_rpeaks FOLDER``.

FOLDER holds ``mitdb-ds1/`` (records of the MIT-BIH Arrhythmia Database) and ``nstdb/`` (``ma`` and ``bw`` of the Noise
Stress Test Database), both from PhysioNet. The same data, seed and packages give the same weights.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ecg_engine.arrhythmia.rpeak_data import mitdb_strips, nstdb_noise
from ecg_engine.arrhythmia.rpeak_training import COPIES, fit_model, training_blocks
from ecg_engine.arrhythmia.rpeaks import WEIGHTS, save_model

NOISE_SHARE = 0.5
"""Of the noise records; the rest is kept for judging."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train on all records of the folder and write the weights."""
    parser = argparse.ArgumentParser(description="Train the R-peak finder of the arrhythmia profile.")
    parser.add_argument("folder", type=Path, help="holds mitdb-ds1 and nstdb")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="file to write (default: the shipped weights)")
    parser.add_argument("--copies", type=int, default=COPIES, help=f"spoilt copies of each strip (default: {COPIES})")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    strips = mitdb_strips(given.folder / "mitdb-ds1")
    noises = nstdb_noise(given.folder / "nstdb", last=NOISE_SHARE)
    print(f"{len(strips.beats):,} strips, {sum(map(len, strips.beats)):,} beats", flush=True)
    blocks = training_blocks(strips, noises, copies=given.copies, seed=given.seed, tell=_tell)
    save_model(fit_model(blocks, seed=given.seed, tell=_tell), given.out)
    print(f"wrote {given.out.name}")
    return 0


def _tell(what: str) -> None:
    print(what, flush=True)


if __name__ == "__main__":
    sys.exit(main())
