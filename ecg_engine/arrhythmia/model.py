"""A model of the arrhythmia profile: nets for beats, the same as they were judged, and the patterns that it knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ecg_engine.arrhythmia.beat_classes import BeatModel
from ecg_engine.arrhythmia.unknown import KnownPatterns

_TENSOR = "tensor:"


@dataclass(frozen=True)
class ArrhythmiaModel:
    """All that predicting by the arrhythmia profile needs.

    Attributes
    ----------
    beats : BeatModel
        Trained on every patient.
    judged : BeatModel
        Trained by the same recipe without the held-out patients: what the figures are of, and what a later model is
        compared with.
    known : KnownPatterns or None
        None where there were too few strips to say what is usual.
    """

    beats: BeatModel
    judged: BeatModel
    known: KnownPatterns | None

    def packed(self) -> tuple[dict[str, Tensor], Any]:
        """Tensors by name, and plain values in which their names stand for them."""
        tensors: dict[str, Tensor] = {}
        known = None if self.known is None else self.known.state()
        plain = _pack({"beats": self.beats.state(), "judged": self.judged.state(), "known": known}, "", tensors)
        return tensors, plain

    @classmethod
    def unpacked(cls, tensors: Mapping[str, Tensor], plain: Any) -> ArrhythmiaModel:
        """The model of what :meth:`packed` gave.

        Raises
        ------
        InputError
            If it was made for other measurements than this engine makes.
        KeyError
            If a tensor is missing.
        """
        state = _unpack(plain, tensors)
        known = None if state["known"] is None else KnownPatterns.from_state(state["known"])
        return cls(BeatModel.from_state(state["beats"]), BeatModel.from_state(state["judged"]), known)


def _pack(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        tensors[path] = value.detach().cpu().contiguous()
        return _TENSOR + path
    if isinstance(value, Mapping):
        return {str(name): _pack(one, f"{path}/{name}", tensors) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_pack(one, f"{path}/{place}", tensors) for place, one in enumerate(value)]
    return value


def _unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, str) and value.startswith(_TENSOR):
        return torch.as_tensor(tensors[value.removeprefix(_TENSOR)])
    if isinstance(value, Mapping):
        return {name: _unpack(one, tensors) for name, one in value.items()}
    if isinstance(value, list):
        return [_unpack(one, tensors) for one in value]
    return value
