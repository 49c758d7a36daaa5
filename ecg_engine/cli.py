"""The engine from a shell: reading ECG strips, training, predicting, looking for what is new.

Exit codes: 0 done, 2 bad input or a file that cannot be read or written (one line on stderr says which), 130
interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ecg_engine import __version__
from ecg_engine.cli_options import Parser, add_config, one_line
from ecg_engine.config import PROFILES, AlertConfig, PredictConfig, PreprocessConfig, TrainConfig, ValidateConfig
from ecg_engine.errors import Cancelled, EngineError

BANK_SETTINGS = ("min_proto_size", "min_proto_purity", "max_prototypes", "top_k_sim")
MINING_SETTINGS = ("search_rows", "top_k_candidates")
PROGRAM = "python -m ecg_engine"


def build_parser() -> Parser:
    """The commands and their options."""
    parser = Parser(prog=PROGRAM, description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"ecg_engine {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)

    def command(name: str, words: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=words, description=words, allow_abbrev=False)
        made.add_argument("--quiet", action="store_true", help="no progress bar")
        return made

    one = command("preprocess", "Read strips and find beats, noise, clusters and prototypes.")
    one.add_argument("--input", nargs="+", required=True, metavar="FILE", help="xlsx, csv or WFDB header (.hea)")
    one.add_argument("--output_dir", required=True, metavar="DIR")
    one.add_argument("--seed_csv", metavar="FILE", help="seeds (beat_global_id, label_name) to mine candidates for")
    one.add_argument("--columns", metavar="MAP", help="other column names: wave=...,label=...,patient=...")
    one.add_argument("--no_pictures", action="store_true", help="leave out the PNG pictures")
    add_config(one, PreprocessConfig)

    one = command("train", "Train a model on one or several preprocessed data sets.")
    one.add_argument("--data_dirs", nargs="+", required=True, metavar="DIR", help="what preprocess wrote")
    one.add_argument("--out_dir", required=True, metavar="DIR")
    one.add_argument("--device", metavar="NAME", help="cpu or cuda (default: cuda if there is one)")
    one.add_argument("--resume", action="store_true", help="go on from the last full epoch in out_dir")
    add_config(one, TrainConfig)

    one = command("predict", "Predict the beats of a preprocessed data set.")
    one.add_argument("--model_ckpt", required=True, metavar="FILE", help="a model bundle, or an old state dict")
    one.add_argument("--preprocessed_dir", required=True, metavar="DIR")
    one.add_argument("--out_dir", required=True, metavar="DIR")
    one.add_argument("--device", metavar="NAME", help="cpu or cuda (default: cuda if there is one)")
    one.add_argument("--profile", dest="model_profile", choices=PROFILES, help="the profile that the model must be of")
    add_config(one, PredictConfig, defaults_from="the model's")
    old = one.add_argument_group("for old state dicts alone (a bundle carries all this)")
    old.add_argument("--prototype_dir", metavar="DIR", help="preprocessed data set that the bank was made of")
    old.add_argument(
        "--classes", nargs="+", type=int, metavar="LABEL", help="label of each logit, if no summary is there"
    )
    add_config(one, TrainConfig, only=BANK_SETTINGS)

    one = command("validate-prototypes", "Say which prototypes can be trusted.")
    one.add_argument("--input_dir", required=True, metavar="DIR", help="what preprocess wrote")
    one.add_argument("--out_dir", required=True, metavar="DIR")
    one.add_argument("--no_pictures", action="store_true", help="leave out the PNG pictures")
    add_config(one, ValidateConfig)

    one = command("alerts", "Look for new patterns among the beats under review.")
    one.add_argument("--predictions_csv", required=True, metavar="FILE", help="beat_predictions_v2.csv")
    one.add_argument("--preprocessed_dir", required=True, metavar="DIR", help="the data set that was predicted")
    one.add_argument("--out_dir", required=True, metavar="DIR")
    one.add_argument("--no_pictures", action="store_true", help="leave out the PNG pictures")
    add_config(one, AlertConfig)

    one = command("mine", "Find the beats most like some seeds.")
    one.add_argument("--preprocessed_dir", required=True, metavar="DIR")
    one.add_argument("--seed_csv", required=True, metavar="FILE", help="columns beat_global_id, label_name")
    one.add_argument("--out_dir", required=True, metavar="DIR")
    add_config(one, PreprocessConfig, only=MINING_SETTINGS, defaults_from="the data set's")

    one = command("inspect", "Say what a data set, a model or a file of strips holds.")
    one.add_argument("path", metavar="PATH", help="a preprocessed folder, a model bundle, a spreadsheet or a record")
    one.add_argument("--columns", metavar="MAP", help="other column names: wave=...,label=...,patient=...")

    one = command("simulate", "Make up strips of every label with known beats.")
    one.add_argument("--output", required=True, metavar="FILE", help="spreadsheet (.xlsx) to write")
    one.add_argument("--beats_csv", metavar="FILE", help="the true beats (source_row, sample, symbol, aami)")
    one.add_argument("--n_per_label", type=int, default=20, metavar="INT", help="strips of each label (default: 20)")
    one.add_argument("--n_patients", type=int, default=24, metavar="INT", help="patients (default: 24)")
    one.add_argument("--labels", type=int, nargs="+", metavar="LABEL", help="label ids (default: all)")
    one.add_argument("--seed", type=int, default=42, metavar="INT", help="seed (default: 42)")
    one.add_argument("--fs", type=float, default=260.4, metavar="FLOAT", help="Hz (default: 260.4)")
    one.add_argument("--duration_sec", type=float, default=10.0, metavar="FLOAT", help="s (default: 10)")
    one.add_argument("--units_per_mv", type=float, default=200.0, metavar="FLOAT", help="gain (default: 200)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = build_parser()
    args = parser.parse_args(arguments)
    try:
        from ecg_engine.cli_commands import COMMANDS  # numpy and the rest are slow to import: not for --help

        COMMANDS[args.command](args)
        sys.stdout.flush()
    except (EngineError, OSError) as error:
        if isinstance(error, BrokenPipeError):  # the reader of our output has gone: nobody is left to tell
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"{PROGRAM} {args.command}: {_words(error)}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, Cancelled):
        print(f"{PROGRAM} {args.command}: interrupted", file=sys.stderr)
        return 130
    return 0


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return one_line(error)
