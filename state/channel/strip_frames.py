"""Strips, their beats, and shapes to compare beats with, as parts of a frame. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_engine.conditioning import bandpass, blocks, stacked, zscore
from ecg_engine.errors import InputError
from ecg_engine.labels import label_id
from ecg_engine.preprocess import Run
from ecg_engine.strips import Strips
from ecg_engine.tables import NO_PATIENT
from ecg_engine.validation import mix_purity
from state.anchors import BeatIndex
from state.channel.frames import FrameWriter
from state.effective import Effective
from state.members import effective_library
from state.strip_beats import beats_of_strips
from state.strip_rows import UNKNOWN_PATIENT
from state.targets import STRIP, parse_target

PAIRS = 300
"""Pairs of least and largest value that a small strip is thinned to."""


def the_strips(run: Run) -> Strips:
    """The strips of a run.

    Raises
    ------
    InputError
        If it keeps none.
    """
    if run.strips is None:
        raise InputError("this run keeps no strips, only beats", remedy="Preprocess the file again to see its strips.")
    return run.strips


def add_strips(
    frame: FrameWriter,
    run: Run,
    index: BeatIndex,
    effective: Effective,
    places: Sequence[int],
    *,
    units_per_mv: float,
    reader: str = "",
    blind: Collection[int] = (),
    small: bool = False,
) -> dict[str, dict[str, Any]]:
    """Put strips into a frame.

    Parameters
    ----------
    places : sequence of int
        Of the strips in the run.
    units_per_mv : float
        The study's gain.
    reader : str
        Who is to see them.
    blind : collection of int
        Places whose beats and marks are shown as they would be without any other reader's words.
    small : bool
        A thinned envelope in place of the traces.

    Returns
    -------
    dict
        ``strips`` of the header: by hash.
    """
    strips, places = the_strips(run), list(dict.fromkeys(places))
    hidden = [place for place in places if place in blind]
    beats = beats_of(run, index, effective, [place for place in places if place not in blind])
    beats |= beats_of(run, index, effective, hidden, blind_for=reader)
    conditioned = _conditioned(run, strips, places)
    found: dict[str, dict[str, Any]] = {}
    for place, (z, scale, zero) in zip(places, conditioned, strict=True):
        patient, raw = strips.patient_id[place], strips.wave(place)
        header: dict[str, Any] = {
            "hash": str(strips.strip_hash[place]),
            "place": place,
            "number": int(strips.source_row[place]),
            "row": int(strips.file_row[place]) + 1,
            "file": str(strips.source_file[place]),
            "patient": UNKNOWN_PATIENT if patient == NO_PATIENT else str(patient),
            **_words(index, effective, place, reader if place in blind else None),
            "fs": run.fs,
            "units_per_mv": units_per_mv,
            "baseline": float(np.median(raw)),
        }
        if small:
            header["filtered"] = _thinned(frame, z)
        else:
            header["raw"], header["filtered"] = frame.add(raw), frame.add(z)
        header |= {"to_units": [scale, zero], "beats": beats.get(place, [])}
        found[header["hash"]] = header
    return found


def _words(index: BeatIndex, effective: Effective, place: int, reader: str | None) -> dict[str, Any]:
    """Label, note and mark of a strip; with a reader, by that reader's words alone."""
    words: dict[str, Any] = {"label": int(index.strip_labels[place]), "decided": False, "note": "", "unsure": False}
    for decision in effective.said_on.get(index.names[place], ()):
        if parse_target(decision.target).kind != STRIP or (reader is not None and decision.reader != reader):
            continue
        if decision.field == "label":
            from_file = int(index.strip_labels[place])
            words["label"] = from_file if decision.new is None else label_id(decision.new)
            words["decided"] = decision.new is not None
        elif decision.field == "note":
            words["note"] = decision.new or ""
        elif decision.field == "unsure":
            words["unsure"] = decision.new == "1"
    return words


def beats_of(
    run: Run, index: BeatIndex, effective: Effective, places: Sequence[int], *, blind_for: str | None = None
) -> dict[int, list[dict[str, Any]]]:
    """``beats`` of the header, by place of the strip; parameters are those of ``beats_of_strips``."""
    if not places:
        return {}
    table = beats_of_strips(run, index, effective, places, blind_for=blind_for)
    names = ("place", "time_ms", "anchor_ms", "beat_id", "label", "noise", "reasons", "source", "prototype")
    columns = [table[name].tolist() for name in (*names, "seed", "unsure", "note", "peak")]
    found: dict[int, list[dict[str, Any]]] = {}
    for place, time, anchor, id, label, noise, why, source, prototype, seed, unsure, note, peak in zip(
        *columns, strict=True
    ):
        beat = {"time": time, "anchor": anchor, "id": id if id >= 0 else None, "label": label, "noise": int(noise)}
        beat |= {"reasons": str(why).replace(";", ", "), "source": source, "prototype": prototype, "seed": seed}
        found.setdefault(place, []).append(beat | {"unsure": unsure, "note": note, "peak": peak})
    return found


def _conditioned(run: Run, strips: Strips, places: Sequence[int]) -> Iterable[tuple[NDArray[np.float32], float, float]]:
    """Of each strip: the trace that the engine sees (z), and scale and zero that lead from it to units of the file."""
    config, found = run.config, {}
    chosen = np.asarray(places, dtype=np.int64)
    lengths = np.diff(strips.offsets)[chosen]
    # Strips of one length are filtered as one array: a hundred cost little more than one.
    for rows in blocks(np.concatenate([[0], np.cumsum(lengths)])):
        ordered = np.sort(chosen[rows])
        waves = np.asarray(stacked(strips.samples, strips.offsets, ordered), dtype=np.float32)
        waves = bandpass(waves, run.fs, low_hz=config.low_hz, high_hz=config.high_hz, order=config.filter_order)
        spread = waves.std(axis=-1).astype(np.float64) + 1e-8
        middle = waves.mean(axis=-1).astype(np.float64)
        for place, z, scale, zero in zip(
            ordered.tolist(), zscore(waves), spread.tolist(), middle.tolist(), strict=True
        ):
            if run.conditioned is not None:  # as the beats were cut from it
                z = np.asarray(run.conditioned[strips.offsets[place] : strips.offsets[place + 1]])
            found[place] = (z, scale, zero)
    return [found[place] for place in places]


def _thinned(frame: FrameWriter, z: NDArray[np.float32]) -> dict[str, Any]:
    """Least and largest value of each stretch, by turns: no spike is lost."""
    per = max(1, -(-len(z) // PAIRS))
    padded = np.pad(z, (0, -len(z) % per), mode="edge").reshape(-1, per)
    pairs = np.column_stack([padded.min(axis=1), padded.max(axis=1)]).ravel()
    return {**frame.add(pairs), "per": per}


def add_shapes(frame: FrameWriter, run: Run, index: BeatIndex, effective: Effective) -> list[dict[str, Any]]:
    """Put class templates and prototypes into a frame; labels and purity of prototypes are by effective labels.

    Returns
    -------
    list
        ``shapes`` of the header: templates by label, then prototypes, largest first.
    """
    common = {"pre_ms": round(run.config.pre_sec * run.fs) / run.fs * 1000, "fs": run.fs}
    labels, sizes = np.unique(run.labels[run.noise_flags == 0], return_counts=True)
    counts = dict(zip(labels.tolist(), sizes.tolist(), strict=True))
    shapes: list[dict[str, Any]] = [
        {"kind": "template", "id": label, "label": label, "size": counts.get(label, 0), "purity": None, **common}
        | {"trace": frame.add(wave)}
        for label, wave in sorted(run.class_templates.items())
    ]
    library = effective_library(run, index, effective)
    for id, size, label, mix in zip(
        *(library[name].tolist() for name in ("prototype_id", "size", "dominant_label", "label_mix_top3")), strict=True
    ):
        if id in run.prototype_waves:
            shape = {"kind": "prototype", "id": id, "label": label, "size": size, "purity": mix_purity(mix), **common}
            shapes.append(shape | {"trace": frame.add(run.prototype_waves[id])})
    return shapes
