"""Train the R-peak finder anew: ``python -m ecg_engine.arrhythmia.train_rpeaks FOLDER``.

FOLDER holds ``mitdb-ds1/`` (records of the MIT-BIH Arrhythmia Database) and ``nstdb/`` (``ma`` and ``bw`` of the Noise
Stress Test Database), both from PhysioNet. The same data, seed and packages give the same weights.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ecg_engine.arrhythmia.rpeak_training import COPIES, fit_model, training_blocks
from ecg_engine.arrhythmia.rpeaks import WEIGHTS, save_model
from ecg_engine.arrhythmia.training_script import asked, tell


def main(arguments: Sequence[str] | None = None) -> int:
    """Train on all records of the folder and write the weights."""
    given = asked("the R-peak finder", WEIGHTS, COPIES, "spoilt copies of each strip", arguments)
    beats = given.strips.beats
    tell(f"{len(beats):,} strips, {sum(map(len, beats)):,} beats")
    blocks = training_blocks(given.strips, given.noises, copies=given.copies, seed=given.seed, tell=tell)
    save_model(fit_model(blocks, seed=given.seed, tell=tell), given.out)
    tell(f"wrote {given.out.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
