"""What a beat is beside its references: timing, shape and surroundings as ratios and correlations (issue 4, item 3).

No column depends on gain, polarity or sampling rate, and only absolute widths on anything but the patient: what is
learned from them carries over to other recorders. Nothing is computed over a file; a patient's other strips are the
farthest that a beat is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg_engine.arrhythmia.fibrillation import Irregularity, af_probability, coherence, irregularity
from ecg_engine.arrhythmia.references import (
    BEFORE,
    QRS,
    CutBeats,
    References,
    activity_width,
    best_shift,
    shifted,
    unit_qrs,
)

Floats = NDArray[np.float32]

P_WAVE = slice(BEFORE - 60, BEFORE - 18)
"""-240 to -72 ms."""

T_WAVE = slice(BEFORE + 30, BEFORE + 100)
"""120 to 400 ms."""

MORPHOLOGY = (
    "qrs_like_strip",
    "qrs_like_patient",
    "whole_like_strip",
    "p_like_strip",
    "p_like_patient",
    "t_like_strip",
    "difference_strip",
    "difference_patient",
    "more_than_strip",
    "more_than_patient",
    "amplitude_strip",
    "amplitude_patient",
    "width_strip",
    "width_patient",
    "width",
    "area_strip",
    "slope_strip",
    "qrs_like_previous",
    "qrs_like_next",
    "strip_like_patient",
    "strip_support",
    "t_discordance",
    "p_energy",
    "inside_before",
    "inside_after",
)

TIMING = (
    "pre_over_usual",
    "pre_over_late",
    "pre_over_local",
    "post_over_usual",
    "pre_over_post",
    "both_over_usual",
    "pre_over_patient",
    "previous_pre_over_usual",
    "next_pre_over_usual",
    "pre_unknown",
    "post_unknown",
    "early",
    "early_unlike",
    "early_wide",
)

RHYTHM = ("jitter", "steps_unlike", "pairs_unlike", "p_coherence", "p_size", "usual_rr", "af")
"""One value a strip: is the rhythm of its ordinary beats irregular, and do P waves stand before them?"""

COLUMNS = MORPHOLOGY + TIMING + RHYTHM

S_COLUMNS = (
    "pre_over_usual",
    "pre_over_late",
    "pre_over_local",
    "post_over_usual",
    "pre_over_post",
    "both_over_usual",
    "pre_over_patient",
    "previous_pre_over_usual",
    "next_pre_over_usual",
    "pre_unknown",
    "post_unknown",
    "early",
    "early_unlike",
    "qrs_like_strip",
    "more_than_strip",
    "p_like_strip",
    "width_strip",
)
"""What a supraventricular ectopic is known by: early within its strip, and narrow. No column that only tells strips or
patients apart: those would be learned as short cuts from labels of strips."""

VF_COLUMNS = tuple(name for name in COLUMNS if name not in ("p_coherence", "p_size", "usual_rr"))

_CAP = 1.5


@dataclass(frozen=True)
class Context:
    """Beats as numbers.

    Attributes
    ----------
    values : float32 (n, D)
        Columns named in ``names``.
    names : tuple of str
        ``COLUMNS``.
    pictures : float32 (n, 3, 94)
        The beat, the beat less its strip's reference, and less its patient's; at 125 Hz, in units of the patient's
        reference, its main deflection upwards.
    jitter, steps_unlike, pairs_unlike, p_coherence, p_size, usual_rr, af : float32 (s,)
        See ``RHYTHM`` and :mod:`ecg_engine.arrhythmia.fibrillation`; NaN where a strip has too few beats to say.
    """

    values: Floats
    names: tuple[str, ...]
    pictures: Floats
    jitter: Floats
    steps_unlike: Floats
    pairs_unlike: Floats
    p_coherence: Floats
    p_size: Floats
    usual_rr: Floats
    af: Floats

    def column(self, name: str) -> Floats:
        """One column, float32 (n,)."""
        return self.values[:, self.names.index(name)]

    def columns(self, names: tuple[str, ...]) -> Floats:
        """Several columns, float32 (n, len(names))."""
        return self.values[:, [self.names.index(name) for name in names]]

    def s_columns(self) -> Floats:
        """``S_COLUMNS`` for the S tower, float32 (n, len(S_COLUMNS)).

        In fibrillation no beat comes before its time, since none has one: there, timing counts as on time.
        """
        calm = 1 - self.column("af")[:, None]
        timed = np.array([name in TIMING for name in S_COLUMNS])
        return np.where(timed, self.columns(S_COLUMNS) * calm, self.columns(S_COLUMNS))


def describe(beats: CutBeats, references: References, patient_rr: Floats | None = None) -> Context:
    """Compare all beats with their references.

    Parameters
    ----------
    beats : CutBeats
    references : References
        Of the same beats.
    patient_rr : float32 (p,), optional
        Usual interval of each patient in seconds where it is known from other strips; else it is taken from these.

    Returns
    -------
    Context
    """
    strip_ref = references.strip[beats.strip]
    patient_ref = references.patient[beats.patient[beats.strip]]
    to_strip = shifted(beats.waves, best_shift(beats.waves, strip_ref))
    to_patient = shifted(beats.waves, best_shift(beats.waves, patient_ref))
    shape = _shape(beats, references, strip_ref, patient_ref, to_strip, to_patient)
    ordinary = (shape["qrs_like_strip"] > 0.85) & (np.abs(shape["amplitude_strip"]) < 0.5)
    timing, strips = _timing(beats, ordinary, shape, patient_rr)
    # an ectopic P wave looks otherwise, or hides in the T wave: only beats on time tell whether the atria beat
    on_time = ordinary & (timing["pre_over_late"] > -0.15)
    rhythm = _atria(beats, references, to_strip, ordinary, on_time)
    strips.update(rhythm)
    strips["af"] = af_probability(strips["steps_unlike"], strips["pairs_unlike"], strips["p_coherence"])
    columns = {**shape, **timing}
    for name in RHYTHM:
        columns[name] = np.nan_to_num(strips[name])[beats.strip]
    values = np.stack([columns[name] for name in COLUMNS], axis=1).astype(np.float32)
    pictures = _pictures(to_strip, to_patient, strip_ref, patient_ref)
    return Context(values, COLUMNS, pictures, *(strips[name].astype(np.float32) for name in RHYTHM))


def _shape(
    beats: CutBeats,
    references: References,
    strip_ref: Floats,
    patient_ref: Floats,
    to_strip: Floats,
    to_patient: Floats,
) -> dict[str, Floats]:
    width = activity_width(beats.waves)
    out = {
        "qrs_like_strip": _dot(unit_qrs(to_strip), unit_qrs(strip_ref)),
        "qrs_like_patient": _dot(unit_qrs(to_patient), unit_qrs(patient_ref)),
        "whole_like_strip": _correlation(to_strip, strip_ref, slice(None)),
        "p_like_strip": _correlation(to_strip, strip_ref, P_WAVE),
        # an ordinary P wave in its place says conducted, however odd the QRS: a change of posture turns the axis
        "p_like_patient": np.max(
            [_correlation(to_patient, patient_ref, P_WAVE, move) for move in (-6, -3, 0, 3, 6)], 0
        ),
        "t_like_strip": _correlation(to_strip, strip_ref, T_WAVE),
        "amplitude_strip": _ratio(_height(to_strip), _height(strip_ref)),
        "amplitude_patient": _ratio(_height(to_patient), _height(patient_ref)),
        "width_strip": _ratio(width, activity_width(references.strip)[beats.strip]),
        "width_patient": _ratio(width, activity_width(references.patient)[beats.patient[beats.strip]]),
        "width": 5 * (width - 0.1),
        "area_strip": _ratio(_area(to_strip), _area(strip_ref)),
        "slope_strip": _ratio(_steepness(to_strip), _steepness(strip_ref)),
        "strip_like_patient": _dot(unit_qrs(references.strip), unit_qrs(references.patient[beats.patient]))[
            beats.strip
        ],
        "strip_support": references.strip_support[beats.strip],
        "t_discordance": _discordance(to_strip) - _discordance(strip_ref),
        "p_energy": _ratio(_spread(to_strip, P_WAVE), _spread(strip_ref, P_WAVE)),
        "inside_before": beats.inside[:, 0],
        "inside_after": beats.inside[:, 1],
    }
    for whose in ("strip", "patient"):
        out[f"difference_{whose}"] = _difference(out[f"qrs_like_{whose}"])
    # a difference tells more where beats differ little else, and less on a noisy strip
    out["more_than_strip"] = out["difference_strip"] - _medians(out["difference_strip"], beats.strip)
    out["more_than_patient"] = out["difference_patient"] - _medians(
        out["difference_patient"], beats.patient[beats.strip]
    )
    unit = unit_qrs(to_strip)
    along = np.zeros(len(beats), dtype=np.float32)
    along[1:] = np.where(np.diff(beats.strip) == 0, _dot(unit[1:], unit[:-1]), 0.0)
    out["qrs_like_previous"] = along
    out["qrs_like_next"] = np.append(along[1:], np.float32(0.0))[: len(beats)]
    return out


def _timing(
    beats: CutBeats, ordinary: NDArray[np.bool_], shape: dict[str, Floats], patient_rr: Floats | None
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    n, count = len(beats), len(beats.patient)
    pre = np.full(n, np.nan)
    pre[1:] = np.where(np.diff(beats.strip) == 0, np.diff(beats.r_sec), np.nan)
    post = np.append(pre[1:], np.nan)[:n]
    strips = {name: np.full(count, np.nan, dtype=np.float32) for name in (*Irregularity._fields, "usual_rr")}
    late, local = np.full(count, np.nan), np.full(n, np.nan)
    bounds = beats.bounds
    for row in range(count):
        first, last = bounds[row], bounds[row + 1]
        rr = pre[first + 1 : last]
        if len(rr) == 0:
            continue
        good = ordinary[first:last]
        plain = rr[good[1:] & good[:-1]]
        usual = plain if len(plain) >= 2 else rr
        strips["usual_rr"][row] = np.median(usual)
        late[row] = np.quantile(usual, 0.75)
        for i in range(1, len(rr)):  # what the beat could have expected from the intervals before it
            local[first + 1 + i] = np.median(rr[max(0, i - 4) : i])
        for name, value in irregularity(rr, good)._asdict().items():
            strips[name][row] = value
    usual_of = strips["usual_rr"].astype(np.float64)
    of_patient = _medians(usual_of, beats.patient) if patient_rr is None else patient_rr[beats.patient]
    usual_beat, late_beat = usual_of[beats.strip], late[beats.strip]
    local = np.where(np.isnan(local), usual_beat, local)
    pre_usual = _ratio(pre, usual_beat)
    early = np.clip(-np.minimum(pre_usual, 0), 0, 1)
    same_before = np.append(False, np.diff(beats.strip) == 0)[:n]
    previous = np.where(same_before, np.roll(pre_usual, 1), 0.0)
    following = np.where(np.append(same_before[1:], False)[:n], np.roll(pre_usual, -1), 0.0)
    out = {
        "pre_over_usual": pre_usual,
        "pre_over_late": _ratio(pre, late_beat),
        "pre_over_local": _ratio(pre, local),
        "post_over_usual": _ratio(post, usual_beat),
        "pre_over_post": _ratio(pre, post),
        "both_over_usual": _ratio(pre + post, 2 * usual_beat),
        "pre_over_patient": _ratio(pre, of_patient[beats.strip]),
        "previous_pre_over_usual": previous.astype(np.float32),
        "next_pre_over_usual": following.astype(np.float32),
        "pre_unknown": np.isnan(pre).astype(np.float32),
        "post_unknown": np.isnan(post).astype(np.float32),
        "early": early,
        "early_unlike": early * (1 - shape["qrs_like_strip"]),
        "early_wide": early * np.maximum(shape["width_strip"], 0),
    }
    return out, strips


def _atria(
    beats: CutBeats,
    references: References,
    to_strip: Floats,
    ordinary: NDArray[np.bool_],
    on_time: NDArray[np.bool_],
) -> dict[str, Floats]:
    """Are the stretches before ordinary QRS complexes alike, and is there something in them?"""
    count = len(beats.patient)
    whole = beats.inside[:, 0] > 0.8
    alike, fallback = (
        coherence(to_strip[chosen & whole, P_WAVE], beats.strip[chosen & whole], count)
        for chosen in (on_time, ordinary)
    )
    size = _ratio(_spread(references.strip, P_WAVE), _height(references.strip) + np.float32(1e-6), cap=8.0)
    return {"p_coherence": np.where(np.isfinite(alike), alike, fallback), "p_size": size}


def _pictures(to_strip: Floats, to_patient: Floats, strip_ref: Floats, patient_ref: Floats) -> Floats:
    qrs = patient_ref[:, QRS]
    main = np.take_along_axis(qrs, np.abs(qrs).argmax(axis=1)[:, None], axis=1)
    unit = np.sign(main) / (_height(patient_ref)[:, None] + np.float32(1e-6))
    channels = np.stack([to_strip, to_strip - strip_ref, to_patient - patient_ref], axis=1)[:, :, ::2]
    return np.clip(channels * unit[:, None], -3, 3).astype(np.float32)


def _dot(a: Floats, b: Floats) -> Floats:
    return np.einsum("ij,ij->i", a, b)


def _correlation(a: Floats, b: Floats, part: slice, move: int = 0) -> Floats:
    x, y = a[:, part.start + move : part.stop + move] if move else a[:, part], b[:, part]
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    return _dot(x, y) / (np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1) + np.float32(1e-6))


def _difference(likeness: Floats) -> Floats:
    """What a scaled reference leaves of a beat, share of its energy as a power of ten: -3 to 0.

    A correlation with more room near 1. Amplitude has columns of its own: gain drifts over hours.
    """
    return np.log10(1 - np.maximum(likeness, 0) ** 2 + 1e-3).astype(np.float32)


def _height(a: Floats) -> Floats:
    return np.ptp(a[:, QRS], axis=1)


def _area(a: Floats) -> Floats:
    return np.abs(a[:, QRS]).mean(axis=1) / (_height(a) + np.float32(1e-6))


def _steepness(a: Floats) -> Floats:
    return np.abs(np.diff(a[:, QRS], axis=1)).max(axis=1)


def _spread(a: Floats, part: slice) -> Floats:
    return a[:, part].std(axis=1)


def _discordance(a: Floats) -> Floats:
    """T wave against QRS: positive if on the same side, in units of the QRS."""
    base = a[:, BEFORE - 30 : BEFORE - 20].mean(axis=1, keepdims=True)
    qrs, t = (a[:, QRS] - base), (a[:, T_WAVE] - base).mean(axis=1)
    return np.clip(t * np.sign(qrs.mean(axis=1)) / (_height(a) + np.float32(1e-6)), -1, 1).astype(np.float32)


def _ratio(a: NDArray[np.floating], b: NDArray[np.floating], cap: float = _CAP) -> Floats:
    """Logarithm of a ratio, held to a cap; 0 where it is not known."""
    known = np.isfinite(a) & np.isfinite(b) & (a > 0) & (b > 0)
    value = np.log(np.where(known, a, 1.0) / np.where(known, b, 1.0))
    return np.clip(value, -cap, cap).astype(np.float32)


def _medians(values: NDArray[np.floating], group: NDArray[np.int64]) -> Floats:
    """Median of the known values in each row's group, for each row; NaN where a group has none."""
    out = np.full(len(values), np.nan, dtype=np.float32)
    order = np.argsort(group, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if len(order) else []:
        known = values[rows][np.isfinite(values[rows])]
        if len(known):
            out[rows] = np.median(known)
    return out
