"""Do flutter waves run through a strip? A small net looks at what lies between the QRS complexes (issue 4, item 4).

In atrial flutter the line does not rest between beats: one wave follows another, some 220 to 370 a minute, whether
every second one is conducted or every fourth. The net sees the strip with its QRS complexes bridged, and where they
were, and judges each moment by some four seconds around it; all fifths of a strip must agree. It was fitted by
``train_flutter`` on composed strips, because too few with flutter are free to learn from; see README.md beside it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt
from torch import Tensor, nn

from ecg_engine.arrhythmia.weights import read_arrays
from ecg_engine.conditioning import blocks, stacked
from ecg_engine.errors import BundleError

WEIGHTS = Path(__file__).with_name("flutter.npz")

GRID_HZ = 100.0
"""The net looks at strips on this grid whatever their rate."""

SHORTEST_SEC = 4.0

QRS_SEC = (0.07, 0.10)
"""What is bridged before and after an R-peak."""

_BAND_HZ = (0.8, 25.0)
_AROUND_SEC = (0.08, 0.11)
_HIGHEST, _FIFTHS, _SUREST = 6.0, 5, 8.0


class FlutterNet(nn.Module):
    """Convolutions to a log odds for every 80 ms, and what the fifths of a strip agree on."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = nn.Sequential(
            nn.Conv1d(3, 16, 11, stride=2, padding=5),
            nn.ReLU(),
            nn.Conv1d(16, 24, 9, stride=2, padding=4),
            nn.ReLU(),
            nn.Conv1d(24, 32, 9, stride=2, padding=4),
            nn.ReLU(),
            nn.Conv1d(32, 32, 9, padding=8, dilation=2),
            nn.ReLU(),
            nn.Conv1d(32, 32, 9, padding=16, dilation=4),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv1d(32, 1, 1),
        )

    def forward(self, seen: Tensor) -> Tensor:
        """Log odds (k,) of strips as :func:`between_qrs` gives them, (k, 3, m)."""
        moments = torch.clamp(self.looks(seen), -_SUREST, _SUREST)
        fifths = nn.functional.adaptive_avg_pool1d(moments, _FIFTHS)[:, 0]
        # close to the least of the fifths: flutter does not pause for two seconds
        return float(np.log(_FIFTHS)) - torch.logsumexp(-fifths, dim=1)


def flutter_probability(
    samples: NDArray[np.float32],
    offsets: NDArray[np.int64],
    fs: float,
    peaks: list[NDArray[np.int64]],
    net: FlutterNet | None = None,
) -> NDArray[np.float32]:
    """How much each strip looks like atrial flutter with waves that can be seen in this lead.

    Parameters
    ----------
    samples : float32 (total,)
        Strips end to end, as read; gain, offset and polarity do not matter.
    offsets : int64 (s + 1,)
    fs : float
        Hz.
    peaks : list of int64 arrays
        R-peaks of each strip in samples, ascending.
    net : FlutterNet, optional
        By default the one that is shipped.

    Returns
    -------
    float32 (s,)
        0 to 1; 0 for a strip without beats, and for one shorter than 4 s.
    """
    net = net or shipped_net()
    out = np.zeros(len(offsets) - 1, dtype=np.float32)
    for rows in blocks(offsets):
        rows = rows[[len(peaks[row]) > 0 for row in rows]]
        if not len(rows) or (offsets[rows[0] + 1] - offsets[rows[0]]) / fs < SHORTEST_SEC:
            continue
        seen = between_qrs(stacked(samples, offsets, rows), fs, [peaks[row] for row in rows])
        with torch.no_grad():
            out[rows] = torch.sigmoid(either_way_up(net, torch.from_numpy(seen))).numpy()
    return out


def either_way_up(net: FlutterNet, seen: Tensor) -> Tensor:
    """Mean log odds of strips as they are and upside down: which way an electrode was put on must not matter."""
    turned = seen.clone()
    turned[:, 0] *= -1
    return (net(seen) + net(turned)) / 2


def between_qrs(x: NDArray[np.float32], fs: float, peaks: list[NDArray[np.int64]]) -> NDArray[np.float32]:
    """Strips of one length as the net sees them.

    Parameters
    ----------
    x : float32 (k, n)
    fs : float
        Hz.
    peaks : list of int64 (b,)

    Returns
    -------
    float32 (k, 3, m)
        On a grid of 100 Hz: the strip with straight lines in place of its QRS complexes, as a multiple of its own
        size between them; where the lines are; and that size against the height of a QRS complex.
    """
    high = min(_BAND_HZ[1], 0.45 * fs)
    centred = x.astype(np.float64) - np.median(x, axis=1, keepdims=True)
    filtered = sosfiltfilt(butter(2, [_BAND_HZ[0], high], btype="bandpass", fs=fs, output="sos"), centred, axis=1)
    ticks = np.arange(int(x.shape[1] / fs * GRID_HZ))
    place = np.arange(x.shape[1]) / fs * GRID_HZ
    out = np.empty((len(x), 3, len(ticks)), dtype=np.float32)
    for row, wave in enumerate(filtered):
        out[row] = _bridged(np.interp(ticks, place, wave), ticks, peaks[row] / fs * GRID_HZ)
    return out


def _bridged(wave: NDArray[np.float64], ticks: NDArray[np.int64], r: NDArray[np.float64]) -> NDArray[np.float64]:
    before, after = (reach * GRID_HZ for reach in _AROUND_SEC)
    around = [wave[max(0, int(one - before)) : int(one + after) + 1] for one in r]
    height = float(np.median([np.ptp(part) for part in around if len(part)] or [np.ptp(wave)]))
    before, after = (reach * GRID_HZ for reach in QRS_SEC)
    open_line = np.ones(len(wave), dtype=bool)
    for one in r:
        open_line[max(0, int(np.ceil(one - before))) : int(one + after) + 1] = False
    if open_line.sum() < len(wave) / 10:
        open_line[::5] = True
    bridged = np.interp(ticks, ticks[open_line], wave[open_line])
    size = float(np.sqrt(np.mean(np.clip(bridged[open_line], -height, height) ** 2)))
    share = np.log(size / (height + 1e-9) + 1e-3) / 2 + 1
    level = np.clip(bridged / (size + 1e-9), -_HIGHEST, _HIGHEST)
    return np.stack([level, ~open_line, np.full(len(wave), share)])


@cache
def shipped_net() -> FlutterNet:
    """The net beside this module, read once."""
    return load_net(WEIGHTS)


def load_net(path: Path) -> FlutterNet:
    """A net from an npz file.

    Raises
    ------
    BundleError
        If the file is missing, damaged or of another kind.
    """
    net, arrays = FlutterNet(), read_arrays(path, "the flutter head")
    try:
        net.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    except RuntimeError as error:
        raise BundleError(f"The weights in {path.name} are not those of the flutter head.") from error
    return net.eval()


def save_net(net: FlutterNet, path: Path) -> None:
    """Write a net as an npz file of float32 arrays."""
    arrays: dict[str, Any] = {name: value.detach().numpy() for name, value in net.state_dict().items()}
    np.savez_compressed(path, **arrays)
