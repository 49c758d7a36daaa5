"""A trained model as one file that predicts anywhere (spec section 10, item 2).

The file is a ``torch.save`` of plain tensors and one JSON string. It is read with ``weights_only=True``: nothing
in it can run code.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ecg_engine import __version__
from ecg_engine.bank import PrototypeBank, bank_from_library, empty_bank
from ecg_engine.config import ARRHYTHMIA, REFERENCE, PredictConfig, PreprocessConfig, TrainConfig
from ecg_engine.datasets import FS_TOLERANCE, sampling_rate
from ecg_engine.errors import BundleError, ConfigError, EngineError
from ecg_engine.files import atomic_write, plain
from ecg_engine.models import Net, build_net, describe_state
from ecg_engine.preprocess import Run

if TYPE_CHECKING:
    from ecg_engine.arrhythmia.model import ArrhythmiaModel

FORMAT, VERSION = "ecg-strip-review model", 2
"""Version 1 knew the reference profile alone; what is of that profile is still written as version 1."""
BUNDLE_FILE = "model_bundle.pt"
BANK_ARRAYS = ("waves", "labels", "ids", "sizes")


@dataclass(frozen=True)
class Bundle:
    """All that prediction needs.

    Attributes
    ----------
    state_dict : mapping of str to Tensor
        Weights, on the CPU, with the module names of the spec.
        Empty in the arrhythmia profile.
    model : {"hybrid", "context"}, or {"towers", "hybrid"} in the arrhythmia profile
    classes : tuple of int
        Label of each logit, ascending; in the arrhythmia profile that of each class of beats.
    bank : PrototypeBank or None
        None for the context net and in the arrhythmia profile.
    fs : float
        Hz; NaN where an old checkpoint does not say.
    beat_len : int
        Samples of one beat; 0 where an old checkpoint does not say.
    window_size : int
        Beats in a window.
    preprocess, train, predict : configs
        The settings it was made with, and the thresholds it predicts with.
    data_hash : str
        SHA-256 of the training data, "" if unknown.
    metrics : dict
        Figures on the held-out part, and which patients are in which part (``patients_train``, ``patients_val``).
    engine_version : str
    arrhythmia : ArrhythmiaModel or None
        The nets of the arrhythmia profile and the patterns it knows; None in the reference profile.
    """

    state_dict: Mapping[str, Tensor]
    model: str
    classes: tuple[int, ...]
    bank: PrototypeBank | None
    fs: float
    beat_len: int
    window_size: int
    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    predict: PredictConfig = field(default_factory=PredictConfig)
    data_hash: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    engine_version: str = __version__
    arrhythmia: ArrhythmiaModel | None = None

    @property
    def profile(self) -> str:
        """The profile that it was trained in, and reads runs of."""
        return REFERENCE if self.arrhythmia is None else ARRHYTHMIA

    def net(self) -> Net:
        """The net of the reference profile with its weights, in eval mode.

        Raises
        ------
        BundleError
            If weights, classes and bank do not belong together, or the model is of the arrhythmia profile.
        """
        if self.arrhythmia is not None:
            raise BundleError("This model is of the arrhythmia profile; it has no net of the reference profile.")
        dim = 0 if self.bank is None else self.bank.feature_dim
        net = build_net(self.model, len(self.classes), dim)
        try:
            net.load_state_dict(self.state_dict, strict=True)
        except RuntimeError as error:
            kind, n_classes, wanted = _kind_of(self.state_dict)
            raise BundleError(
                f"The weights do not fit: they are of a {kind} net with {n_classes} classes and {wanted} prototype "
                f"features, the model has {self.model}, {len(self.classes)} classes and {dim} prototype features. "
                "Give the class list and the prototypes that it was trained with."
            ) from error
        return net.eval()

    def check_fits(self, run: Run) -> None:
        """Refuse a run whose beats are not those the model was trained on.

        Raises
        ------
        BundleError
            If beat length, window size, the beat's place around the R-peak or sampling rate differ; both values
            are named. A model of the arrhythmia profile reads runs of that profile, whatever their sampling rate.
        """
        if self.profile == ARRHYTHMIA:
            if run.config.profile != ARRHYTHMIA or run.strips is None:
                raise BundleError(
                    "This model is of the arrhythmia profile, these beats were made in the reference profile. "
                    "Preprocess the strips in the arrhythmia profile, or choose another model."
                )
            return
        pairs: list[tuple[str, float, float, str]] = []
        if self.beat_len:
            pairs.append(("beat length", self.beat_len, run.beats.shape[1], " samples"))
        pairs.append(("window size", self.window_size, run.windows.beat.shape[1], " beats"))
        if self.data_hash:  # only then the settings are known to be those of the training data
            ends = ("pre_sec", "post_sec")
            pairs += [(name, getattr(self.preprocess, name), getattr(run.config, name), " s") for name in ends]
        wrong = [pair for pair in pairs if abs(pair[1] - pair[2]) > 1e-9]
        fs = sampling_rate(run)
        if math.isfinite(self.fs) and math.isfinite(fs) and abs(self.fs - fs) > FS_TOLERANCE * self.fs:
            wrong.append(("sampling rate", self.fs, fs, " Hz"))
        if wrong:
            text = "; ".join(
                f"{what} {mine:g}{unit} in the model, {theirs:g}{unit} here" for what, mine, theirs, unit in wrong
            )
            raise BundleError(
                f"This model does not fit these beats: {text}. "
                "Preprocess the strips with the settings of the model, or choose another model."
            )

    def save(self, path: str | Path) -> Path:
        """Write the bundle as one file; an older file is replaced only once the new one is whole.

        Raises
        ------
        EngineError
            If it cannot be written (disk full, folder not writable).
        """
        tensors = {f"net.{name}": value.detach().cpu().contiguous() for name, value in self.state_dict.items()}
        about = {
            "model": self.model,
            "classes": list(self.classes),
            "bank": None,
            "fs": self.fs,
            "beat_len": self.beat_len,
            "window_size": self.window_size,
            "preprocess": self.preprocess.to_dict(),
            "train": self.train.to_dict(),
            "predict": self.predict.to_dict(),
            "data_hash": self.data_hash,
            "metrics": self.metrics,
            "engine_version": self.engine_version,
        }
        if self.arrhythmia is not None:
            packed, about["arrhythmia"] = self.arrhythmia.packed()
            tensors |= {f"arrhythmia.{name}": value for name, value in packed.items()}
        if self.bank is not None:
            about["bank"] = {"mixes": list(self.bank.mixes), "top_k": self.bank.top_k}
            for name in BANK_ARRAYS:
                tensors[f"bank.{name}"] = torch.from_numpy(np.array(getattr(self.bank, name)))
        content = {
            "format": FORMAT,
            "version": 1 if self.profile == REFERENCE else VERSION,
            "tensors": tensors,
            "about": json.dumps(plain(about), allow_nan=False),
            "checksum": _checksum(tensors),
        }
        target = Path(path)
        atomic_write(target, lambda draft: torch.save(content, draft))
        return target


def load(path: str | Path) -> Bundle:
    """Read a bundle.

    Raises
    ------
    BundleError
        If there is no such file, or it is damaged, no bundle, or of a newer version; with what to do.
    """
    source = Path(path)
    content = _torch_load(source)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        hint = "It holds bare weights: give their classes and prototypes too." if _is_state(content) else ""
        raise BundleError(f"{source.name} is not a model bundle of this program. {hint}".strip())
    if content["version"] > VERSION:
        raise BundleError(f"{source.name} was written by a newer version of this program. Update to open it.")
    try:
        tensors, about = content["tensors"], json.loads(content["about"])
        if _checksum(tensors) != content["checksum"]:
            raise ValueError("checksum")
        bank = None
        if about["bank"] is not None:
            waves, labels, ids, sizes = (tensors[f"bank.{name}"].numpy() for name in BANK_ARRAYS)
            bank = PrototypeBank(waves, labels, ids, sizes, tuple(about["bank"]["mixes"]), about["bank"]["top_k"])
        bundle = Bundle(
            state_dict={name.removeprefix("net."): v for name, v in tensors.items() if name.startswith("net.")},
            model=about["model"],
            classes=tuple(about["classes"]),
            bank=bank,
            fs=math.nan if about["fs"] is None else float(about["fs"]),
            beat_len=about["beat_len"],
            window_size=about["window_size"],
            preprocess=PreprocessConfig.from_dict(about["preprocess"]),
            train=TrainConfig.from_dict(about["train"]),
            predict=PredictConfig.from_dict(about["predict"]),
            data_hash=about["data_hash"],
            metrics=about["metrics"],
            engine_version=about["engine_version"],
            arrhythmia=_arrhythmia(tensors, about.get("arrhythmia")),
        )
        if bundle.profile == REFERENCE:
            bundle.net()
    except EngineError as error:
        raise BundleError(f"{source.name} cannot be used: {error}") from error
    except Exception as error:
        raise BundleError(f"{source.name} is damaged. Restore it from a copy, or train the model again.") from error
    return bundle


def _arrhythmia(tensors: Mapping[str, Tensor], about: Any) -> ArrhythmiaModel | None:
    if about is None:
        return None
    from ecg_engine.arrhythmia.model import ArrhythmiaModel

    start = "arrhythmia."
    own = {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
    return ArrhythmiaModel.unpacked(own, about)


def bundle_beside(path: str | Path) -> Bundle | None:
    """The bundle in the folder of a bare checkpoint, if it holds the very same weights; else None.

    Training leaves both side by side. The bundle knows classes, prototypes and thresholds, which weights alone do not.
    """
    source = Path(path)
    beside = source.with_name(BUNDLE_FILE)
    if source.name == BUNDLE_FILE or not beside.is_file():
        return None
    state = _torch_load(source)
    try:
        bundle = load(beside)
    except BundleError:
        return None
    if not _is_state(state) or state.keys() != bundle.state_dict.keys():
        return None
    return bundle if state and all(torch.equal(state[name], bundle.state_dict[name]) for name in state) else None


def from_state_dict(
    path: str | Path,
    classes: Sequence[int] | None = None,
    bank: PrototypeBank | None = None,
    *,
    prototype_dir: str | Path | None = None,
    train: TrainConfig | None = None,
    predict: PredictConfig | None = None,
    fs: float | None = None,
    beat_len: int | None = None,
    window_size: int = 5,
) -> Bundle:
    """Make a bundle of an old checkpoint (``best_hybrid_v2.pt``, ``best_context_model.pt``).

    Parameters
    ----------
    path : path
        The state dict.
    classes : sequence of int, optional
        Label of each logit; else ``raw_class_values`` of the ``training_summary_v2.json`` beside it.
    bank : PrototypeBank, optional
        Else made from ``prototype_dir`` (a preprocessing folder) with the criteria of ``train``.
    fs, beat_len : optional
        Where unknown, :meth:`Bundle.check_fits` cannot compare them; the beat length follows from the bank.

    Raises
    ------
    BundleError
        If the file is no such checkpoint, the classes are nowhere to be found, or the bank gives another number of
        features than the weights expect.
    """
    source = Path(path)
    state = _torch_load(source)
    if isinstance(state, dict) and state.get("format") == FORMAT:
        raise BundleError(f"{source.name} is a model bundle already. Open it as it is.")
    if not _is_state(state):
        raise BundleError(f"{source.name} holds no weights of a net.")
    model, n_classes, dim = _kind_of(state)
    if classes is None:
        classes = _classes_beside(source)
    if len(classes) != n_classes:
        raise BundleError(f"{source.name} has {n_classes} classes, but {len(classes)} were given: {list(classes)}.")
    settings = train or TrainConfig()
    if model == "context":
        bank = None
    elif bank is None and prototype_dir is not None:
        bank = _bank_of_folder(Path(prototype_dir), settings)
    elif bank is None and dim == settings.top_k_sim:
        bank = empty_bank(beat_len or 0, settings.top_k_sim)
    if model == "hybrid" and (bank is None or bank.feature_dim != dim):
        has = "no prototypes were given" if bank is None else f"the prototypes given make {bank.feature_dim}"
        raise BundleError(
            f"{source.name} expects {dim} prototype features, but {has}. Give the prototype folder that it was trained "
            "with, and the same min_proto_size, min_proto_purity and top_k_sim."
        )
    bundle = Bundle(
        state_dict=state,
        model=model,
        classes=tuple(int(value) for value in classes),
        bank=bank,
        fs=math.nan if fs is None else float(fs),
        beat_len=beat_len or (int(bank.waves.shape[1]) if bank is not None else 0),
        window_size=window_size,
        train=settings,
        predict=predict or PredictConfig(),
    )
    bundle.net()
    return bundle


def _torch_load(path: Path) -> Any:
    if not path.is_file():
        raise BundleError(f"There is no model file {path}.")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever bytes were in it: pickle, zip and torch all raise their own
        raise BundleError(
            f"{path.name} is damaged or not a model file. Restore it from a copy, or train the model again."
        ) from error


def _is_state(content: Any) -> bool:
    return isinstance(content, dict) and bool(content) and all(isinstance(value, Tensor) for value in content.values())


def _kind_of(state: Mapping[str, Tensor]) -> tuple[str, int, int]:
    try:
        return describe_state(state)
    except ConfigError as error:
        raise BundleError(f"The file cannot be used: {error}") from error


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name}{tuple(tensors[name].shape)}{tensors[name].dtype}".encode())
        digest.update(tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def _classes_beside(source: Path) -> list[int]:
    summary = source.with_name("training_summary_v2.json")
    try:
        return [int(value) for value in json.loads(summary.read_text())["raw_class_values"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"The classes of {source.name} are unknown: no readable {summary.name} with raw_class_values lies beside "
            "it. Put it there, or give the class list."
        ) from error


def _bank_of_folder(folder: Path, config: TrainConfig) -> PrototypeBank:
    try:
        library = pd.read_csv(folder / "prototype_library.csv")
        with np.load(folder / "prototype_library_waves.npz") as waves:
            return bank_from_library(library, {int(k.removeprefix("prototype_")): waves[k] for k in waves}, config)
    except EngineError:
        raise
    except Exception as error:
        raise BundleError(f"The prototypes in {folder} cannot be read: {error}") from error
