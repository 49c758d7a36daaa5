"""The two nets (spec section 8): beats in, class logits and a noise-gate logit out.

Both read a window of beats around a centre beat. A net can be run in two ways that give the same numbers in
eval mode: ``forward`` encodes every beat of every window, as the first scripts did; ``forward_beats`` encodes
each beat once and gathers the windows from the encodings, which is what training and prediction use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecg_engine.config import MODELS
from ecg_engine.errors import ConfigError

ENCODING = 64
HIDDEN = 96


class NetOutput(NamedTuple):
    """What a net says about B centre beats."""

    classes: Tensor  # (B, K) logits
    gate: Tensor | None  # (B,) noise logit; None for a net without a gate


class BeatEncoder(nn.Sequential):
    """Three convolutions over one beat: (N, 1, L) to (N, 64, 1). A Sequential, as the old checkpoints name it."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv1d(1, 24, 7, padding=3),
            nn.BatchNorm1d(24),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(24, 48, 5, padding=2),
            nn.BatchNorm1d(48),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(48, ENCODING, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(1),
        )

    def encode(self, beats: Tensor) -> Tensor:
        """Encodings of beats: (N, L) to (N, 64)."""
        if beats.is_cuda or not torch.is_grad_enabled():
            encoded: Tensor = self(beats.unsqueeze(1))
            return encoded.squeeze(-1)
        # Training on a processor: the same layers with the channels last in memory, and ReLU and pooling in one
        # step, take a fifth less time.
        x = beats[:, None, None, :].contiguous(memory_format=torch.channels_last)  # (N, 1, 1, L)
        x = _halve(self._normalised(x, 0, 3))  # (N, 24, 1, L / 2)
        x = _halve(self._normalised(x, 4, 2))  # (N, 48, 1, L / 4)
        return F.relu(self._convolved(x, 8, 1)).mean(dim=(2, 3))

    def _convolved(self, x: Tensor, place: int, padding: int) -> Tensor:
        layer = self[place]
        assert isinstance(layer, nn.Conv1d)
        return F.conv2d(x, layer.weight.unsqueeze(2), layer.bias, padding=(0, padding))

    def _normalised(self, x: Tensor, place: int, padding: int) -> Tensor:
        x, norm = self._convolved(x, place, padding), self[place + 1]
        assert isinstance(norm, nn.BatchNorm1d)
        if norm.training and norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
        return F.batch_norm(
            x,
            norm.running_mean,
            norm.running_var,
            norm.weight,
            norm.bias,
            norm.training,
            norm.momentum or 0.1,
            norm.eps,
        )


class _HalveRelu(torch.autograd.Function):
    """ReLU of the larger of each two neighbours along the second axis: (N, L, C) to (N, L // 2, C)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        left, right = _neighbours(x)
        larger = torch.maximum(left, right).clamp_min_(0.0)
        ctx.save_for_backward(x, larger)
        return larger

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        x, larger = ctx.saved_tensors
        grad = grads[0] * (larger > 0)
        left, right = _neighbours(x)
        out = torch.empty_like(x)
        out[:, 2 * larger.shape[1] :] = 0.0  # an odd last place goes nowhere
        to_left, to_right = _neighbours(out)
        torch.mul(grad, left >= right, out=to_left)  # as max pooling does, equal neighbours: the first
        torch.sub(grad, to_left, out=to_right)
        return out


def _neighbours(x: Tensor) -> tuple[Tensor, Tensor]:
    n, length, channels = x.shape
    pairs = x[:, : length // 2 * 2].view(n, length // 2, 2, channels)
    return pairs[:, :, 0], pairs[:, :, 1]


def _halve(x: Tensor) -> Tensor:
    # (N, C, 1, L) with channels last is (N, L, C) in memory
    halved: Tensor = _HalveRelu.apply(x.permute(0, 2, 3, 1).squeeze(1).contiguous())
    return halved.unsqueeze(1).permute(0, 3, 1, 2)


def _rows(table: Tensor, index: Tensor) -> Tensor:
    # index_select, not table[index]: the backward pass of the latter is not deterministic on CPU
    return table.index_select(0, index)


def centre_context(lstm: nn.LSTM, table: Tensor, windows: Tensor) -> Tensor:
    """Output of a one-layer BiLSTM at the centre of each window.

    The centre's output needs the forward direction only up to the centre and the backward direction only down
    to it, so the other half of the steps is never run; and the input projection is done once a beat. The
    numbers are those of ``lstm(table[windows])[0][:, W // 2]``.

    Parameters
    ----------
    lstm : nn.LSTM
        One layer, both directions, batch first.
    table : Tensor, shape (U, 64)
        Encodings.
    windows : Tensor of int64, shape (B, W)
        Row of ``table`` at each place; W is odd.

    Returns
    -------
    Tensor, shape (B, 2 * hidden)
    """
    width, hidden = windows.shape[1], lstm.hidden_size
    centre = width // 2
    names = ("weight_ih_l0", "bias_ih_l0", "bias_hh_l0", "weight_hh_l0")
    sides = [[getattr(lstm, name + end) for name in names] for end in ("", "_reverse")]
    ahead, back = (torch.addmm(b_in + b_rec, table, w_in.t()) for w_in, b_in, b_rec, _ in sides)
    recurrent = torch.stack([side[3].t() for side in sides])  # (2, hidden, 4 hidden)
    state: Tensor | None = None
    cell: Tensor | None = None
    for step in range(centre + 1):
        # both directions advance together, from the two ends towards the centre: (2, B, 4 hidden)
        gates = torch.stack([_rows(ahead, windows[:, step]), _rows(back, windows[:, width - 1 - step])])
        if state is not None:
            gates = torch.baddbmm(gates, state, recurrent)
        enter, forget, update, leave = gates.split(hidden, dim=2)
        fresh = torch.sigmoid(enter) * torch.tanh(update)
        cell = fresh if cell is None else torch.sigmoid(forget) * cell + fresh
        state = torch.sigmoid(leave) * torch.tanh(cell)
    assert state is not None
    return torch.cat([state[0], state[1]], dim=1)


class _WindowNet(nn.Module):
    """What both nets share: the encoder, the context and the two ways to run them."""

    proto_dim = 0

    def __init__(self) -> None:
        super().__init__()
        self.beat_encoder = BeatEncoder()
        self.context_lstm = nn.LSTM(ENCODING, HIDDEN, batch_first=True, bidirectional=True)

    def heads(self, morphology: Tensor, context: Tensor, proto: Tensor | None) -> NetOutput:
        """Logits from the centre beat's encoding (B, 64), its context (B, 192) and prototype features (B, D)."""
        raise NotImplementedError

    def forward(self, x: Tensor, proto: Tensor | None = None) -> NetOutput:
        """Run on whole windows: x (B, W, L), proto (B, D); absent beats are zeros."""
        n, width, length = x.shape
        encoded = self.beat_encoder.encode(x.reshape(n * width, length)).reshape(n, width, ENCODING)
        context = self.context_lstm(encoded)[0][:, width // 2]
        return self.heads(encoded[:, width // 2], context, proto)

    def forward_beats(self, beats: Tensor, windows: Tensor, proto: Tensor | None = None) -> NetOutput:
        """Run on beats (N, L) that are each encoded once; windows (B, W) hold rows of beats, -1 where absent.

        An absent place gets the encoding of an all-zero beat, which is what ``forward`` sees there.
        """
        table = self.beat_encoder.encode(torch.cat([beats, beats.new_zeros(1, beats.shape[1])]))
        windows = torch.where(windows < 0, len(beats), windows)
        context = centre_context(self.context_lstm, table, windows)
        return self.heads(_rows(table, windows[:, windows.shape[1] // 2]), context, proto)


class ECGContextNet(_WindowNet):
    """V1: the class of the centre beat from its context alone."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Linear(2 * HIDDEN, 96), nn.ReLU(), nn.Dropout(0.2), nn.Linear(96, num_classes))

    def heads(self, morphology: Tensor, context: Tensor, proto: Tensor | None) -> NetOutput:
        """Class logits; no gate."""
        return NetOutput(self.head(context), None)


class ECGHybridNet(_WindowNet):
    """V2: morphology, context and likeness to prototypes; classes and a noise gate."""

    def __init__(self, num_classes: int, proto_dim: int) -> None:
        super().__init__()
        self.proto_dim = proto_dim
        self.proto_mlp = nn.Sequential(
            nn.Linear(proto_dim, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 32), nn.ReLU()
        )
        self.fusion = nn.Sequential(
            nn.Linear(ENCODING + 2 * HIDDEN + 32, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 96), nn.ReLU()
        )
        self.class_head = nn.Linear(96, num_classes)
        self.gate_head = nn.Linear(96, 1)

    def heads(self, morphology: Tensor, context: Tensor, proto: Tensor | None) -> NetOutput:
        """Class logits and the noise logit."""
        if proto is None:
            raise ValueError("the hybrid net needs the prototype features of each centre beat")
        fused = self.fusion(torch.cat([morphology, context, self.proto_mlp(proto)], dim=1))
        return NetOutput(self.class_head(fused), self.gate_head(fused).squeeze(1))


Net = ECGContextNet | ECGHybridNet


def build_net(model: str, num_classes: int, proto_dim: int = 0) -> Net:
    """An untrained net.

    Parameters
    ----------
    model : {"hybrid", "context"}
    num_classes : int
    proto_dim : int
        Number of prototype features; unused by the context net.

    Raises
    ------
    ConfigError
        If ``model`` is neither.
    """
    if model == "hybrid":
        return ECGHybridNet(num_classes, proto_dim)
    if model == "context":
        return ECGContextNet(num_classes)
    raise ConfigError(f"model is {model!r}; it must be one of {', '.join(MODELS)}.")


def describe_state(state: Mapping[str, Tensor]) -> tuple[str, int, int]:
    """Model, number of classes and number of prototype features of a state dict, read off its shapes.

    Raises
    ------
    ConfigError
        If it belongs to neither net.
    """
    if "class_head.weight" in state and "proto_mlp.0.weight" in state:
        return "hybrid", len(state["class_head.weight"]), int(state["proto_mlp.0.weight"].shape[1])
    if "head.3.weight" in state:
        return "context", len(state["head.3.weight"]), 0
    raise ConfigError("these weights belong to neither of the two nets (hybrid, context).")
