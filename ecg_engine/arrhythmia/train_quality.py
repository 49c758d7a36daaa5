"""Train the noise scores anew: ``python -m ecg_engine.arrhythmia.train_quality FOLDER``.

FOLDER holds ``mitdb-ds1/`` (records of the MIT-BIH Arrhythmia Database) and ``nstdb/`` (``ma`` and ``bw`` of the Noise
Stress Test Database), both from PhysioNet. The same data, seed and packages give the same weights; about a minute.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ecg_engine.arrhythmia.noise_features import BEAT_FEATURES, STRIP_FEATURES
from ecg_engine.arrhythmia.quality import WEIGHTS, save_model
from ecg_engine.arrhythmia.quality_training import fit_model, training_examples
from ecg_engine.arrhythmia.training_script import asked, tell


def main(arguments: Sequence[str] | None = None) -> int:
    """Train on all records of the folder and write the weights."""
    given = asked("the noise scores", WEIGHTS, 2, "noisy copies of each strip", arguments)
    examples = training_examples(given.strips, given.noises, copies=given.copies, seed=given.seed, tell=tell)
    model = fit_model(examples)
    save_model(model, given.out)
    for name, features, weights in (("beat", BEAT_FEATURES, model.beat), ("strip", STRIP_FEATURES, model.strip)):
        told = ", ".join(f"{one} {weight:.2f}" for one, weight in zip((*features, "constant"), weights, strict=True))
        tell(f"{name}: {told}")
    tell(f"wrote {given.out.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
