"""What can be measured of the noise around a moment of a strip, as shares of the strip's own QRS height.

Nothing here depends on gain, offset, polarity, sampling rate or other strips. Everything is local: within half a second
of a beat (or of any other moment), so that a burst does not spoil the rest of its strip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft
from scipy.ndimage import maximum_filter1d, minimum_filter1d, uniform_filter1d

from ecg_engine.arrhythmia.traces import RATE, close_circle, zero_phase_gain

Floats = NDArray[np.float32]
Peaks = list[NDArray[np.int64]]

MOMENT_FEATURES = ("unrest", "path", "jolt")
"""Of any moment, as logs: the 8-45 Hz level between QRS complexes; the path that the trace travels; the largest swing
between QRS complexes."""

BEAT_FEATURES = ("unrest", "path", "rest", "unlike", "doubt")
"""Of beats: level and path likewise; the range of the trace where the heart rests, between T wave and QRS complex, for
an ectopic beat's own T wave swings; how unlike every other beat of the strip; how unsure the R-peak finder is."""

STRIP_FEATURES = (*MOMENT_FEATURES, *(f"{name}_worst" for name in MOMENT_FEATURES), "unlike", "unlike_worst", "doubt")
"""Of a strip: median and 80th percentile over its moments; median and 80th percentile over its beats; total doubt."""

TICK_SEC = 0.25
_NEAR_SEC, _QRS_SEC, _HEIGHT_SEC = 0.45, 0.13, 0.06
_BEFORE_SEC, _AFTER_SEC, _MOST_SHIFT = 0.16, 0.24, 4
_REST_BEGINS_SEC, _REST_ENDS_SEC, _REST_NEAR_SEC, _LEAST_REST_SEC = 0.40, 0.14, 0.55, 0.08
"""Rest after one R-peak and before the next, looked for so near to a beat, and so much of it at least."""
_USUAL_REST = 0.17
"""Range at rest, as a share of the QRS height, of a beat that comes too fast to have any."""
_WORST = 80
_UNKNOWN_UNLIKE = float(np.log(0.23))
"""Of a lone beat: as of one that correlates with another by .8."""
_USUAL_UNSURE, _USUAL_DOUBT = float(np.log(0.021)), float(np.log(0.011))
_DRIFT_HZ, _SLOW_HZ, _BODY_HZ = 0.7, 8.0, 45.0


class NoiseTraces(NamedTuple):
    """Strips of one length, seen for their noise.

    Attributes
    ----------
    rate : float
        Hz of the traces.
    drift, body, quick : float32 (k, m)
        Below 0.7 Hz; 0.7-45 Hz; 8-45 Hz.
    height : float32 (k,)
        The strip's own measure: median height of its QRS complexes in ``body``; 0 for a flat strip.
    """

    rate: float
    drift: Floats
    body: Floats
    quick: Floats
    height: Floats


class NoiseFeatures(NamedTuple):
    """What the noise of a block of strips is judged by.

    Attributes
    ----------
    beat : float32 (b, 5)
        See ``BEAT_FEATURES``; beats in the order of the strips.
    strip : float32 (k, 9)
        See ``STRIP_FEATURES``.
    beat_drift : float32 (b,)
        Range of the baseline within half a second of each beat, as a share of the QRS height.
    strip_drift : float32 (k,)
        Standard deviation of each strip's baseline, as a share of the QRS height.
    beat_height : float32 (b,)
        Height of each QRS complex as a share of the strip's median.
    row : int64 (b,)
        Strip of each beat.
    """

    beat: Floats
    strip: Floats
    beat_drift: Floats
    strip_drift: Floats
    beat_height: Floats
    row: NDArray[np.int64]


def noise_features(
    traces: NoiseTraces, fs: float, peaks: Peaks, probability: Sequence[Floats] | None, doubt: Floats | None
) -> NoiseFeatures:
    """Features of all beats and strips of a block.

    Parameters
    ----------
    traces : NoiseTraces
    fs : float
        Hz, of the strips.
    peaks : list of int64 arrays
        R-peaks of each strip in samples.
    probability : sequence of float32 arrays, optional
        How likely each R-peak is one; without it, as unsure as clean ones are on average.
    doubt : float32 (k,), optional
        As :func:`ecg_engine.arrhythmia.rpeaks.find_rpeaks_of_block` gives it; without it likewise.
    """
    row, at = places(traces, fs, peaks)
    running = moments(traces, row, at)
    ticks = tick_places(traces)
    of_ticks = np.stack([one[:, ticks] for one in running], axis=2)
    unrest, path = (one[row, at] for one in running[:2])
    rest, unlike = range_at_rest(traces, row, at), unlikeness(traces, row, at)
    if probability is None:
        unsure = np.full(len(row), _USUAL_UNSURE, dtype=np.float32)
    else:
        unsure = np.log(1.02 - np.clip(np.concatenate([*probability, np.zeros(0)]), 0, 1))
    unlike_typical, unlike_worst = _typical_and_worst(unlike, row, len(traces.body))
    total = np.full(len(traces.body), _USUAL_DOUBT) if doubt is None else np.log(doubt + 0.01)
    strip = np.concatenate(
        [
            np.median(of_ticks, axis=1),
            np.percentile(of_ticks, _WORST, axis=1),
            np.stack([unlike_typical, unlike_worst, total], axis=1),
        ],
        axis=1,
    )
    height = np.maximum(traces.height, 1e-12)
    return NoiseFeatures(
        np.stack([unrest, path, rest, unlike, unsure], axis=1).astype(np.float32),
        strip.astype(np.float32),
        drift_range(traces)[row, at],
        np.asarray(traces.drift.std(axis=1) / height, dtype=np.float32),
        np.asarray(_swing(traces.body, traces.rate)[row, at] / height[row], dtype=np.float32),
        row,
    )


def _typical_and_worst(
    values: Floats, row: NDArray[np.int64], count: int
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Median and 80th percentile of each strip's beats; a middling value for a strip without any."""
    typical = np.full(count, _UNKNOWN_UNLIKE)
    worst = typical.copy()
    cuts = np.cumsum(np.bincount(row, minlength=count))[:-1]
    for number, part in enumerate(np.split(values, cuts)):
        if len(part):
            typical[number], worst[number] = np.percentile(part, [50, _WORST])
    return typical, worst


def noise_traces(x: Floats, fs: float, peaks: Peaks) -> NoiseTraces:
    """Traces of strips of one length.

    Parameters
    ----------
    x : float32 (k, n)
        Raw, in any unit.
    fs : float
        Hz.
    peaks : list of int64 arrays
        R-peaks of each strip in samples.
    """
    closed = close_circle(x, fs)
    spectrum = rfft(closed, axis=1)
    whole = closed.shape[1]
    slots = max(8, round(whole * RATE / fs))
    rate = slots * fs / whole
    kept = int((x.shape[1] - 1) / fs * rate) + 1
    bins = min(spectrum.shape[1], slots // 2 + 1)
    hz = np.arange(bins) * fs / whole

    def traced(gain: NDArray[np.floating]) -> Floats:
        gained = spectrum[:, :bins] * (gain * (slots / whole)).astype(np.float32)
        return irfft(gained, n=slots, axis=1)[:, :kept].astype(np.float32)

    drift = traced(1 / (1 + (hz / _DRIFT_HZ) ** 4))
    body = traced(zero_phase_gain(hz, _DRIFT_HZ, _BODY_HZ))
    quick = traced(zero_phase_gain(hz, _SLOW_HZ, _BODY_HZ))
    return NoiseTraces(rate, drift, body, quick, _heights(body, rate, fs, peaks))


def places(traces: NoiseTraces, fs: float, peaks: Peaks) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and trace sample of every beat, int64 (b,)."""
    row = np.repeat(np.arange(len(peaks)), [len(one) for one in peaks])
    r = np.concatenate([*peaks, np.zeros(0, dtype=np.int64)])
    at = np.clip(np.rint(r / fs * traces.rate).astype(np.int64), 0, traces.body.shape[1] - 1)
    return row, at


def tick_places(traces: NoiseTraces) -> NDArray[np.int64]:
    """Trace samples of the moments that a strip as a whole is judged by, int64 (t,)."""
    length = traces.body.shape[1]
    seconds = np.arange(0.5 * TICK_SEC, max(length / traces.rate, TICK_SEC), TICK_SEC)
    return np.minimum(np.rint(seconds * traces.rate).astype(np.int64), length - 1)


def moments(traces: NoiseTraces, peak_row: NDArray[np.int64], peak_at: NDArray[np.int64]) -> list[Floats]:
    """Running features of whole strips, each float32 (k, m).

    Parameters
    ----------
    traces : NoiseTraces
    peak_row, peak_at : int64 (b,)
        Where the beats are, as :func:`places` gives them.
    """
    count, length = traces.body.shape
    rate = traces.rate
    height = np.maximum(traces.height, 1e-12)[:, None]
    near = 2 * round(_NEAR_SEC * rate) + 1

    between = np.ones((count, length), dtype=np.float32)
    between[peak_row, peak_at] = 0
    between = minimum_filter1d(between, 2 * round(_QRS_SEC * rate) + 1, axis=1, mode="nearest")
    share = uniform_filter1d(between, near, axis=1, mode="nearest")
    calm = np.abs(traces.quick) * between
    unrest = np.sqrt(
        np.maximum(uniform_filter1d(calm * calm, near, axis=1, mode="nearest"), 0) / np.maximum(share, 0.1)
    )
    jolt = maximum_filter1d(np.abs(traces.body) * between, near, axis=1, mode="nearest")
    path = uniform_filter1d(np.abs(np.diff(traces.body, axis=1, prepend=traces.body[:, :1])), near, axis=1)
    return [
        np.log(unrest / height + 5e-3),
        np.log(path * rate / height + 0.5),
        np.log(jolt / height + 0.03),
    ]


def range_at_rest(traces: NoiseTraces, peak_row: NDArray[np.int64], peak_at: NDArray[np.int64]) -> Floats:
    """How far the trace moves where the heart rests around each beat: log of its share of the height, float32 (b,)."""
    count, length = traces.body.shape
    rate = traces.rate
    steps = np.zeros((count, length + 1), dtype=np.int32)
    np.add.at(steps, (peak_row, np.clip(peak_at - round(_REST_ENDS_SEC * rate), 0, length)), 1)
    np.add.at(steps, (peak_row, np.clip(peak_at + round(_REST_BEGINS_SEC * rate), 0, length)), -1)
    resting = np.cumsum(steps[:, :length], axis=1) == 0
    reach = round(_REST_NEAR_SEC * rate)
    near = 2 * reach + 1
    high = maximum_filter1d(np.where(resting, traces.body, -np.inf), near, axis=1, mode="nearest")[peak_row, peak_at]
    low = minimum_filter1d(np.where(resting, traces.body, np.inf), near, axis=1, mode="nearest")[peak_row, peak_at]
    so_far = np.concatenate([np.zeros((count, 1), dtype=np.int64), np.cumsum(resting, axis=1)], axis=1)
    last, first = np.minimum(peak_at + reach + 1, length), np.maximum(peak_at - reach, 0)
    enough = so_far[peak_row, last] - so_far[peak_row, first] >= _LEAST_REST_SEC * rate
    moved = np.where(enough, high, 0) - np.where(enough, low, 0)
    height = np.maximum(traces.height, 1e-12)[peak_row]
    return np.log(np.where(enough, moved / height, _USUAL_REST) + 0.03).astype(np.float32)


def drift_range(traces: NoiseTraces) -> Floats:
    """Range of the baseline within half a second of each sample, as a share of the QRS height, float32 (k, m)."""
    near = 2 * round(0.5 * traces.rate) + 1
    high = maximum_filter1d(traces.drift, near, axis=1, mode="nearest")
    low = minimum_filter1d(traces.drift, near, axis=1, mode="nearest")
    return np.asarray((high - low) / np.maximum(traces.height, 1e-12)[:, None], dtype=np.float32)


def unlikeness(traces: NoiseTraces, peak_row: NDArray[np.int64], peak_at: NDArray[np.int64]) -> Floats:
    """How unlike each beat is to every other of its strip: log(1.03 - largest correlation), float32 (b,).

    An ectopic beat is like the next one of its kind; a lone beat of a strip says nothing and is given a middling value.
    """
    rate, length = traces.rate, traces.body.shape[1]
    offsets = np.arange(-round(_BEFORE_SEC * rate), round(_AFTER_SEC * rate) + 1)

    def unit(shift: int) -> Floats:
        index = np.clip(peak_at[:, None] + offsets + shift, 0, length - 1)
        part = traces.body[peak_row[:, None], index]
        part = part - part.mean(axis=1, keepdims=True)
        return part / (np.linalg.norm(part, axis=1, keepdims=True) + np.float32(1e-12))

    counts = np.bincount(peak_row, minlength=len(traces.body))
    most = int(counts.max(initial=0))
    if most < 2:
        return np.full(len(peak_at), _UNKNOWN_UNLIKE, dtype=np.float32)
    place = np.arange(len(peak_row)) - np.repeat(np.cumsum(counts) - counts, counts)
    still = np.zeros((len(traces.body), most, len(offsets)), dtype=np.float32)
    still[peak_row, place] = unit(0)
    alike = np.full((len(traces.body), most, most), -1, dtype=np.float32)
    for shift in range(-_MOST_SHIFT, _MOST_SHIFT + 1, 2):
        moved = np.zeros_like(still)
        moved[peak_row, place] = unit(shift)
        np.maximum(alike, moved @ still.transpose(0, 2, 1), out=alike)
    alike[:, np.arange(most), np.arange(most)] = -1
    there = np.zeros((len(traces.body), most), dtype=bool)
    there[peak_row, place] = True
    alike[~np.broadcast_to(there[:, None, :], alike.shape)] = -1
    found = alike.max(axis=2)[peak_row, place]
    return np.where(counts[peak_row] > 1, np.log(1.03 - found), _UNKNOWN_UNLIKE).astype(np.float32)


def _heights(body: Floats, rate: float, fs: float, peaks: Peaks) -> Floats:
    """Median height of the QRS complexes; of strips without any, of the largest swing of each second."""
    swing = _swing(body, rate)
    height = np.zeros(len(body), dtype=np.float32)
    for row, one in enumerate(peaks):
        if len(one):
            at = np.clip(np.rint(one / fs * rate).astype(np.int64), 0, body.shape[1] - 1)
            height[row] = np.median(swing[row, at])
        else:
            height[row] = np.median([part.max() for part in np.array_split(swing[row], 8) if len(part)])
    return height


def _swing(body: Floats, rate: float) -> Floats:
    """Range of the trace within 60 ms of each sample, float32 (k, m)."""
    reach = 2 * round(_HEIGHT_SEC * rate) + 1
    high = maximum_filter1d(body, reach, axis=1, mode="nearest")
    return high - minimum_filter1d(body, reach, axis=1, mode="nearest")
