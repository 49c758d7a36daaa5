"""The settings of every stage, frozen, with the defaults of the spec.

A config is checked when it is made: an unknown key or an impossible value is a
:class:`~ecg_engine.errors.ConfigError` that names the choices. ``to_dict`` and ``from_dict`` are what
files, the store and model bundles keep.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from ecg_engine.errors import ConfigError

REFERENCE, ARRHYTHMIA = PROFILES = ("reference", "arrhythmia")
DETECTORS = ("neurokit", "gradient")
MODELS = ("hybrid", "context")
"""Nets of the reference profile."""
BEAT_NETS = ("towers", "hybrid")
"""Nets of the arrhythmia profile: its own, or these with the reference's hybrid net among them."""
SPLITS = ("patient", "beat")


def _need(ok: bool, name: str, value: object, rule: str) -> None:
    if not ok:
        raise ConfigError(f"{name} is {value!r}; it must be {rule}.")


def _choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    _need(value in choices, name, value, "one of " + ", ".join(choices))


def _whole(name: str, value: object, least: int) -> None:
    ok = isinstance(value, int) and not isinstance(value, bool) and value >= least
    _need(ok, name, value, f"a whole number, {least} or more")


def _share(name: str, value: object) -> None:
    _need(isinstance(value, (int, float)) and 0 <= float(value) <= 1, name, value, "between 0 and 1")


def _positive(name: str, value: object) -> None:
    ok = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < float(value) < float("inf")
    _need(ok, name, value, "a number above 0")


@dataclass(frozen=True)
class Config:
    """Base of all configs: a flat, frozen set of settings."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a config from plain values.

        Raises
        ------
        ConfigError
            On an unknown key (the message lists the known ones) or an impossible value.
        """
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                raise ConfigError(f"{cls.__name__} has no setting {key!r}; the settings are: {', '.join(known)}.")
        return cls(**dict(values))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class PreprocessConfig(Config):
    """Sections 2 to 6: from a strip to beats, flags, features, clusters and windows.

    Times are in seconds, frequencies in Hz. ``fs`` None means wave length / ``duration_sec``.
    ``units_per_mv`` only scales the millivolt axis of what is drawn; no number depends on it.

    The arrhythmia profile finds R-peaks and noise in its own ways: ``detector`` and the limits of noise
    (``rr_min_sec`` to ``edge_z_max``, ``min_local_cluster``) are the reference's alone.
    """

    profile: str = "reference"
    duration_sec: float = 10.0
    fs: float | None = None
    low_hz: float = 0.5
    high_hz: float = 45.0
    filter_order: int = 4
    detector: str = "neurokit"
    pre_sec: float = 0.250
    post_sec: float = 0.400
    min_samples: int = 200
    rr_min_sec: float = 0.2
    rr_max_sec: float = 2.5
    ptp_z_min: float = -3.0
    slope_z_min: float = -3.0
    slope_z_max: float = 6.0
    edge_z_max: float = 3.5
    min_local_cluster: int = 12
    pca_components: int = 24
    n_global_clusters: int = 20
    context_radius: int = 2
    search_rows: int = 100
    top_k_candidates: int = 50
    units_per_mv: float = 200.0
    seed: int = 42

    def __post_init__(self) -> None:
        _choice("profile", self.profile, PROFILES)
        _choice("detector", self.detector, DETECTORS)
        for name in ("duration_sec", "low_hz", "high_hz", "pre_sec", "post_sec", "units_per_mv"):
            _positive(name, getattr(self, name))
        if self.fs is not None:
            _positive("fs", self.fs)
        _need(self.low_hz < self.high_hz, "low_hz", self.low_hz, f"below high_hz ({self.high_hz:g})")
        _need(0 <= self.rr_min_sec < self.rr_max_sec, "rr_min_sec", self.rr_min_sec, "below rr_max_sec")
        for name in ("filter_order", "min_local_cluster", "pca_components", "search_rows", "top_k_candidates"):
            _whole(name, getattr(self, name), 1)
        _whole("n_global_clusters", self.n_global_clusters, 2)
        _whole("min_samples", self.min_samples, 2)
        _whole("context_radius", self.context_radius, 0)
        _whole("seed", self.seed, 0)

    @property
    def window_size(self) -> int:
        """Beats in one context window."""
        return 2 * self.context_radius + 1


@dataclass(frozen=True)
class TrainConfig(Config):
    """Section 8: the network, the prototype bank and the training loop.

    ``model`` left empty is the profile's own: ``hybrid`` in the reference profile, ``towers`` in the arrhythmia
    profile. Batch size, learning rate, weights of classes and the split by beat are the reference's alone.
    """

    profile: str = REFERENCE
    model: str = ""
    epochs: int = 25
    batch_size: int = 128
    lr: float = 1e-3
    val_split: float = 0.2
    split: str = "patient"
    gate_loss_weight: float = 0.5
    use_class_weights: bool = True
    min_proto_size: int = 120
    min_proto_purity: float = 0.70
    max_prototypes: int = 256
    top_k_sim: int = 8
    seed: int = 42

    def __post_init__(self) -> None:
        _choice("profile", self.profile, PROFILES)
        nets = BEAT_NETS if self.profile == ARRHYTHMIA else MODELS
        if not self.model:
            object.__setattr__(self, "model", nets[0])
        _choice("model", self.model, nets)
        _choice("split", self.split, SPLITS)
        _need(
            self.profile == REFERENCE or self.split == "patient",
            "split",
            self.split,
            "patient in the arrhythmia profile",
        )
        for name in ("epochs", "batch_size", "max_prototypes", "top_k_sim"):
            _whole(name, getattr(self, name), 1)
        _whole("min_proto_size", self.min_proto_size, 0)
        _whole("seed", self.seed, 0)
        _positive("lr", self.lr)
        ok = isinstance(self.val_split, (int, float)) and 0 < self.val_split < 1
        _need(ok, "val_split", self.val_split, "between 0 and 1, neither included")
        ok = isinstance(self.gate_loss_weight, (int, float)) and self.gate_loss_weight >= 0
        _need(ok, "gate_loss_weight", self.gate_loss_weight, "0 or more")
        _share("min_proto_purity", self.min_proto_purity)


@dataclass(frozen=True)
class PredictConfig(Config):
    """Section 9: when a beat goes to Unknown/Review.

    ``min_known_share`` is the arrhythmia profile's: a strip stranger than all but this share of what its model knows
    goes to review with its beats. ``min_proto_sim`` is the reference's alone.
    """

    min_class_conf: float = 0.60
    max_noise_prob: float = 0.55
    min_proto_sim: float = 0.20
    min_known_share: float = 0.02

    def __post_init__(self) -> None:
        _share("min_class_conf", self.min_class_conf)
        _share("max_noise_prob", self.max_noise_prob)
        ok = isinstance(self.min_proto_sim, (int, float)) and -1 <= self.min_proto_sim <= 1
        _need(ok, "min_proto_sim", self.min_proto_sim, "between -1 and 1")
        _share("min_known_share", self.min_known_share)


@dataclass(frozen=True)
class ValidateConfig(Config):
    """Section 9: when a prototype is suspicious."""

    min_size: int = 80
    min_purity: float = 0.70
    max_noise_ratio: float = 0.20

    def __post_init__(self) -> None:
        _whole("min_size", self.min_size, 0)
        _share("min_purity", self.min_purity)
        _share("max_noise_ratio", self.max_noise_ratio)


@dataclass(frozen=True)
class AlertConfig(Config):
    """Section 9: how beats under review are grouped, and from which size a group is an alert."""

    min_alert_size: int = 80
    max_clusters: int = 20
    cluster_scale: float = 40.0
    seed: int = 42

    def __post_init__(self) -> None:
        _whole("min_alert_size", self.min_alert_size, 1)
        _whole("max_clusters", self.max_clusters, 1)
        _positive("cluster_scale", self.cluster_scale)
        _whole("seed", self.seed, 0)
