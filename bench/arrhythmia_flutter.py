"""The flutter head on patients never seen: composed strips, the real ones of DS1, and those of another database.

Flutter is composed from ordinary strips of patients held out (five folds; each is read by a net that was fitted without
her, by the recipe of the shipped one). What is shown on real strips with other rhythms is false, but for the flutter
strips of patient 203. CinC 2017 is read by the shipped weights, which know nothing of it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.arrhythmia_af import peaks_of
from bench.common import REAL, table
from ecg_engine.arrhythmia.findings import FLUTTER_SHOWN
from ecg_engine.arrhythmia.flutter import FlutterNet, flutter_probability
from ecg_engine.arrhythmia.flutter_strips import KINDS, Composed, beat_shape, compose
from ecg_engine.arrhythmia.flutter_training import fit_net, joined, ordinary_strips, training_examples, with_noise
from ecg_engine.arrhythmia.rpeak_data import mitdb_strips, nstdb_noise
from ecg_engine.arrhythmia.rpeak_training import AnnotatedStrips
from ecg_engine.arrhythmia.training_script import NOISE_SHARE
from ecg_engine.evaluation import auroc
from ecg_engine.strips import read_strips

FOLDS = 5
HEIGHTS = ((0.05, 0.1), (0.1, 0.2), (0.2, 0.45))


class Read(NamedTuple):
    """Composed strips of patients held out, and how much each looks like flutter."""

    kind: NDArray[np.str_]
    height: NDArray[np.float64]
    conduction: NDArray[np.float64]
    probability: NDArray[np.float32]


def main() -> None:
    strips = mitdb_strips(REAL / "mitdb-ds1")
    patients = np.unique(strips.patient)
    fold = np.random.default_rng(1).permutation(len(patients)) % FOLDS
    groups = [patients[fold == one] for one in range(FOLDS)]
    nets = grouped_nets(strips, groups)
    _composed([composed(strips.of(_rows(strips, group)), net) for group, net in zip(groups, nets, strict=True)])
    _real(strips, groups, nets)
    _cinc()


def grouped_nets(strips: AnnotatedStrips, groups: list[NDArray[np.int64]]) -> list[FlutterNet]:
    """The net of each group, fitted without it."""
    noises = nstdb_noise(REAL / "nstdb", last=NOISE_SHARE)
    parts = [training_examples(strips.of(_rows(strips, one)), noises, seed=seed) for seed, one in enumerate(groups)]
    return [fit_net(joined(parts[:held] + parts[held + 1 :])) for held in range(len(groups))]


def composed(strips: AnnotatedStrips, net: FlutterNet) -> Read:
    """Every ordinary strip in every kind, with noise from the half of the records that is not trained with."""
    noises = nstdb_noise(REAL / "nstdb", first=NOISE_SHARE)
    rng = np.random.default_rng(7)
    made: list[tuple[str, Composed]] = []
    for row in ordinary_strips(strips):
        lead = strips.lead if rng.random() < 0.5 else strips.other
        shape = beat_shape(lead[row].astype(np.float64), strips.beats[row], strips.fs)
        if shape is not None:
            made += [(kind, compose(shape, kind, strips.fs, rng)) for kind in KINDS]
    made = [(kind, one) for kind, one in made if len(one.r_sec) > 2]
    waves = np.stack([with_noise(one.wave, one.r_sec, strips.fs, noises, rng) for _, one in made]).astype(np.float32)
    peaks = [np.round(one.r_sec * strips.fs).astype(np.int64) for _, one in made]
    return Read(
        np.array([kind for kind, _ in made]),
        np.array([one.height for _, one in made]),
        np.array([one.conduction for _, one in made]),
        probability(waves, strips.fs, peaks, net),
    )


def probability(
    x: NDArray[np.float32], fs: float, peaks: list[NDArray[np.int64]], net: FlutterNet
) -> NDArray[np.float32]:
    return flutter_probability(x.reshape(-1), np.arange(len(x) + 1) * x.shape[1], fs, peaks, net)


def _rows(strips: AnnotatedStrips, patients: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.flatnonzero(np.isin(strips.patient, patients))


def _share(shown: NDArray[np.bool_]) -> str:
    return f"{100 * np.mean(shown):.1f}" if len(shown) else ""


def _composed(parts: list[Read]) -> None:
    read = Read(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    shown, flutters = read.probability >= FLUTTER_SHOWN, read.kind == "flutter"
    rows = []
    for name, conducts in (
        ("every second wave conducted", read.conduction == 2),
        ("every third", read.conduction == 3),
        ("every fourth or fewer, or between", (read.conduction > 3) | (read.conduction == 2.5)),
    ):
        within = [flutters & conducts & (read.height >= low) & (read.height < high) for low, high in HEIGHTS]
        rows.append([name, int((flutters & conducts).sum()), *(_share(shown[mask]) for mask in within)])
    header = ["", "strips", *(f"waves of {low:.2f}-{high:.2f} of the QRS" for low, high in HEIGHTS)]
    table(f"Composed flutter, patients held out: shown (from {FLUTTER_SHOWN}), %", header, rows)
    rows = []
    for kind in KINDS[1:]:
        mine = read.kind == kind
        score = auroc(read.probability[flutters | mine], flutters[flutters | mine])
        rows.append([kind, int(mine.sum()), _share(shown[mine]), f"{score:.3f}"])
    table("The same beats in other rhythms", ["", "strips", "shown, %", "AUROC of flutter against it"], rows)


def _real(strips: AnnotatedStrips, groups: list[NDArray[np.int64]], nets: list[FlutterNet]) -> None:
    peaks = [np.round(one).astype(np.int64) for one in strips.beats]
    said = np.zeros((2, len(peaks)), dtype=np.float32)
    for group, net in zip(groups, nets, strict=True):
        mine = _rows(strips, group)
        for number, lead in enumerate((strips.lead, strips.other)):
            said[number, mine] = probability(lead[mine], strips.fs, [peaks[row] for row in mine], net)
    rows = []
    for rhythm in ("N", "B", "T", "VT", "PREX", "SVTA", "AFIB", "AFL"):
        of_rhythm = strips.rhythm == rhythm
        rows.append([rhythm, int(of_rhythm.sum()), *(int((lead[of_rhythm] >= FLUTTER_SHOWN).sum()) for lead in said)])
    table("Strips of DS1 shown, patients held out", ["rhythm", "strips", "MLII", "the other lead"], rows)


def _cinc() -> None:
    strips = read_strips([REAL / "cinc2017_a.xlsx"])
    said = flutter_probability(strips.samples, strips.offsets, strips.fs, peaks_of(strips))
    rows = []
    for name, label in (("Normal", 0), ("AFib", 5), ("other rhythm", -999), ("Noise", -1)):
        shown = said[strips.label == label] >= FLUTTER_SHOWN
        rows.append([name, len(shown), int(shown.sum()), _share(shown)])
    table("Strips of CinC 2017 shown, shipped weights", ["", "strips", "shown", "%"], rows)


if __name__ == "__main__":
    main()
