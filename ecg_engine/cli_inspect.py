"""``python -m ecg_engine inspect``: what a data set, a model or a file of strips holds, in plain words."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

from ecg_engine.bundle import load
from ecg_engine.cli_commands import counted, describe_run, is_bundle, say, warn
from ecg_engine.config import Config, PreprocessConfig
from ecg_engine.errors import BundleError, InputError
from ecg_engine.labels import label_name
from ecg_engine.loading import load_run
from ecg_engine.preview import preview
from ecg_engine.tables import ALIASES, Columns

_FIGURES = ("class_acc", "gate_acc", "best_epoch", "epochs", "split")


def inspect_run(folder: Path) -> None:
    """Print a preprocessed data set."""
    run = load_run(folder)
    say(f"Preprocessed data set {folder}")
    describe_run(run.summary)
    if run.strips is None:
        say("Written by the old scripts: it holds beats, but no strips.")
    if run.candidates is not None:
        say(f"{len(run.candidates):,} mined candidates.")
    say(f"Settings that differ from the defaults: {_changed(run.config)}.")
    for text in run.summary.get("warnings", []):
        warn(text)


def inspect_bundle(path: Path) -> None:
    """Print a model bundle; for a bare state dict, what is in it.

    Raises
    ------
    BundleError
        If the file is damaged.
    """
    if not is_bundle(str(path)):
        raise BundleError(
            f"{path.name} is a bare state dict (an old checkpoint). It says nothing about its classes; predict with "
            "--prototype_dir and the training summary beside it."
        )
    bundle = load(path)
    rate = f"{bundle.fs:g} Hz" if math.isfinite(bundle.fs) else "unknown rate"
    say(f"Model bundle {path}")
    tensors = bundle.state_dict if bundle.arrhythmia is None else bundle.arrhythmia.packed()[0]
    say(f"Profile: {bundle.profile}. Net: {bundle.model}, {sum(one.numel() for one in tensors.values()):,} numbers.")
    say(f"Classes: {', '.join(f'{value} {label_name(value)}' for value in bundle.classes)}.")
    say(f"Beats: {bundle.beat_len} samples at {rate}, windows of {bundle.window_size}.")
    bank = bundle.bank if bundle.arrhythmia is None else bundle.arrhythmia.beats.bank
    say(f"Prototypes: {0 if bank is None else len(bank)}.")
    say(f"Thresholds: {', '.join(f'{key} {value:g}' for key, value in bundle.predict.to_dict().items())}.")
    figures = {key: bundle.metrics[key] for key in _FIGURES if bundle.metrics.get(key) is not None}
    words = (f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}" for key, value in figures.items())
    say(f"Held out: {', '.join(words) or 'nothing is known'}.")
    held = bundle.metrics.get("patients_val") or []
    say(f"Patients held out: {', '.join(map(str, held)) or 'none known'}.")
    say(f"Training data {bundle.data_hash[:16] or 'unknown'}, engine {bundle.engine_version}.")
    say(f"Training settings that differ from the defaults: {_changed(bundle.train)}.")


def inspect_file(path: Path, columns: Columns | None) -> None:
    """Print a first look at a file of strips.

    Raises
    ------
    InputError
        If it cannot be read, or has no wave column.
    """
    found = preview(path, PreprocessConfig(), columns=columns, limit=5)
    say(f"File {path}: {found.n_rows:,} rows.")
    say(f"Columns: {', '.join(map(str, found.header))}.")
    names = found.columns._asdict()
    say("Found: " + ", ".join(f"{what} in {name!r}" if name else f"no {what}" for what, name in names.items()) + ".")
    if found.columns.wave is None:
        raise InputError(
            "no column holds the wave",
            where=path.name,
            remedy=f"Tried: {', '.join(ALIASES['wave'])}. Name it with --columns wave=...",
        )
    say(f"{found.patients} patients. Labels: {counted(found.labels)}.")
    if found.unreadable_labels:
        warn(f"labels that are none of the list: {counted(found.unreadable_labels)}.")
    if len(found.rows):
        say(found.rows.to_string(index=False))


def _changed(config: Config) -> str:
    changed = [f"{f.name} {getattr(config, f.name)}" for f in fields(config) if getattr(config, f.name) != f.default]
    return ", ".join(changed) or "none"
