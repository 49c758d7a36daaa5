"""What the scripts that make the shipped weights anew have in common: the folder they read, the file they write."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ecg_engine.arrhythmia.augmentation import NoiseRecords
from ecg_engine.arrhythmia.rpeak_data import mitdb_strips, nstdb_noise
from ecg_engine.arrhythmia.rpeak_training import AnnotatedStrips

NOISE_SHARE = 0.5
"""Of the noise records; the rest is kept for judging."""


class Asked(NamedTuple):
    """What a training is given."""

    strips: AnnotatedStrips
    noises: NoiseRecords
    out: Path
    copies: int
    seed: int


def asked(
    what: str, weights: Path, copies: int, meaning: str, arguments: Sequence[str] | None, option: str = "--copies"
) -> Asked:
    """Read the command line, and the records of its folder.

    Parameters
    ----------
    what : str
        What is trained, such as "the R-peak finder".
    weights : Path
        The shipped weights, written unless the command line names another file.
    copies : int
        Copies of each strip by default.
    meaning : str
        What these copies are, for the help.
    arguments : sequence of str, optional
        Those of the process by default.
    option : str
        What the number of copies is called.
    """
    parser = argparse.ArgumentParser(description=f"Train {what} of the arrhythmia profile.")
    parser.add_argument("folder", type=Path, help="holds mitdb-ds1 and nstdb")
    parser.add_argument("--out", type=Path, default=weights, help="file to write (default: the shipped weights)")
    parser.add_argument(option, dest="copies", type=int, default=copies, help=f"{meaning} (default: {copies})")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    noises = nstdb_noise(given.folder / "nstdb", last=NOISE_SHARE)
    return Asked(mitdb_strips(given.folder / "mitdb-ds1"), noises, given.out, given.copies, given.seed)


def tell(what: str) -> None:
    """Say how far the training is, at once."""
    print(what, flush=True)
