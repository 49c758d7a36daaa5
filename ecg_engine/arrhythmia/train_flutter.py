"""Train the flutter head anew: ``python -m ecg_engine.arrhythmia.train_flutter FOLDER``.

FOLDER holds ``mitdb-ds1/`` (records of the MIT-BIH Arrhythmia Database) and ``nstdb/`` (``ma`` and ``bw`` of the Noise
Stress Test Database), both from PhysioNet. The same data, seed and packages give the same weights; some five minutes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ecg_engine.arrhythmia.flutter import WEIGHTS, save_net
from ecg_engine.arrhythmia.flutter_training import ROUNDS, fit_net, training_examples
from ecg_engine.arrhythmia.training_script import asked, tell


def main(arguments: Sequence[str] | None = None) -> int:
    """Train on all records of the folder and write the weights."""
    given = asked("the flutter head", WEIGHTS, ROUNDS, "composed copies of a strip", arguments, "--rounds")
    examples = training_examples(given.strips, given.noises, rounds=given.copies, seed=given.seed, tell=tell)
    tell(f"{len(examples.seen):,} strips, {int(examples.flutter.sum()):,} with flutter")
    save_net(fit_net(examples, seed=given.seed, tell=tell), given.out)
    tell(f"wrote {given.out.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
