"""Strips composed of one patient's own beats and rest, in a rhythm of our choice: what the flutter head learns from.

From an ordinary strip come the shape of its beat, parted into P wave and QRS-T, and the rest: the line without them,
with the noise and the drift of a real recorder. They are put together again under saw-tooth waves that are conducted
in any way, or as what may be mistaken for flutter: sinus rhythm, a fast one whose P and T waves alternate, fibrillating
atria. So what tells the two sides apart is the rhythm alone, not the recorder, the electrode or the patient.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

Wave = NDArray[np.float64]

KINDS = ("flutter", "sinus", "tachycardia", "fibrillation")

_BEFORE_SEC, _AFTER_SEC, _LEAST_BEATS = 0.32, 0.60, 4
_P_SEC = (-0.30, -0.26, -0.09, -0.06)
"""Where the P wave begins to be counted, is, ceases to be and is not: it shares no sample in full with the QRS."""

_FLUTTER_HZ, _SPREAD_HZ, _SLOWEST_HZ, _FASTEST_HZ = 4.75, 0.5, 3.7, 6.0
"""Waves a second: the mean, its spread, and the bounds (222 to 360 a minute)."""

_HUMPED = 0.5
"""Share of strips whose beats repolarise otherwise than the patient's: notched and late T waves, and P waves on them,
are of as many shapes as there are patients."""

_HEIGHTS = (0.05, 0.45)
"""Of flutter waves, as a share of the QRS complex from peak to peak."""


class BeatShape(NamedTuple):
    """What a strip is composed of.

    Attributes
    ----------
    seconds, wave : float64 (L,)
        The median ordinary beat, from 0.32 s before to 0.6 s after its R-peak.
    rest : float64 (n,)
        The strip less that beat at each of its beats.
    rr : float
        Median interval in s.
    """

    seconds: Wave
    wave: Wave
    rest: Wave
    rr: float

    @property
    def height(self) -> float:
        """Of the QRS complex from peak to peak."""
        return float(np.ptp(self.wave[np.abs(self.seconds) < 0.1]))


class Composed(NamedTuple):
    """A composed strip.

    Attributes
    ----------
    wave : float64 (n,)
    r_sec : float64 (b,)
    height : float
        Of the atrial waves, as a share of the QRS complex; 0 in sinus rhythm.
    conduction : float
        Atrial waves for each beat, the median; 0 but in flutter.
    """

    wave: Wave
    r_sec: Wave
    height: float = 0.0
    conduction: float = 0.0


def beat_shape(wave: Wave, beats: NDArray[np.float64], fs: float) -> BeatShape | None:
    """Part a strip of ordinary beats into their shape and the rest; None if fewer than four lie whole on it.

    Parameters
    ----------
    wave : float64 (n,)
    beats : float64 (b,)
        Samples of the R-peaks.
    fs : float
        Hz.
    """
    sos = butter(2, [0.5, min(40.0, 0.45 * fs)], btype="bandpass", fs=fs, output="sos")
    line = sosfiltfilt(sos, wave - np.median(wave))
    before, after, at = round(_BEFORE_SEC * fs), round(_AFTER_SEC * fs), np.round(beats).astype(np.int64)
    whole = at[(at >= before) & (at + after <= len(line))]
    if len(whole) < _LEAST_BEATS:
        return None
    shape = np.median([line[one - before : one + after] for one in whole], axis=0)
    rr = float(np.median(np.diff(at)))
    rest = line.copy()
    # the next beat takes back its own P wave
    reach = min(after, round(rr - 0.6 * before))
    for one in at:
        first, last = max(0, one - before), min(len(line), one + reach)
        rest[first:last] -= shape[first - one + before : last - one + before]
    return BeatShape(np.arange(-before, after) / fs, shape, rest, rr / fs)


def compose(shape: BeatShape, kind: str, fs: float, rng: np.random.Generator) -> Composed:
    """A strip as long as the one that the shape is of.

    Parameters
    ----------
    shape : BeatShape
    kind : str
        One of ``KINDS``.
    fs : float
        Hz.

    Raises
    ------
    ValueError
        On another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; the choices are {', '.join(KINDS)}")
    length = len(shape.rest)
    height = conduction = 0.0
    atria: Wave = np.zeros(length)
    if kind == "flutter":
        height = float(np.exp(rng.uniform(*np.log(_HEIGHTS))))
        atria, r_sec, conduction = _flutter(length, fs, rng)
    elif kind == "fibrillation":
        height = float(np.exp(rng.uniform(np.log(0.01), np.log(0.3))))
        atria, r_sec = _fibrillation(length, fs, rng)
    else:
        r_sec = _sinus(length / fs, rng.uniform(*((45, 105) if kind == "sinus" else (95, 170))), rng)
    interval = float(np.median(np.diff(r_sec))) if len(r_sec) > 1 else shape.rr
    stretch = float(np.clip(np.sqrt(interval / shape.rr), 0.6, 1.25))
    ventricles = _qrs_t(shape, stretch, rng.uniform(0.3, 1.4))
    if rng.random() < _HUMPED:
        ventricles += shape.height * _humps(shape.seconds / stretch, rng)
    breath = 1 + rng.uniform(0, 0.1) * np.sin(2 * np.pi * (rng.uniform(0.15, 0.4) * r_sec + rng.random()))
    wave = _placed(length, fs, r_sec, ventricles, breath) + shape.height * height * atria
    if kind in ("sinus", "tachycardia"):
        early = rng.uniform(-0.12, 0.02)
        wave += _placed(length, fs, r_sec + early, _p_wave(shape) * rng.uniform(0.5, 2.0), breath)
    return Composed(wave + shape.rest * rng.uniform(0.5, 1.5), r_sec, height, conduction)


def _ramp(seconds: Wave, begin: float, end: float) -> Wave:
    return np.clip((seconds - begin) / (end - begin), 0, 1)


def _qrs_t(shape: BeatShape, stretch: float, t_gain: float) -> Wave:
    """The beat without its P wave, on a line that begins and ends at zero; its T wave as long as the rate has it."""
    seconds, wave = shape.seconds, shape.wave
    end = min(0.5, shape.rr - 0.25)
    start_level = np.median(wave[(seconds > -0.09) & (seconds < -0.055)])
    late = (seconds > end - 0.05) & (seconds < end)
    end_level = np.median(wave[late]) if late.any() else start_level
    level = start_level + (end_level - start_level) * _ramp(seconds, -0.05, max(end, 0.0))
    beat = (wave - level) * _ramp(seconds, *_P_SEC[2:]) * (1 - _ramp(seconds, end - 0.04, end + 0.02))
    early = beat * (1 - _ramp(seconds, 0.08, 0.14))
    return early + np.interp(0.1 + (seconds - 0.1) / stretch, seconds, t_gain * (beat - early), left=0, right=0)


def _humps(seconds: Wave, rng: np.random.Generator) -> Wave:
    """One to three humps after the QRS complex, as shares of its height."""
    out = np.zeros(len(seconds))
    for _ in range(int(rng.integers(1, 4))):
        height = rng.choice([-1, 1]) * np.exp(rng.uniform(np.log(0.02), np.log(0.3)))
        out += height * np.exp(-0.5 * ((seconds - rng.uniform(0.16, 0.48)) / rng.uniform(0.02, 0.06)) ** 2)
    return out * _ramp(seconds, 0.04, 0.12) * (1 - _ramp(seconds, 0.5, 0.58))


def _p_wave(shape: BeatShape) -> Wave:
    seconds = shape.seconds
    level = np.median(shape.wave[(seconds > -0.09) & (seconds < -0.055)])
    return (shape.wave - level) * _ramp(seconds, *_P_SEC[:2]) * (1 - _ramp(seconds, *_P_SEC[2:]))


def _placed(length: int, fs: float, times: Wave, shape: Wave, gains: Wave) -> Wave:
    """Copies of a shape, each at its time to a part of a sample."""
    out, ticks = np.zeros(length), np.arange(len(shape) + 1)
    for time, gain in zip(times, gains, strict=True):
        place = (time - _BEFORE_SEC) * fs
        whole = int(np.floor(place))
        moved = gain * np.interp(ticks - (place - whole), ticks[:-1], shape, left=0, right=0)
        first, last = max(0, whole), min(length, whole + len(moved))
        if first < last:
            out[first:last] += moved[first - whole : last - whole]
    return out


def _flutter(length: int, fs: float, rng: np.random.Generator) -> tuple[Wave, Wave, float]:
    """Waves of height 1, the beats that they lead to, and how many there are to a beat."""
    seconds = np.arange(length) / fs
    hz = float(np.clip(rng.normal(_FLUTTER_HZ, _SPREAD_HZ), _SLOWEST_HZ, _FASTEST_HZ))
    drift = 1 + rng.uniform(0, 0.012) * np.sin(2 * np.pi * (rng.uniform(0.05, 0.3) * seconds + rng.random()))
    cycles = np.cumsum(hz * drift) / fs + rng.random()
    way = rng.choice(["fixed", "variable", "alternating", "loose"], p=[0.4, 0.3, 0.1, 0.2])
    pool = rng.choice([2, 3, 4, 5, 6], size=int(rng.integers(2, 4)), replace=False)
    count = int(cycles[-1]) + 4
    if way == "fixed":
        steps = np.full(count, rng.choice([2, 3, 4, 5], p=[0.4, 0.2, 0.32, 0.08]))
    elif way == "alternating":
        steps = np.resize([2, 4], count)
    else:
        steps = rng.choice(pool, size=count)
    # the node passes waves on with a delay that varies little, or as in fibrillation
    delay = rng.uniform(0.05, 0.3) if way == "loose" else rng.uniform(0, 0.03)
    conducted = cycles[0] - rng.uniform(0, 4) + np.cumsum(steps) + rng.normal(0, delay, count)
    r_sec = np.interp(conducted, cycles, seconds, left=-1.0, right=np.inf)
    r_sec = np.sort(r_sec[(r_sec > 0) & (r_sec < length / fs)])
    swell = 1 + rng.uniform(0, 0.15) * np.sin(2 * np.pi * (rng.uniform(0.15, 0.4) * seconds + rng.random()))
    return swell * _saw_teeth(2 * np.pi * cycles, rng), r_sec, float(np.median(steps))


def _saw_teeth(phase: Wave, rng: np.random.Generator) -> Wave:
    """Saw teeth of either polarity, sharp or rounded, leaning or upright, from peak to peak 1."""
    steep, lean = rng.uniform(1.0, 2.2), rng.uniform(0, 2 * np.pi) * (rng.random() < 0.5)
    teeth = np.sum([np.sin(k * phase + (k - 1) * lean) / k**steep for k in range(1, 6)], axis=0)
    return np.asarray(rng.choice([-1, 1]) * teeth / (np.ptp(teeth) + 1e-9))


def _fibrillation(length: int, fs: float, rng: np.random.Generator) -> tuple[Wave, Wave]:
    """Waves whose rate and height wander, of height about 1, and beats that come as they will."""
    rate = rng.uniform(4.2, 8.5) * (1 + rng.uniform(0.1, 0.3) * _wander(length, fs, 0.3, 2.0, rng))
    swell = np.clip(1 + rng.uniform(0.3, 0.7) * _wander(length, fs, 0.2, 1.2, rng), 0.05, None)
    waves = swell * _saw_teeth(2 * np.pi * np.cumsum(rate) / fs, rng)
    mean = rng.uniform(0.45, 1.0)
    r_sec = np.cumsum(np.clip(rng.gamma(25.0, mean / 25.0, round(length / fs / 0.3) + 2), 0.3, 2.0))
    r_sec = r_sec - rng.uniform(0, r_sec[0])
    return waves, r_sec[r_sec < length / fs]


def _wander(length: int, fs: float, low_hz: float, high_hz: float, rng: np.random.Generator) -> Wave:
    """Noise of a narrow band, of unit standard deviation."""
    margin = round(4 * fs)
    sos = butter(2, [low_hz, high_hz], btype="bandpass", fs=fs, output="sos")
    noise = sosfiltfilt(sos, rng.standard_normal(length + 2 * margin))[margin:-margin]
    return np.asarray(noise / (noise.std() + 1e-9))


def _sinus(duration: float, rate: float, rng: np.random.Generator) -> Wave:
    """Times of beats of about this rate a minute: breathing, a little unrest, sometimes an early beat."""
    rr, count = 60 / rate, int(duration * rate / 60) + 3
    slow = np.sin(2 * np.pi * (rng.uniform(0.15, 0.4) * rr * np.arange(count) + rng.random()))
    intervals = rr * (1 + rng.uniform(0, 0.06) * min(1.0, rr / 0.7) * slow + rng.normal(0, 0.006, count))
    if rng.random() < 0.15:
        early, factor = int(rng.integers(0, count - 1)), rng.uniform(0.55, 0.85)
        intervals[early] *= factor
        intervals[early + 1] *= rng.uniform(1.0, 2.0 - factor)
    times = np.cumsum(intervals) - rng.uniform(0, rr)
    return np.asarray(times[(times > 0) & (times < duration)])
