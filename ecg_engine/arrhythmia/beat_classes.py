"""Classes of beats learned from labels of strips, and from beats that a reader has labelled (issue 4, item 3).

Two towers look at a beat. One sees shape, timing and rhythm and speaks for V, F and the reader's own classes. The
other sees only how early, how narrow and in how regular a rhythm a beat is, and speaks for S: given more, it would
learn to tell strips apart instead of beats. A small convolutional net on the beat and its differences from the
references is averaged in. The loss is the likelihood of each strip's label (:mod:`ecg_engine.arrhythmia.runs`); beats
that a reader has labelled add the cross-entropy of their class with more weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ecg_engine.arrhythmia.beat_training import FitConfig as FitConfig
from ecg_engine.arrhythmia.beat_training import Lesson, OnEpoch, teaching_strips
from ecg_engine.arrhythmia.context import S_COLUMNS, VF_COLUMNS
from ecg_engine.arrhythmia.examples import Examples
from ecg_engine.arrhythmia.hybrid import HybridBeatNet, bank_from_state, bank_state, hybrid_inputs, run_hybrid
from ecg_engine.arrhythmia.nets_in_turn import Planned, train_in_turn
from ecg_engine.arrhythmia.runs import SYMBOLS
from ecg_engine.arrhythmia.runs import symbol_log_p as symbol_log_p
from ecg_engine.arrhythmia.towers import PictureNet, Towers
from ecg_engine.bank import PrototypeBank
from ecg_engine.errors import InputError
from ecg_engine.labels import LABEL_NAMES, aami_class
from ecg_engine.progress import Progress, silent

UNKNOWN_BEAT = -1
"""Class number of a beat that nobody has labelled."""

OWN_FROM = 10
"""Labelled beats from which a reader's own label becomes a class of its own."""

_SHARED_LABELS = {0: 0, 3: 0, 4: 0, 5: 0, 6: 0, 1: 1, 2: 2, 7: 2, 10: 2, 11: 2}
"""Label of a beat to one of the four symbols; 9 and 12 are kinds of V that a reader may set apart."""


_KINDS: dict[str, Callable[..., nn.Module]] = {
    "Towers": Towers,
    "PictureNet": PictureNet,
    "HybridBeatNet": HybridBeatNet,
}


class Seen(NamedTuple):
    """What a model says of n beats."""

    classes: NDArray[np.float32]
    """Probability of each class, (n, K)."""

    noise: NDArray[np.float32] | None
    """Probability of noise, (n,); None if no net of the model has a gate."""


@dataclass
class BeatModel:
    """A trained set of nets.

    Attributes
    ----------
    labels : tuple of int
        Label id of each class: 0, 1, 2, 9 (N, S, V, F), then the reader's own.
    acts_as : tuple of int
        Symbol (0 to 3) of each class in statements about strips.
    nets : list of Module
    scale : mapping
        Mean and standard deviation of the columns on the training strips.
    bank : PrototypeBank or None
        Prototypes of the hybrid net, if it is one of the nets.
    """

    labels: tuple[int, ...]
    acts_as: tuple[int, ...]
    nets: list[nn.Module]
    scale: dict[str, NDArray[np.float32]]
    bank: PrototypeBank | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes: N, S, V, F, then those of the own labels."""
        return (*SYMBOLS, *(LABEL_NAMES[label] for label in self.labels[4:]))

    def probabilities(self, examples: Examples) -> NDArray[np.float32]:
        """Probability of each class for each beat, float32 (n, K); rows sum to 1."""
        return self.look(examples).classes

    def look(self, examples: Examples) -> Seen:
        """Probabilities of the classes, the mean of all nets', and of noise.

        Raises
        ------
        InputError
            If one of the nets reads waves and the examples hold none.
        """
        noise: NDArray[np.float32] | None = None
        inputs = _scaled(examples, self.scale)
        total = np.zeros((len(examples), len(self.labels)), dtype=np.float32)
        with torch.no_grad():
            for net in self.nets:
                net.eval()
                if isinstance(net, HybridBeatNet):
                    assert self.bank is not None
                    classes, noise = run_hybrid(net, hybrid_inputs(examples, *inputs[:2], self.bank))
                    total += classes
                    continue
                for start in range(0, len(examples), 8192):
                    part = [x[start : start + 8192] for x in inputs]
                    total[start : start + 8192] += torch.softmax(net(*part), 1).numpy()
        return Seen(total / np.float32(max(len(self.nets), 1)), noise)

    def symbol_probabilities(self, examples: Examples) -> NDArray[np.float32]:
        """Probability of N, S, V and F for each beat, own classes counted as what they act as; float32 (n, 4)."""
        p = self.probabilities(examples)
        acts_as = np.array(self.acts_as)
        return np.stack([p[:, acts_as == k].sum(axis=1) for k in range(len(SYMBOLS))], axis=1)

    def state(self) -> dict[str, Any]:
        """What :meth:`from_state` needs: plain values and tensors, safe to load with ``weights_only``."""
        nets = [{"kind": type(net).__name__, "weights": net.state_dict()} for net in self.nets]
        scale = {name: torch.from_numpy(values) for name, values in self.scale.items()}
        columns = {"vf": list(VF_COLUMNS), "s": list(S_COLUMNS)}
        bank = None if self.bank is None else bank_state(self.bank)
        model = {"labels": list(self.labels), "acts_as": list(self.acts_as), "nets": nets, "scale": scale}
        return model | columns | {"bank": bank}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> BeatModel:
        """The model of a state.

        Raises
        ------
        InputError
            If it was made for other columns than this engine computes.
        """
        if tuple(state["vf"]) != VF_COLUMNS or tuple(state["s"]) != S_COLUMNS:
            raise InputError(
                "the model was trained on other measurements than this version makes",
                remedy="Train it again with this version.",
            )
        widths = len(VF_COLUMNS), len(S_COLUMNS), len(state["labels"])
        bank = None if state.get("bank") is None else bank_from_state(state["bank"])
        nets: list[nn.Module] = []
        for one in state["nets"]:
            kind, of_bank = _KINDS[one["kind"]], () if bank is None else (bank.feature_dim,)
            net = kind(*widths, *(of_bank if kind is HybridBeatNet else ()))
            net.load_state_dict(one["weights"])
            nets.append(net)
        scale = {name: values.numpy() for name, values in state["scale"].items()}
        return cls(tuple(state["labels"]), tuple(state["acts_as"]), nets, scale, bank)


def fit(
    examples: Examples,
    config: FitConfig | None = None,
    progress: Progress = silent,
    *,
    on_epoch: OnEpoch | None = None,
    held: Examples | None = None,
    device: str | torch.device | None = None,
) -> BeatModel:
    """Learn beats from what is said about strips, and from known beats.

    Parameters
    ----------
    examples : Examples
    config : FitConfig, optional
    progress : Progress, optional
        Called after every epoch; may raise ``Cancelled``.
    on_epoch : callable, optional
        See :data:`ecg_engine.arrhythmia.beat_training.OnEpoch`.
    held : Examples, optional
        Strips that are only judged: they give val_loss.
    device : str, optional
        Where the nets are trained, the processor by default; they come back from there. On the processor a seed
        always gives the same model.

    Returns
    -------
    BeatModel

    Raises
    ------
    InputError
        If no strip has a label that says something about its beats and no beat is known.
    """
    config = config or FitConfig()
    where = torch.device("cpu" if device is None else device)
    labels, acts_as = own_classes(examples.known)
    known = class_numbers(examples.known, labels)
    rows = teaching_strips(examples, known)
    if not len(rows):
        raise InputError(
            "no strip has beats and a label that says something about them",
            remedy="Label strips as Normal, PAC, PVC, couplets, …, or label some beats.",
        )
    scale = _scale(examples.strips(rows))

    def lesson(some: Examples) -> Lesson:
        numbers = class_numbers(some.known, labels)
        return Lesson.of(some, scaled_columns(some, scale), numbers, acts_as, config.known_weight, where)

    taught, judged = lesson(examples), None if held is None else lesson(held)
    widths = len(VF_COLUMNS), len(S_COLUMNS), len(labels)

    def pictures(trained: Sequence[nn.Module]) -> nn.Module:
        net = PictureNet(*widths)
        if trained:
            # it sees nothing of S that the towers do not, and has fewer steps to learn it in
            net.s.load_state_dict(trained[-1].s.state_dict())  # type: ignore[union-attr]
        return net

    plans = [
        Planned(f"towers {i + 1} of {config.members}", config.epochs, lambda trained: Towers(*widths))
        for i in range(config.members)
    ]
    plans += [Planned("convolutions", config.epochs_cnn, pictures)] if config.use_cnn else []
    nets = train_in_turn(plans, taught, judged, config, where, on_epoch=on_epoch, progress=progress)
    return BeatModel(labels, acts_as, nets, scale)


def own_classes(known: NDArray[np.int64]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Classes of a model: N, S, V, F and the labels of which a reader labelled enough beats.

    Returns
    -------
    labels : tuple of int
    acts_as : tuple of int
        Symbol of each.
    """
    counts = {int(label): int(np.sum(known == label)) for label in np.unique(known)}
    own = [label for label, n in sorted(counts.items()) if n >= OWN_FROM and label == 12]
    return (0, 1, 2, 9, *own), (0, 1, 2, 3, *(SYMBOLS.index(aami_class(label) or "N") for label in own))


def class_numbers(known: NDArray[np.int64], labels: tuple[int, ...]) -> NDArray[np.int64]:
    """Class number of each known label, -1 where nothing (or nothing that is a class) is known; int64 (n,)."""
    out = np.full(len(known), UNKNOWN_BEAT, dtype=np.int64)
    for label in np.unique(known).tolist():
        if label in labels:
            out[known == label] = labels.index(label)
        elif label in _SHARED_LABELS:
            out[known == label] = _SHARED_LABELS[label]
        elif aami_class(label) is not None:
            out[known == label] = SYMBOLS.index(aami_class(label) or "N")
    return out


def _scale(examples: Examples) -> dict[str, NDArray[np.float32]]:
    out = {}
    for name in ("vf", "s"):
        values = getattr(examples, name)
        out[f"{name}_mean"] = values.mean(axis=0)
        out[f"{name}_std"] = values.std(axis=0) + np.float32(1e-3)
    return out


def scaled_columns(examples: Examples, scale: dict[str, NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    """Columns for V and F and for S as the nets get them, (n, Dv) and (n, Ds)."""
    # beyond six standard deviations nothing was learned
    parts = [
        np.clip((getattr(examples, name) - scale[f"{name}_mean"]) / scale[f"{name}_std"], -6, 6) for name in ("vf", "s")
    ]
    return torch.from_numpy(parts[0]), torch.from_numpy(parts[1])


def _scaled(examples: Examples, scale: dict[str, NDArray[np.float32]]) -> tuple[Tensor, Tensor, Tensor]:
    return *scaled_columns(examples, scale), torch.from_numpy(examples.pictures)
