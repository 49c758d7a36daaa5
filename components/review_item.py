"""One beat under review on the screen: its strip, its shape, what the model thinks of it, and why it is doubtful."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import streamlit as st

from components.picture import picture
from components.review_view import View
from components.theme import paper
from ecg_engine.beat_svg import beat_svg
from ecg_engine.figures import (
    Paper,
    beats_of_strip,
    label_colour,
    label_letter,
    strip_figure,
    strip_title,
    strip_units,
)
from ecg_engine.figures.paper import MARGIN
from ecg_engine.labels import NOISE, UNKNOWN, label_name
from ecg_engine.queue import why_in_words
from state import session
from state.effective import Effective
from state.reviewing import verdict_label

MARKS_MM, TALLEST_MM = 10.0, 66.0
"""Millimetres of paper that the beats' marks take above the trace, and of the tallest strip that is shown."""

SOURCE_WORDS = {
    "beat": "decided on this beat",
    "prototype": "decided on its prototype",
    "model": "suggested by a model and accepted",
    "strip": "the label of its strip",
}


def shown_labels(view: View) -> np.ndarray:
    """Label of each beat of the run as this page marks it: what a reader said, else what the model made of it."""
    version = session.store().decisions.version(view.source.study_id)
    return _shown(view.row.id, str(session.store().folder), version, view)


@st.cache_resource(show_spinner=False, max_entries=2)
def _shown(row_id: str, data: str, version: int, _view: View) -> np.ndarray:
    effective = _view.effective
    labels = np.full(len(_view.index), UNKNOWN, dtype=np.int32)
    beats = _view.beats[_view.beats["row"] >= 0]
    labels[beats["row"].to_numpy()] = beats["final_label"].to_numpy()
    rows = np.fromiter(_view.said, dtype=np.int64, count=len(_view.said))
    labels[rows] = effective.labels[rows]
    return labels


def strip(view: View, beat: Mapping[Any, Any]) -> None:
    """The strip on ECG paper with the beat marked."""
    study, run = session.the_study(), view.run
    source_row = int(beat["source_row"])
    labels, config = shown_labels(view), run.config
    table = beats_of_strip(run, source_row, labels=labels)
    table["noise_flag"] = (table["label"] == NOISE).astype(int)
    wave = strip_units(run, source_row)
    assert run.strips is not None  # strip_units has refused a run without strips
    place = int(np.searchsorted(run.strips.source_row, source_row))
    number = int(beat["beat_index_in_record"]) + 1
    figure = strip_figure(
        wave,
        run.fs,
        table,
        units_per_mv=study.units_per_mv,
        assumed=study.units_assumed,
        paper=paper(),
        window_sec=(config.pre_sec, config.post_sec),
        selected=int(beat["beat_global_id"]),
        title=f"{strip_title(run.strips, place)} · beat {number}",
    )
    layout = figure.layout
    # One height for all strips, so that no button moves under the hand; where that leaves room there is more paper.
    layout.width, layout.height, layout.autosize = (
        None,
        _height(view.source.id, str(session.store().folder), view),
        True,
    )
    layout.xaxis.constrain, layout.yaxis.constrain = "range", "range"
    layout.xaxis.constraintoward, layout.yaxis.constraintoward = "left", "middle"
    layout.dragmode = False
    st.plotly_chart(
        figure,
        key="review_strip",
        height=int(layout.height),
        theme=None,
        config={"displayModeBar": False},
        alt=str(figure.layout.meta["alt"]) + f"; beat {number} is under review",
    )


@st.cache_resource(show_spinner=False, max_entries=4)
def _height(source_id: str, data: str, _view: View) -> int:
    """Pixels that nine strips of ten need at this paper's size."""
    strips, study = _view.run.strips, session.the_study()
    assert strips is not None
    starts = strips.offsets[:-1]
    spans = np.maximum.reduceat(strips.samples, starts) - np.minimum.reduceat(strips.samples, starts)
    printed = Paper()
    low, high = printed.window_mv(0.0, float(np.nanpercentile(spans, 90)) / study.units_per_mv)
    tall = min((high - low) * printed.gain + MARKS_MM, TALLEST_MM) * printed.px_per_mm
    return round(tall) + MARGIN["t"] + MARGIN["b"]


def suggestion(view: View, beat: Mapping[Any, Any]) -> None:
    """What the model would call it, and each reason why it does not dare to."""
    label = int(beat["pred_label_raw"])
    st.html(
        '<div style="display:flex;align-items:center;gap:.6rem;margin-bottom:.4rem">'
        f'{badge(label, size="1.15rem")}<span><span style="opacity:.75;font-size:.8rem">{escape(view.model_name)} '
        f'suggests</span><br><b style="font-size:1.15rem">{escape(label_name(label))}</b></span></div>'
        + _meters(view, beat)
    )
    for sentence in why_in_words(beat, view.config):
        st.markdown(f":material/help: {sentence}")


def badge(label: int, *, size: str = ".8rem") -> str:
    """A label's letter in its colour, as HTML."""
    return (
        f'<b style="color:{label_colour(label)};border:2px solid;border-radius:1em;padding:.05em .5em;'
        f'font-size:{size}">{escape(label_letter(label))}</b>'
    )


def _meters(view: View, beat: Mapping[Any, Any]) -> str:
    config, failed = view.config, str(beat["review_reason"]).split(";")
    sure, noise, alike = (float(beat[name]) for name in ("pred_conf", "noise_prob", "max_proto_sim"))
    rows = [
        ("Confidence", sure, config.min_class_conf, f"{sure:.0%}", f"at least {config.min_class_conf:.0%}"),
        ("Noise", noise, config.max_noise_prob, f"{noise:.0%}", f"at most {config.max_noise_prob:.0%}"),
        ("Similarity", alike, config.min_proto_sim, f"{alike:.2f}", f"at least {config.min_proto_sim:.2f}"),
    ]
    return (
        '<div style="display:grid;grid-template-columns:auto 1fr auto auto;gap:.25rem .6rem;align-items:center;'
        'font-size:.85rem">'
        + "".join(_meter(*row, bad=name in failed) for name, row in zip(_NAMES, rows, strict=True))
        + "</div>"
    )


_NAMES = ("confidence", "noise", "similarity")


def _meter(name: str, value: float, limit: float, text: str, rule: str, *, bad: bool) -> str:
    if np.isnan(value):
        return f'<span>{name}</span><span style="grid-column:2/5;opacity:.75">this model does not test it</span>'
    width, tick = (100 * min(max(number, 0.0), 1.0) for number in (value, limit))
    weight, mark = ("700", "!") if bad else ("400", "✓")
    return (
        f"<span>{name}</span>"
        '<span style="position:relative;height:.55rem;border-radius:.3rem;background:rgba(125,130,138,.25)">'
        f'<span style="position:absolute;inset:0 auto 0 0;width:{width:.0f}%;border-radius:.3rem;'
        f'background:{"#b63535" if bad else "#058dd1"}"></span>'
        f'<span style="position:absolute;left:{tick:.0f}%;top:-.2rem;bottom:-.2rem;width:2px;background:currentColor">'
        "</span></span>"
        f'<span style="font-weight:{weight}">{text} <b aria-hidden="true">{mark}</b></span>'
        f'<span style="opacity:.75;font-size:.78rem">{rule}{", failed" if bad else ""}</span>'
    )


def shape(view: View, beat: Mapping[Any, Any]) -> None:
    """The beat over the template of what it is suggested to be."""
    run, label = view.run, int(beat["pred_label_raw"])
    template = run.class_templates.get(label)
    name = label_name(label)
    drawn = beat_svg(
        np.asarray(run.beats[int(beat["row"])]),
        title=f"The beat under review over the template of {name}",
        colour=label_colour(label),
        behind=template,
        centre_sample=round(run.config.pre_sec * run.fs),
        height=110,
    )
    picture(drawn, key="review_shape")
    st.caption(f"Dashed: the template of {name} in this run." if template is not None else f"No template of {name}.")


def holds_now(view: View, effective: Effective, row: int) -> str:
    """In words, what holds for a beat by now and who says so."""
    made = view.said.get(row)
    if made is not None:
        word = verdict_label(made)
        how = "accepted as suggested" if made.field == "refined" else "decided"
        return f"**{word}**, {how} by {made.reader}."
    label, source = int(effective.labels[row]), str(effective.source[row])
    return f"{label_name(label)}, {SOURCE_WORDS.get(source, source)}."
