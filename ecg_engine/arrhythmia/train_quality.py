"""Train the noise scores anew: ``python -m ecg_engine.arrhythmia.train_quality FOLDER``.

FOLDER holds ``mitdb-ds1/`` (records of the MIT-BIH Arrhythmia Database) and ``nstdb/`` (``ma`` and ``bw`` of the Noise
Stress Test Database), both from PhysioNet. The same data, seed and packages give the same weights; about a minute.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ecg_engine.arrhythmia.noise_features import BEAT_FEATURES, STRIP_FEATURES
from ecg_engine.arrhythmia.quality import WEIGHTS, save_model
from ecg_engine.arrhythmia.quality_training import fit_model, training_examples
from ecg_engine.arrhythmia.rpeak_data import mitdb_strips, nstdb_noise
from ecg_engine.arrhythmia.train_rpeaks import NOISE_SHARE


def main(arguments: Sequence[str] | None = None) -> int:
    """Train on all records of the folder and write the weights."""
    parser = argparse.ArgumentParser(description="Train the noise scores of the arrhythmia profile.")
    parser.add_argument("folder", type=Path, help="holds mitdb-ds1 and nstdb")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="file to write (default: the shipped weights)")
    parser.add_argument("--copies", type=int, default=2, help="noisy copies of each strip (default: 2)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    strips = mitdb_strips(given.folder / "mitdb-ds1")
    noises = nstdb_noise(given.folder / "nstdb", last=NOISE_SHARE)
    model = fit_model(training_examples(strips, noises, copies=given.copies, seed=given.seed, tell=_tell))
    save_model(model, given.out)
    for name, features, weights in (("beat", BEAT_FEATURES, model.beat), ("strip", STRIP_FEATURES, model.strip)):
        told = ", ".join(f"{one} {weight:.2f}" for one, weight in zip((*features, "constant"), weights, strict=True))
        _tell(f"{name}: {told}")
    _tell(f"wrote {given.out.name}")
    return 0


def _tell(what: str) -> None:
    print(what, flush=True)


if __name__ == "__main__":
    sys.exit(main())
