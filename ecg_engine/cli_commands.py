"""What the commands of the shell do: read, call the engine, write, and say what came of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ecg_engine.artifacts import save_run, save_table
from ecg_engine.cli_options import config_of, given, one_line, parse_columns
from ecg_engine.config import ARRHYTHMIA, AlertConfig, PredictConfig, PreprocessConfig, TrainConfig, ValidateConfig
from ecg_engine.errors import ConfigError, InputError
from ecg_engine.labels import FILE_LABELS, label_name
from ecg_engine.loading import load_run
from ecg_engine.progress import Progress, part, silent

if TYPE_CHECKING:  # torch takes a second to load, which most commands need not spend
    from ecg_engine.bundle import Bundle

Arguments = argparse.Namespace


@contextmanager
def progress_bar(args: Arguments) -> Iterator[Progress]:
    """A bar on stderr once the work has taken a second; it is wiped when the work ends, however it ends."""
    if args.quiet:
        yield silent
        return
    from tqdm import tqdm

    form = "{desc:<44.44} {percentage:3.0f}%|{bar}| {elapsed}"
    # Where stderr is a file, a line now and then is enough.
    rest = 0.2 if sys.stderr.isatty() else 10.0
    with tqdm(total=100.0, bar_format=form, delay=1.0, leave=False, mininterval=rest, file=sys.stderr) as bar:

        def step(message: str, done: float) -> None:
            bar.set_description_str(message, refresh=False)
            bar.update(max(0.0, 100.0 * done - bar.n))

        yield step


def say(text: str) -> None:
    """A line of the result."""
    print(text)


def warn(text: str) -> None:
    """A line that nobody should miss."""
    sys.stdout.flush()
    print(f"Warning: {one_line(text)}", file=sys.stderr)


def read_table(path: str, what: str) -> pd.DataFrame:
    """A CSV file.

    Raises
    ------
    InputError
        If it is no table.
    """
    try:
        return pd.read_csv(path)
    except pd.errors.EmptyDataError:
        raise InputError(f"the {what} are empty", where=path) from None
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise InputError(f"the {what} cannot be read as CSV: {error}", where=path) from error


def counted(counts: Mapping[Any, int]) -> str:
    """``"Normal 1,805, PVC 826"`` from label ids (also as text) or words to counts."""
    names = {key: label_name(int(key)) if str(key).lstrip("-").isdigit() else str(key) for key in counts}
    return ", ".join(f"{names[key]} {count:,}" for key, count in counts.items() if count) or "none"


def run_preprocess(args: Arguments) -> None:
    """Read, preprocess, write."""
    from ecg_engine.preprocess import preprocess
    from ecg_engine.strips import read_strips

    config = config_of(args, PreprocessConfig)
    columns = parse_columns(args.columns)
    seeds = None if args.seed_csv is None else read_table(args.seed_csv, "seeds")
    with progress_bar(args) as progress:
        strips = read_strips(args.input, config, columns=columns, progress=part(progress, 0.0, 0.3))
        run = preprocess(strips, config, seeds=seeds, progress=part(progress, 0.3, 0.8))
        folder = save_run(run, args.output_dir, pictures=not args.no_pictures, progress=part(progress, 0.8, 1.0))
    describe_run(run.summary)
    for text in run.summary["warnings"]:
        warn(text)
    if run.candidates is not None:
        say(f"{len(run.candidates):,} candidates mined.")
    say(f"Written to {folder}")


def describe_run(summary: Mapping[str, Any]) -> None:
    """The plain numbers of a preprocessing run."""
    rows, skipped = summary["input_rows"], summary["rows_skipped"]
    known = [f"{summary['patients']} patients"] if "patients" in summary else []
    known += [f"{summary['fs']:g} Hz"] if "fs" in summary else []
    say(f"{rows:,} rows, {skipped:,} skipped" + "".join(f", {words}" for words in known) + ".")
    if summary.get("skipped_reasons"):
        say(f"Skipped: {counted(summary['skipped_reasons'])} (see skipped_rows.csv).")
    say(
        f"{summary['beats_extracted']:,} beats of {summary['beat_length']} samples: "
        f"{summary['usable_beats']:,} usable, {summary['noise_beats']:,} noise."
    )
    if summary.get("noise_reasons"):
        say(f"Noise for: {counted(summary['noise_reasons'])}.")
    say(f"Usable beats by label: {counted(summary['class_counts_usable'])}.")
    say(f"{summary['prototype_count']} prototypes, {summary['context_samples']:,} context windows.")


def run_train(args: Arguments) -> None:
    """Train on the data sets, say how good the saved checkpoint is on held-out patients."""
    from ecg_engine.datasets import training_data
    from ecg_engine.training import train

    config = config_of(args, TrainConfig)
    check_device(args.device)
    data = [training_data(load_run(folder), name=Path(folder).name) for folder in args.data_dirs]
    with progress_bar(args) as progress:
        result = train(data, config, device=args.device, progress=progress, out_dir=args.out_dir, resume=args.resume)
    summary = result.summary
    what = "beats" if config.profile == ARRHYTHMIA else "windows"
    say(
        f"{summary['num_samples']:,} {what}, {summary['num_classes_non_noise']} classes, "
        f"{summary['num_prototypes_used']} prototypes."
    )
    held, all_groups = len(summary["patients_val"]), len(summary["patients_train"]) + len(summary["patients_val"])
    if summary["split"] == "beat":
        say("Split by beat: beats of one patient are on both sides, so the figures flatter the model.")
    else:
        say(f"Split by {summary['split']}: {held} of {all_groups} are held out.")
    accuracy = "unknown" if summary["class_acc"] is None else f"{summary['class_acc']:.3f}"
    if config.profile == ARRHYTHMIA:
        say(f"Right findings on {summary['num_strips_held_out']:,} held-out strips: {accuracy}; saved nets saw all.")
    else:
        saved = f"Epoch {summary['best_epoch']} of {summary['epochs']} is saved"
        say(f"{saved}: class accuracy {accuracy} on held-out beats.")
    say(pd.DataFrame(summary["class_report"]).to_string(index=False, float_format="{:.3f}".format))
    for text in summary["notes"]:
        warn(text)
    say(f"Written to {args.out_dir}")


def check_device(name: str | None) -> None:
    """Refuse a device that torch does not know or this machine does not have.

    Raises
    ------
    ConfigError
        With the devices there are.
    """
    import torch

    if name is None:
        return
    there = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
    if name.split(":")[0] not in there:
        raise ConfigError(f"--device is {name!r}; this machine has: {', '.join(there)}.")


def run_predict(args: Arguments) -> None:
    """Predict with a bundle or an old state dict."""
    from ecg_engine.prediction import predict, save_prediction

    check_device(args.device)
    overrides = given(args, PredictConfig)
    PredictConfig.from_dict(overrides)
    bundle = _model_of(args)
    if args.model_profile is not None and args.model_profile != bundle.profile:
        raise ConfigError(
            f"--profile is {args.model_profile}, but the model is of the {bundle.profile} profile. "
            "Leave the option out, or train a model in that profile."
        )
    run = load_run(args.preprocessed_dir)
    with progress_bar(args) as progress:
        thresholds = replace(bundle.predict, **overrides)
        prediction = predict(bundle, run, thresholds, device=args.device, progress=progress)
    save_prediction(prediction, args.out_dir)
    summary = prediction.summary
    noise = "noise beats are marked" if bundle.profile == ARRHYTHMIA else "noise beats without prediction"
    say(
        f"{summary['num_beats_predicted']:,} beats predicted, {summary['num_review_flagged']:,} of them "
        f"({summary['review_rate']:.1%}) go to review; {summary['num_noise_flagged']:,} {noise}."
    )
    say(f"Review for: {counted(summary['review_reasons'])}.")
    say(f"Final labels: {counted(summary['final_label_counts'])}.")
    say(f"{summary['num_strips']:,} strips, {summary['unknown_strips']:,} of them unknown.")
    if "strip_finding_counts" in summary:
        say(f"Beats by class: {counted(summary['aami_counts'])}.")
        say(f"Findings of strips (rules {summary['rules_version']}): {counted(summary['strip_finding_counts'])}.")
    for text in summary.get("notes", []):
        warn(text)
    say(f"Written to {args.out_dir}")


def _model_of(args: Arguments) -> Bundle:
    """The model that predict is to use. What only an old state dict needs is named and left aside with a bundle."""
    from ecg_engine.bundle import bundle_beside, from_state_dict, load

    path = args.model_ckpt
    bundle = load(path) if is_bundle(path) else bundle_beside(path)
    if bundle is None:
        settings = config_of(args, TrainConfig)
        return from_state_dict(path, args.classes, prototype_dir=args.prototype_dir, train=settings)
    unused = [f"--{name}" for name in given(args, TrainConfig)]
    unused += [f"--{name}" for name in ("prototype_dir", "classes") if getattr(args, name) is not None]
    if unused:
        warn(f"{', '.join(unused)} not used: the model's bundle carries its own prototypes and classes.")
    return bundle


def is_bundle(path: str) -> bool:
    """Whether a model file is not a bare state dict; damaged files count as bundles, whose reader names the damage."""
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception:
        return True
    return not (isinstance(content, dict) and content and all(torch.is_tensor(value) for value in content.values()))


def run_validate(args: Arguments) -> None:
    """Judge the prototypes of a data set."""
    import numpy as np

    from ecg_engine.validation import save_validation, validate_library

    config = config_of(args, ValidateConfig)
    run = load_run(args.input_dir)
    labels, clusters = np.asarray(run.labels), np.asarray(run.cluster_ids)
    result = validate_library(run.library, config, labels=labels, cluster_ids=clusters)
    save_validation(result, args.out_dir)
    if not args.no_pictures:
        from ecg_engine.pictures import draw_validation_pictures

        draw_validation_pictures(
            result.detail, run.prototype_waves, run.fs, args.out_dir, config=config, pre_sec=run.config.pre_sec
        )
    say(f"{result.summary['num_prototypes']} prototypes, {result.summary['num_suspicious']} suspicious.")
    if len(result.by_label):
        say(result.by_label.to_string(index=False, float_format="{:.3f}".format))
    say(f"Written to {args.out_dir}")


def run_alerts(args: Arguments) -> None:
    """Group the beats under review of a prediction."""
    from ecg_engine.alerts import find_patterns, save_patterns

    config = config_of(args, AlertConfig)
    predictions = read_table(args.predictions_csv, "predictions")
    run = load_run(args.preprocessed_dir)
    ids = run.metadata["beat_global_id"].to_numpy()
    patterns = find_patterns(predictions, run.features, run.beats, config, beat_ids=ids)
    save_patterns(patterns, args.out_dir)
    if not args.no_pictures:
        from ecg_engine.pictures import draw_pattern_pictures

        draw_pattern_pictures(patterns, run.fs, args.out_dir, pre_sec=run.config.pre_sec)
    summary = patterns.summary
    say(
        f"{summary['unknown_count']:,} beats under review, {summary['clusters_found']} clusters, "
        f"{summary['alerts']} alerts (clusters of {summary['min_alert_size']} beats or more)."
    )
    if len(patterns.clusters):
        say(patterns.clusters[["cluster_id", "size", "size_ratio", "alert_flag"]].to_string(index=False))
    say(f"Written to {args.out_dir}")


def run_mine(args: Arguments) -> None:
    """Find candidates for seeds in a data set that is already preprocessed."""
    from ecg_engine.mining import mine_candidates

    seeds = read_table(args.seed_csv, "seeds")
    run = load_run(args.preprocessed_dir)
    config = config_of(args, PreprocessConfig, run.config)
    result = mine_candidates(seeds, run.metadata, run.features, config)
    folder = Path(args.out_dir)
    save_table(result.candidates, folder / "seed_mined_candidates.csv")
    save_table(result.dropped, folder / "dropped_seeds.csv")
    used = len(seeds) - len(result.dropped)
    say(f"{used} seeds used, {len(result.candidates):,} candidates.")
    for row in result.dropped.to_dict("records"):
        warn(f"seed {row['seed_row'] + 1} was not used: {row['reason']}.")
    say(f"Written to {folder}")


def run_inspect(args: Arguments) -> None:
    """Say what a path holds."""
    from ecg_engine.cli_inspect import inspect_bundle, inspect_file, inspect_run

    path = Path(args.path)
    if not path.exists():
        raise InputError("there is no such file or folder", where=str(path))
    if path.is_dir():
        inspect_run(path)
    elif path.suffix.lower() in (".pt", ".pth"):
        inspect_bundle(path)
    else:
        inspect_file(path, parse_columns(args.columns))


def run_simulate(args: Arguments) -> None:
    """Write made-up strips and, if asked, their true beats."""
    from ecg_engine.simulate import simulate_strips, write_beats_csv, write_xlsx

    made = simulate_strips(
        n_per_label=args.n_per_label,
        n_patients=args.n_patients,
        labels=FILE_LABELS if args.labels is None else args.labels,
        seed=args.seed,
        fs=args.fs,
        duration_sec=args.duration_sec,
        units_per_mv=args.units_per_mv,
    )
    write_xlsx(made, args.output)
    if args.beats_csv:
        write_beats_csv(made, args.beats_csv)
    labels = made.strips["Label"].to_numpy()
    counts = {label: int((labels == label).sum()) for label in sorted(set(labels.tolist()))}
    say(f"{len(made.strips):,} strips of {made.strips['Patient ID'].nunique()} made-up patients at {made.fs:g} Hz.")
    say(f"Strips by label: {counted(counts)}.")
    say(f"{len(made.beats):,} true beats: {counted(made.beats['aami'].value_counts().to_dict())}.")
    say(f"Written to {args.output}")


COMMANDS: Mapping[str, Callable[[Arguments], None]] = {
    "preprocess": run_preprocess,
    "train": run_train,
    "predict": run_predict,
    "validate-prototypes": run_validate,
    "alerts": run_alerts,
    "mine": run_mine,
    "inspect": run_inspect,
    "simulate": run_simulate,
}
