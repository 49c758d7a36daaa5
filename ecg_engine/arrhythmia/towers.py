"""The nets that look at a beat: two small towers on its columns, and convolutions over its pictures (issue 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Towers(nn.Module):
    """Shape tower and S tower; logits of N, S, V, F and own classes, N being 0."""

    looks_at_pictures = False

    def __init__(self, vf: int, s: int, classes: int) -> None:
        super().__init__()
        self.vf = nn.Sequential(
            nn.Linear(vf, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, classes - 2)
        )
        self.s = s_tower(s)
        rare_at_first(self.vf[-1])

    def forward(self, vf: Tensor, s: Tensor, pictures: Tensor) -> Tensor:
        """Logits (n, K)."""
        return beside_n(self.s(s), self.vf(vf))


class PictureNet(nn.Module):
    """Convolutions over the beat and its differences, next to a few numbers on timing; an S tower of its own."""

    def __init__(self, vf: int, s: int, classes: int) -> None:
        super().__init__()
        # pooled before the rectifier, which comes to the same and costs half
        self.trunk = nn.Sequential(
            nn.Conv2d(3, 12, (1, 7), padding=(0, 3)),
            nn.MaxPool2d((1, 2)),
            nn.ReLU(),
            nn.Conv2d(12, 20, (1, 5), padding=(0, 2)),
            nn.MaxPool2d((1, 2)),
            nn.ReLU(),
            nn.Conv2d(20, 24, (1, 3), padding=(0, 1)),
            nn.ReLU(),
        )
        self.head = nn.Sequential(nn.Linear(48 + s, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, classes - 2))
        self.s = s_tower(s)
        rare_at_first(self.head[-1])

    def forward(self, vf: Tensor, s: Tensor, pictures: Tensor) -> Tensor:
        """Logits (n, K)."""
        # in two dimensions and with the channels last, convolutions on a processor take half the time
        flat = pictures[:, :, None].contiguous(memory_format=torch.channels_last)
        seen = self.trunk(flat)[:, :, 0]  # (n, 24, 23)
        return beside_n(self.s(s), self.head(torch.cat([seen.amax(2), seen.mean(2), s], dim=1)))


def s_tower(width: int) -> nn.Sequential:
    """Small on purpose: there are few statements about S beats to learn from."""
    tower = nn.Sequential(nn.Linear(width, 16), nn.Tanh(), nn.Linear(16, 1))
    rare_at_first(tower[-1])
    return tower


def rare_at_first(last: nn.Module) -> None:
    """Let a last layer begin with low odds of all that is not N."""
    # a beat is N until shown otherwise: starting from even odds, long normal strips would drown all else
    assert isinstance(last, nn.Linear)
    nn.init.constant_(last.bias, -2.5)


def beside_n(s: Tensor, others: Tensor) -> Tensor:
    """Logits of all classes, that of N being 0: (n, 1) of S and (n, K - 2) of the others to (n, K)."""
    return torch.cat([torch.zeros_like(s), s, others], dim=1)
