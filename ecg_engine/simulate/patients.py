"""What makes one simulated patient's beats look alike: the Gaussians of P, Q, R, S and T.

The sum of Gaussians follows McSharry et al. 2003 (A dynamical model for generating synthetic
electrocardiogram signals), with two widths a wave, since P and T are not symmetric.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Wave(NamedTuple):
    """One deflection: height in mV, centre in s after the R-peak, widths (sigma) in s before and after its top."""

    height: float
    centre: float
    before: float
    after: float


class Patient(NamedTuple):
    """One person: the shapes of her beats and how her heart and her electrodes behave.

    Attributes
    ----------
    p, qrs, t
        Waves of a sinus beat at an RR of 0.8 s; ``p`` and ``t`` move with the rate.
    ectopic_p
        P wave of a premature atrial beat.
    foci
        Waves of the ventricular beats from two places.
    resting_rr
        Sinus RR interval at rest, in s.
    variability
        Share by which RR intervals vary (respiratory and random).
    respiration_hz, respiration_mv, respiration_gain
        Breathing: rate, movement of the baseline, share by which it scales the beats.
    offset
        Where the recorder's zero lies, in units.
    """

    p: tuple[Wave, ...]
    qrs: tuple[Wave, ...]
    t: tuple[Wave, ...]
    ectopic_p: tuple[Wave, ...]
    foci: tuple[tuple[Wave, ...], tuple[Wave, ...]]
    resting_rr: float
    variability: float
    respiration_hz: float
    respiration_mv: float
    respiration_gain: float
    offset: float


def make_patient(rng: np.random.Generator) -> Patient:
    """A person at random, within what lead MLII shows in adults."""
    draw = rng.uniform
    r = draw(0.7, 1.7)
    pr = draw(0.13, 0.19)
    wide = rng.random() < 0.15  # bundle branch block: a broad, notched R and a T against it
    if wide:
        width = draw(0.021, 0.026)
        qrs: tuple[Wave, ...] = (
            Wave(r * 0.8, -0.012, width, width),
            Wave(r * 0.65, 0.036, width, width * 1.1),
            Wave(-r * draw(0.05, 0.2), 0.088, 0.016, 0.022),
        )
        t_height = -draw(0.10, 0.30)
    else:
        width = draw(0.0095, 0.0135)
        qrs = (
            Wave(-r * draw(0.02, 0.16), -0.030, 0.009, 0.008),
            Wave(r, 0.0, width, width),
            Wave(-r * draw(0.05, 0.38), draw(0.027, 0.033), 0.010, 0.014),
        )
        t_height = draw(0.14, 0.42) if rng.random() > 0.12 else -draw(0.08, 0.22)
    p_height = draw(0.07, 0.18)
    p_width = draw(0.018, 0.024)
    p = (Wave(p_height, -pr - 0.012, p_width, p_width), Wave(p_height * 0.55, -pr + 0.022, p_width, p_width * 0.9))
    late = draw(0.25, 0.30)
    t = (Wave(t_height, late, draw(0.055, 0.075), draw(0.030, 0.042)), Wave(draw(-0.03, 0.05), 0.12, 0.05, 0.06))
    early = draw(0.10, 0.14)
    turned = rng.choice([-1.0, 1.0], p=[0.6, 0.4])
    ectopic_p = (
        Wave(turned * p_height * draw(0.6, 1.1), -early - 0.01, 0.013, 0.016),
        Wave(-turned * p_height * draw(0.2, 0.5), -early + 0.025, 0.013, 0.013),
    )
    upright = bool(rng.random() < 0.55)
    foci = (_focus(rng, r, upright), _focus(rng, r, not upright))
    return Patient(
        p=p,
        qrs=qrs,
        t=t,
        ectopic_p=ectopic_p,
        foci=foci,
        resting_rr=draw(0.68, 0.94),
        variability=draw(0.02, 0.05),
        respiration_hz=draw(0.18, 0.32),
        respiration_mv=draw(0.02, 0.09),
        respiration_gain=draw(0.02, 0.07),
        offset=draw(940.0, 1060.0),
    )


def _focus(rng: np.random.Generator, r: float, upright: bool) -> tuple[Wave, ...]:
    """A ventricular beat: no P, a QRS of 0.13 to 0.18 s, and a T against its main deflection."""
    draw = rng.uniform
    height = max(r, 0.9) * draw(1.05, 1.6) * (1 if upright else -1) * (1.0 if upright else 0.8)
    width = draw(0.027, 0.036)
    return (
        Wave(-height * draw(0.05, 0.22), -0.075, 0.014, 0.018),
        Wave(height, 0.0, width, width * draw(1.0, 1.25)),
        Wave(height * draw(0.0, 0.30), 0.052, 0.014, 0.018),
        Wave(-height * draw(0.15, 0.55), draw(0.10, 0.13), 0.028, 0.036),
        Wave(-height * draw(0.22, 0.42), draw(0.29, 0.34), 0.070, 0.055),
    )


def add_waves(
    signal: npt.NDArray[np.float64],
    fs: float,
    time: float,
    waves: tuple[Wave, ...],
    *,
    scale: float = 1.0,
    stretch: float = 1.0,
) -> None:
    """Add a beat's waves to ``signal`` (mV, shape (n,)) in place, its R-peak at ``time`` s.

    ``stretch`` moves the centres of the waves and widens them; the part outside the strip is left out.
    """
    for wave in waves:
        centre = time + wave.centre * stretch
        before, after = wave.before * stretch, wave.after * stretch
        low = max(0, int(np.ceil((centre - 4.5 * before) * fs)))
        high = min(len(signal), int((centre + 4.5 * after) * fs) + 1)
        if low >= high:
            continue
        distance = np.arange(low, high) / fs - centre
        width = np.where(distance < 0, before, after)
        signal[low:high] += scale * wave.height * np.exp(-0.5 * (distance / width) ** 2)
