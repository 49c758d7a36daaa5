"""Command line options made from the config dataclasses, so that the two cannot drift apart."""

from __future__ import annotations

import argparse
import types
import typing
from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from typing import Any, NoReturn, TypeVar

from ecg_engine.config import BEAT_NETS, DETECTORS, MODELS, PROFILES, SPLITS, Config
from ecg_engine.errors import ConfigError
from ecg_engine.tables import Columns

C = TypeVar("C", bound=Config)

HELP: Mapping[str, str] = {
    "profile": f"pipeline profile: {', '.join(PROFILES)}",
    "duration_sec": "length of a strip in s; the sampling rate is samples / duration",
    "fs": "sampling rate in Hz, if it is not samples / duration",
    "low_hz": "lower edge of the bandpass in Hz",
    "high_hz": "upper edge of the bandpass in Hz",
    "filter_order": "order of the Butterworth bandpass",
    "detector": f"R-peak detector: {', '.join(DETECTORS)}",
    "pre_sec": "seconds of a beat before its R-peak",
    "post_sec": "seconds of a beat after its R-peak",
    "min_samples": "shorter waves are skipped",
    "rr_min_sec": "shorter RR intervals make a beat noise",
    "rr_max_sec": "longer RR intervals make a beat noise",
    "ptp_z_min": "robust z of peak-to-peak under which a beat is flat",
    "slope_z_min": "robust z of the steepest step under which a beat is flat",
    "slope_z_max": "robust z of the steepest step over which a beat is noise",
    "edge_z_max": "robust z of edge noise over which a beat is noise",
    "min_local_cluster": "beats in smaller clusters of their label become noise",
    "pca_components": "components of the feature space",
    "n_global_clusters": "prototypes at most",
    "context_radius": "beats before and after the centre of a context window",
    "search_rows": "rows of the file that are searched for candidates",
    "top_k_candidates": "candidates for each seed",
    "units_per_mv": "gain, for millivolt axes alone",
    "seed": "seed of everything random",
    "model": f"net: {' or '.join(MODELS)}; in the arrhythmia profile {' or '.join(BEAT_NETS)}",
    "epochs": "passes over the training part",
    "batch_size": "windows in a batch, about",
    "lr": "learning rate",
    "val_split": "share of patients (or beats) held out",
    "split": f"what is held out: {', '.join(SPLITS)}",
    "gate_loss_weight": "weight of the noise gate in the loss",
    "use_class_weights": "weigh rare classes more",
    "min_proto_size": "smaller prototypes do not enter the bank",
    "min_proto_purity": "less pure prototypes do not enter the bank",
    "max_prototypes": "largest number of prototypes in the bank",
    "top_k_sim": "similarities among the prototype features",
    "min_class_conf": "less confident beats go to review",
    "max_noise_prob": "likelier noise goes to review",
    "min_proto_sim": "beats less like any prototype go to review",
    "min_known_share": "arrhythmia: strips stranger than all but this share of those known go to review",
    "min_size": "smaller prototypes are suspicious",
    "min_purity": "less pure prototypes are suspicious",
    "max_noise_ratio": "prototypes with more noise are suspicious",
    "min_alert_size": "clusters of this size or more are alerts",
    "max_clusters": "clusters at most",
    "cluster_scale": "beats under review / this, square root = clusters",
}


_NAMELESS = {"None": "none", "": "the profile's first"}


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """Leave with exit code 2."""
        self.exit(2, f"{self.prog}: {one_line(message)} (see {self.prog} --help)\n")


def one_line(text: object) -> str:
    """Any text on one line."""
    return " ".join(str(text).split())


def add_config(
    parser: argparse.ArgumentParser,
    config: type[Config],
    *,
    only: Collection[str] | None = None,
    defaults_from: str = "",
) -> None:
    """One option for each setting of a config.

    Parameters
    ----------
    only : collection of str, optional
        Settings to offer; all by default.
    defaults_from : str
        Where a setting that is not given comes from, if not from the config: ``"the model's"``.
    """
    group = parser.add_argument_group(f"settings ({config.__name__})")
    kinds = typing.get_type_hints(config)
    for field in fields(config):
        if only is not None and field.name not in only:
            continue
        default = defaults_from or _NAMELESS.get(str(field.default), str(field.default))
        words = f"{HELP[field.name]} (default: {default})"
        if kinds[field.name] is bool:
            switch: dict[str, Any] = {"dest": field.name, "default": argparse.SUPPRESS}
            group.add_argument(
                f"--{field.name}", nargs="?", const=True, type=truth, metavar="YES|NO", help=words, **switch
            )
            group.add_argument(f"--no_{field.name}", action="store_false", help=argparse.SUPPRESS, **switch)
            continue
        group.add_argument(
            f"--{field.name}",
            type=_plain_type(kinds[field.name]),
            default=argparse.SUPPRESS,
            metavar=_plain_type(kinds[field.name]).__name__.upper(),
            help=words,
        )


def _plain_type(kind: Any) -> type:
    if isinstance(kind, types.UnionType):
        return next(one for one in typing.get_args(kind) if one is not type(None))
    return kind


def truth(text: str) -> bool:
    """Yes or no, in the usual spellings."""
    words = {"yes": True, "true": True, "1": True, "on": True, "no": False, "false": False, "0": False, "off": False}
    try:
        return words[text.strip().casefold()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither yes nor no") from None


def given(args: argparse.Namespace, config: type[Config]) -> dict[str, Any]:
    """The settings that were given on the command line."""
    return {field.name: getattr(args, field.name) for field in fields(config) if hasattr(args, field.name)}


def config_of(args: argparse.Namespace, config: type[C], base: C | None = None) -> C:
    """The config that the options ask for, on top of ``base`` or the defaults.

    Raises
    ------
    ConfigError
        On an impossible value.
    """
    values = given(args, config)
    return config.from_dict(values) if base is None else replace(base, **values)


def parse_columns(text: str | None) -> Columns | None:
    """``"wave=Signal,label=Diagnosis"`` as column names.

    Raises
    ------
    ConfigError
        If it is not of this form; the message lists the keys.
    """
    if text is None:
        return None
    names: dict[str, str] = {}
    for item in text.split(","):
        key, equals, name = item.partition("=")
        key, name = key.strip(), name.strip()
        if not equals or not name or key not in Columns._fields:
            raise ConfigError(
                f"--columns holds {item!r}; it must be like wave=Signal,label=Diagnosis,patient=Case "
                f"(keys: {', '.join(Columns._fields)})."
            )
        names[key] = name
    return Columns(**names)
