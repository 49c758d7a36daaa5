"""Charts of prototypes: which can be trusted, what they look like, and how alike their members are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from ecg_engine.config import ValidateConfig
from ecg_engine.figures.charts import GRID, axis, beat_times, chart, empty, note
from ecg_engine.figures.palette import ACCENT, ALARM, INK, label_colour, label_letter, label_symbol
from ecg_engine.labels import label_name
from ecg_engine.spread import evenly

_TICKS = [digit * 10**power for power in range(6) for digit in (1, 2, 5)]
Wave = npt.NDArray[np.floating]


def purity_figure(detail: pd.DataFrame, config: ValidateConfig | None = None) -> go.Figure:
    """Purity against size (log) of every prototype, with the limits; suspicious ones are ringed.

    Parameters
    ----------
    detail : DataFrame
        ``ValidationResult.detail``; ``customdata`` of the points is the ``prototype_id``.
    config : ValidateConfig, optional
        The limits that were used.
    """
    config = config or ValidateConfig()
    if not len(detail):
        return empty("There are no prototypes.")
    data: list[dict[str, Any]] = []
    for label in np.unique(detail["dominant_label"].to_numpy(dtype=int)):
        part = detail[detail["dominant_label"] == label]
        hover = [_hover(row) for row in part.to_dict("records")]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"{label_letter(label)} {label_name(label)}",
                "x": part["size"].to_numpy(),
                "y": part["purity"].to_numpy(),
                "customdata": part["prototype_id"].to_numpy(),
                "hovertext": hover,
                "hoverinfo": "text+name",
                "marker": {
                    "size": 12,
                    "color": label_colour(label),
                    "symbol": label_symbol(label),
                    "line": {"color": label_colour(label), "width": 1.6},
                },
            }
        )
    suspicious = detail[detail["suspicious"].to_numpy(dtype=bool)]
    if len(suspicious):
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "suspicious",
                "x": suspicious["size"].to_numpy(),
                "y": suspicious["purity"].to_numpy(),
                "hoverinfo": "skip",
                "marker": {"size": 20, "symbol": "circle-open", "color": ALARM, "line": {"width": 2}},
            }
        )
    sizes = detail["size"].clip(lower=1)
    low = np.log10(min(sizes.min(), config.min_size or 1) * 0.7)
    high = np.log10(sizes.max() * 1.4)
    limit = {"type": "line", "line": {"color": INK, "dash": "dash", "width": 1}}
    number = int(detail["suspicious"].sum())
    words = f"{number} of {len(detail)} prototypes are suspicious (ringed)"
    return chart(
        data,
        alt=f"Purity against size: {words}",
        height=420,
        xaxis=axis(
            "beats (log scale)", type="log", range=[low, high], tickvals=_TICKS, ticktext=[f"{v:,}" for v in _TICKS]
        ),
        yaxis=axis("purity", range=[-0.02, 1.05]),
        shapes=[
            {**limit, "x0": max(config.min_size, 1), "x1": max(config.min_size, 1), "y0": 0, "y1": 1, "yref": "paper"},
            {**limit, "x0": 0, "x1": 1, "xref": "paper", "y0": config.min_purity, "y1": config.min_purity},
        ],
        annotations=[note(words)],
    )


def _hover(row: dict[Any, Any]) -> str:
    text = f"Prototype {row['prototype_id']}: {row['size']:,} beats, purity {row['purity']:.2f}"
    text += f", noise {row['noise_ratio']:.2f}"
    return text + (f"<br>{row['reasons'].replace(';', ', ')}" if row["reasons"] else "")


def prototypes_of_label(
    library: pd.DataFrame,
    waves: Mapping[int, Wave],
    label: int,
    fs: float,
    *,
    most: int = 12,
    pre_sec: float = 0.250,
) -> go.Figure:
    """The prototypes whose dominant label is ``label``, largest first, each in its own frame.

    Parameters
    ----------
    library : DataFrame
        ``prototype_library.csv`` or a validation detail (then suspicious ones say why).
    waves : mapping of prototype id to array, shape (beat_len,)
    """
    mine = library[library["dominant_label"] == label].sort_values("size", ascending=False, kind="stable")
    if not len(mine):
        return empty(f"No prototype has {label_name(label)} as its most frequent label.")
    names, frames, colours = [], [], []
    for values in mine.head(most).to_dict("records"):
        reasons = str(values.get("reasons", "") or "")
        words = f"#{values['prototype_id']} · {values['size']:,} beats"
        names.append(words + (f"<br>{reasons.replace(';', ', ')}" if reasons else ""))
        frames.append(waves[int(values["prototype_id"])])
        colours.append(label_colour(label))
    more = len(mine) - len(frames)
    alt = f"{len(frames)} prototypes of {label_name(label)}" + (f", {more} more not shown" if more else "")
    return gallery(frames, names, colours, fs, alt=alt, pre_sec=pre_sec, customdata=mine["prototype_id"].tolist())


def gallery(
    waves: Sequence[Wave],
    names: Sequence[str],
    colours: Sequence[str],
    fs: float,
    *,
    alt: str,
    columns: int = 4,
    pre_sec: float = 0.250,
    customdata: Sequence[int] | None = None,
) -> go.Figure:
    """Beats in frames of one scale, ``columns`` to a row; ``customdata`` is one id a frame."""
    rows = -(-len(waves) // columns)
    low = min(float(np.min(wave)) for wave in waves)
    high = max(float(np.max(wave)) for wave in waves)
    pad = 0.06 * (high - low or 1.0)
    data, layout, notes = [], {}, []
    for i, wave in enumerate(waves):
        row, column = divmod(i, columns)
        tag = "" if i == 0 else str(i + 1)
        left, right = column / columns, (column + 1) / columns - 0.02
        top = 1 - row / rows
        bottom = top - 1 / rows + 0.14 / rows
        top -= 0.14 / rows
        layout[f"xaxis{tag}"] = axis("", domain=[left, right], anchor=f"y{tag}", showticklabels=row == rows - 1)
        layout[f"yaxis{tag}"] = axis(
            "", domain=[bottom, top], anchor=f"x{tag}", range=[low - pad, high + pad], showticklabels=column == 0
        )
        x = beat_times(len(wave), fs, pre_sec)
        line: dict[str, Any] = {
            "type": "scatter",
            "mode": "lines",
            "name": names[i],
            "x": x,
            "y": np.asarray(wave, dtype=np.float32),
            "xaxis": f"x{tag}",
            "yaxis": f"y{tag}",
            "line": {"color": colours[i], "width": 2},
            "showlegend": False,
            "hoverinfo": "name",
        }
        if customdata is not None:
            line["customdata"] = np.full(len(x), customdata[i])
        data.append(line)
        notes.append(note(names[i], left, top, xanchor="left"))
    return chart(data, alt=alt, height=60 + 170 * rows, annotations=notes, **layout)


def members_overlay(
    wave: Wave,
    members: npt.NDArray[np.floating],
    fs: float,
    *,
    name: str = "prototype",
    colour: str = ACCENT,
    lines: int = 30,
    pre_sec: float = 0.250,
) -> go.Figure:
    """A prototype over its members: 5th to 95th and 25th to 75th percentile, and some single beats.

    Parameters
    ----------
    wave : array, shape (beat_len,)
    members : array, shape (k, beat_len)
    lines : int
        Single beats drawn at most, spread evenly over the members.
    """
    if not len(members):
        return empty(f"{name} has no members.")
    beats = np.asarray(members, dtype=np.float32)
    x = beat_times(len(wave), fs, pre_sec)
    p5, p25, p75, p95 = np.percentile(beats, [5, 25, 75, 95], axis=0).astype(np.float32)
    data: list[dict[str, Any]] = []
    picks = evenly(len(beats), lines)
    single = {"line": {"color": GRID, "width": 1}, "showlegend": False, "hoverinfo": "skip"}
    data.extend(_plain(x, beats[i], "") | single for i in picks)
    for low, high, opacity, words in ((p5, p95, 0.16, "5–95 %"), (p25, p75, 0.30, "25–75 %")):
        red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
        hidden = {"line": {"width": 0}, "hoverinfo": "skip"}
        fill = {"fill": "tonexty", "fillcolor": f"rgba({red},{green},{blue},{opacity})"}
        data.append(_plain(x, low, "") | hidden | {"showlegend": False})
        data.append(_plain(x, high, words) | hidden | fill)
    data.append(_plain(x, wave, name) | {"line": {"color": colour, "width": 2.6}})
    spread = float(np.mean(p75 - p25))
    words = f"{len(beats):,} members, {len(picks)} drawn; half of them within {spread:.2f} SD"
    return chart(
        data,
        alt=f"{name}: {words}",
        xaxis=axis("ms from the R-peak"),
        yaxis=axis("strip SD"),
        annotations=[note(words)],
    )


def _plain(x: Wave, y: Wave, name: str) -> dict[str, Any]:
    return {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": np.asarray(y, dtype=np.float32)}
