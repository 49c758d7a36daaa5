"""Train the flutter head anew: ``python -m ecg_engine.arrhythmia.train_flutter FOLDER``.

FOLDER holds ``mitdb-ds1/`` (records of the MIT-BIH Arrhythmia Database) and ``nstdb/`` (``ma`` and ``bw`` of the Noise
Stress Test Database), both from PhysioNet. The same data, seed and packages give the same weights; some five minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ecg_engine.arrhythmia.flutter import WEIGHTS, save_net
from ecg_engine.arrhythmia.flutter_training import ROUNDS, fit_net, training_examples
from ecg_engine.arrhythmia.rpeak_data import mitdb_strips, nstdb_noise
from ecg_engine.arrhythmia.train_rpeaks import NOISE_SHARE


def main(arguments: Sequence[str] | None = None) -> int:
    """Train on all records of the folder and write the weights."""
    parser = argparse.ArgumentParser(description="Train the flutter head of the arrhythmia profile.")
    parser.add_argument("folder", type=Path, help="holds mitdb-ds1 and nstdb")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="file to write (default: the shipped weights)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"composed copies of a strip (default: {ROUNDS})")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    strips = mitdb_strips(given.folder / "mitdb-ds1")
    noises = nstdb_noise(given.folder / "nstdb", last=NOISE_SHARE)
    examples = training_examples(strips, noises, rounds=given.rounds, seed=given.seed, tell=_tell)
    _tell(f"{len(examples.seen):,} strips, {int(examples.flutter.sum()):,} with flutter")
    save_net(fit_net(examples, seed=given.seed, tell=_tell), given.out)
    _tell(f"wrote {given.out.name}")
    return 0


def _tell(what: str) -> None:
    print(what, flush=True)


if __name__ == "__main__":
    sys.exit(main())
