"""Training the flutter head: composed strips with and without flutter, and real ones, of which none flutters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ecg_engine.arrhythmia.augmentation import NoiseRecords, Wave, add_noise, beat_rms, piece_of
from ecg_engine.arrhythmia.flutter import FlutterNet, between_qrs
from ecg_engine.arrhythmia.flutter_strips import KINDS, Composed, beat_shape, compose
from ecg_engine.arrhythmia.rpeak_training import AnnotatedStrips

ROUNDS = 6
"""Times that each ordinary strip is composed anew, once with flutter and once without."""

EPOCHS = 8
REAL_WEIGHT = 0.7
"""Of a real strip against a composed one: there are three times as many."""

OTHERS = dict(zip(KINDS[1:], (0.35, 0.3, 0.35), strict=True))
"""Share of each kind among composed strips without flutter."""

_REGULAR = 0.12
_R_SEC = 0.008
_QUICK_HZ = (7.5, 14.0)
_FLUTTER, _FIBRILLATION = "AFL", "AFIB"
_BATCH, _RATE, _DECAY, _SMOOTH = 128, 3e-3, 1e-3, 0.01


class Examples(NamedTuple):
    """Strips as the net sees them.

    Attributes
    ----------
    seen : float16 (k, 3, m)
    flutter : bool (k,)
    weight : float32 (k,)
    """

    seen: NDArray[np.float16]
    flutter: NDArray[np.bool_]
    weight: NDArray[np.float32]


def training_examples(
    strips: AnnotatedStrips,
    noises: NoiseRecords,
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
    tell: Callable[[str], None] = lambda _: None,
) -> Examples:
    """Composed strips, and the real ones on both leads as they are and ``rounds`` times with noise.

    Of patients who flutter, strips in flutter and in fibrillation are left out: where the waves are coarse, the marks
    change places between the two.
    """
    rng = np.random.default_rng(seed)
    sources = ordinary_strips(strips)
    parts = []
    for one in range(rounds):
        parts.append(composed_examples(strips, sources, noises, rng))
        tell(f"composed strips: {one + 1} of {rounds}")
    rows = real_strips(strips)
    for one in range(rounds + 1):
        for lead in (strips.lead, strips.other):
            waves = [lead[row].astype(np.float64) for row in rows]
            times = [strips.beats[row] / strips.fs for row in rows]
            if one:
                waves = [with_noise(w, r, strips.fs, noises, rng) for w, r in zip(waves, times, strict=True)]
                times = [_found(r, rng) for r in times]
            parts.append(_examples(waves, times, strips.fs, np.zeros(len(rows), dtype=bool), REAL_WEIGHT))
        tell(f"real strips: {one + 1} of {rounds + 1}")
    return joined(parts)


def joined(parts: Sequence[Examples]) -> Examples:
    """Examples one after the other."""
    return Examples(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def ordinary_strips(strips: AnnotatedStrips) -> NDArray[np.int64]:
    """Strips of sinus rhythm without ectopic beats, of which others can be composed."""
    steady = [
        len(beats) > 4 and np.std(np.diff(beats)) < _REGULAR * np.mean(np.diff(beats)) and not ectopic.any()
        for beats, ectopic in zip(strips.beats, strips.ectopic, strict=True)
    ]
    return np.flatnonzero(np.array(steady) & (strips.rhythm == "N"))


def real_strips(strips: AnnotatedStrips) -> NDArray[np.int64]:
    """Strips of which it is certain that they do not flutter."""
    fluttering = np.isin(strips.patient, strips.patient[strips.rhythm == _FLUTTER])
    return np.flatnonzero(~fluttering | ~np.isin(strips.rhythm, [_FLUTTER, _FIBRILLATION]))


def composed_examples(
    strips: AnnotatedStrips, rows: NDArray[np.int64], noises: NoiseRecords, rng: np.random.Generator
) -> Examples:
    """Of each of these strips one with flutter and one of another kind, both under noise."""
    made: list[tuple[Composed, bool]] = []
    for row in rows:
        shape = beat_shape(_any_lead(strips, int(row), rng), strips.beats[row], strips.fs)
        if shape is not None:
            other = str(rng.choice(list(OTHERS), p=list(OTHERS.values())))
            made += [(compose(shape, kind, strips.fs, rng), kind == "flutter") for kind in ("flutter", other)]
    made = [(one, flutters) for one, flutters in made if len(one.r_sec) > 2]
    waves = [with_noise(one.wave, one.r_sec, strips.fs, noises, rng) for one, _ in made]
    times = [_found(one.r_sec, rng) for one, _ in made]
    return _examples(waves, times, strips.fs, np.array([flutters for _, flutters in made]), 1.0)


def with_noise(wave: Wave, r_sec: Wave, fs: float, noises: NoiseRecords, rng: np.random.Generator) -> Wave:
    """A strip with as much noise as strips come with, or a little more."""
    level = beat_rms(wave, r_sec * fs, fs)
    if rng.random() < 0.4:
        wave = add_noise(wave, piece_of(noises.muscle, len(wave), rng), rng.uniform(6, 26), level)
    if rng.random() < 0.3:
        wave = add_noise(wave, piece_of(noises.baseline, len(wave), rng), rng.uniform(-6, 12), level)
    if rng.random() < 0.1:
        wave = add_noise(wave, rng.standard_normal(len(wave)), rng.uniform(6, 26), level)
    if rng.random() < 0.1:
        # steady waves quicker than flutter's, as from a pump or a fan
        phase = 2 * np.pi * (rng.uniform(*_QUICK_HZ) * np.arange(len(wave)) / fs + rng.random())
        wave = add_noise(wave, np.sqrt(2) * np.sin(phase), rng.uniform(12, 30), level)
    return wave


def fit_net(
    examples: Examples, *, epochs: int = EPOCHS, seed: int = 0, tell: Callable[[str], None] = lambda _: None
) -> FlutterNet:
    """Cross-entropy, AdamW, one cycle of the learning rate; each strip comes either way up."""
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = FlutterNet()
        batches = -(-len(examples.seen) // _BATCH)
        optimiser = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=epochs * batches)
        for epoch in range(epochs):
            for rows in np.array_split(rng.permutation(len(examples.seen)), batches):
                seen = torch.from_numpy(examples.seen[rows].astype(np.float32))
                seen[:, 0] *= torch.from_numpy(rng.choice([-1, 1], len(rows)))[:, None]
                # no strip is beyond doubt: flutter waves of a twentieth of the QRS can be too small to see
                target = np.where(examples.flutter[rows], 1 - _SMOOTH, _SMOOTH).astype(np.float32)
                loss = torch.nn.functional.binary_cross_entropy_with_logits(
                    net(seen), torch.from_numpy(target), weight=torch.from_numpy(examples.weight[rows])
                )
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
            tell(f"epoch {epoch + 1} of {epochs}")
    return net.eval()


def _any_lead(strips: AnnotatedStrips, row: int, rng: np.random.Generator) -> Wave:
    """One of the two leads, or a mixture of both."""
    lead, other = strips.lead[row].astype(np.float64), strips.other[row].astype(np.float64)
    draw = rng.random()
    if draw < 0.7:
        return lead if draw < 0.4 else other
    turn = rng.uniform(0, np.pi)
    both = [(one - np.median(one)) / (one.std() + 1e-6) for one in (lead, other)]
    return np.cos(turn) * both[0] + np.sin(turn) * both[1]


def _found(r_sec: Wave, rng: np.random.Generator) -> Wave:
    """R-peaks as a finder gives them, a few milliseconds off."""
    return np.sort(r_sec + rng.normal(0, _R_SEC, len(r_sec)))


def _examples(
    waves: Sequence[Wave], times: Sequence[Wave], fs: float, flutter: NDArray[np.bool_], weight: float
) -> Examples:
    x = np.stack(waves).astype(np.float32)
    peaks = [np.clip(np.round(r * fs), 0, x.shape[1] - 1).astype(np.int64) for r in times]
    seen = between_qrs(x, fs, peaks).astype(np.float16)
    return Examples(seen, flutter, np.full(len(x), weight, dtype=np.float32))
