"""The beat in hand: against its class template and its nearest prototypes, with what is known of it."""

from __future__ import annotations

from html import escape

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from components.strip_actions import seed_of
from components.strip_view import View
from ecg_engine.figures import label_colour, label_letter, nearest_prototypes, reasons_text, run_beat_figure
from ecg_engine.labels import NOISE, label_name
from state import session
from state.deciding import Decision
from state.reviewing import verdicts
from state.targets import STRIP, parse_target, prototype_target
from state.telling import clock

HEIGHT = 310


def beat_panel(view: View) -> None:
    """Draw the beat, or say that there is none."""
    if view.beat < 0:
        st.info("No beat was found on this strip. It can still be labelled as a whole.", icon=":material/search_off:")
        return
    st.html(_head(view))
    label = int(view.effective.labels[view.beat])
    chart = run_beat_figure(view.run, int(view.index.beat_ids[view.beat]), label=label)
    chart.layout.height, chart.layout.showlegend = HEIGHT, False
    st.html(_legend(chart))
    st.plotly_chart(
        chart,
        key="strips_beat",
        theme=None,
        height=HEIGHT,
        config={"displayModeBar": False},
        alt=f"Beat {view.number} of strip {view.strip}. {chart.layout.meta['alt']}",
    )
    st.html(_facts(view))


def _head(view: View) -> str:
    row = view.beat
    noisy, label = bool(view.effective.noisy[row]), int(view.effective.labels[row])
    mark = NOISE if noisy else label
    name = label_name(label) if not noisy or label == NOISE else f"{label_name(label)}, left out as noise"
    return (
        '<div style="display:flex;align-items:center;gap:.6rem">'
        f'<b style="color:{label_colour(mark)};border:2px solid;border-radius:1em;padding:.05em .5em;'
        f'font-size:1.1rem">{escape(label_letter(mark))}</b>'
        f"<span><b>Beat {view.number}: {escape(name)}</b><br>"
        f'<span style="opacity:.8;font-size:.85rem">{escape(source_words(view))}</span></span></div>'
    )


def _legend(chart: go.Figure) -> str:
    """Which line is which, in words that wrap: plotly's own legend would take half of so small a chart."""
    styles = {"solid": "solid", "dot": "dotted"}
    parts = [
        f'<span style="white-space:nowrap"><span style="display:inline-block;width:1.5rem;vertical-align:middle;'
        f"border-top:{3 if (line.line.width or 2) < 5 else 7}px {styles.get(line.line.dash or 'solid', 'dashed')} "
        f'{line.line.color};opacity:{1 if line.opacity is None else line.opacity}"></span> {escape(line.name)}</span>'
        for line in chart.data
        if line.yaxis != "y2"
    ]
    return f'<div style="display:flex;flex-wrap:wrap;gap:.1rem .9rem;font-size:.8rem">{"".join(parts)}</div>'


def source_words(view: View) -> str:
    """Where the effective label of the beat in hand comes from."""
    row, source = view.beat, str(view.effective.source[view.beat])
    said = [d for d in session.active_decisions() if view.hash in d.target]
    if source in ("beat", "model"):
        made = verdicts(view.index, said).get(row)
        how = "a suggestion accepted" if source == "model" else "decided on this beat"
        return f"{how}{_by(made)}"
    if source == "prototype":
        prototype = int(view.index.prototypes[row])
        return f"decided on its prototype {prototype}{_by(_on_prototype(view, prototype))}"
    if view.rows.table["decided"].iloc[view.place]:
        labels = [d for d in said if d.field == "label" and parse_target(d.target).kind == STRIP]
        return f"the strip's label, decided{_by(labels[-1] if labels else None)}"
    return "the strip's label in the file"


def _by(made: Decision | None) -> str:
    return "" if made is None else f" by {made.reader}, {clock(made.at, st.context.timezone)}"


def _on_prototype(view: View, prototype: int) -> Decision | None:
    target = prototype_target(view.row.id, prototype)
    found = [d for d in session.active_decisions() if d.target == target and d.field in ("label", "noise")]
    return found[-1] if found else None


def _facts(view: View) -> str:
    run, row = view.run, view.beat
    beat, values = np.asarray(run.beats[row]), run.metadata.iloc[row]
    rr_before, rr_after = float(values["rr_prev_sec"]), float(values["rr_next_sec"])
    first, last = view.at == 0, view.at == len(view.beats) - 1
    facts = [
        ("Time", f"{view.index.time_ms[row] / 1000:.2f} s"),
        ("RR before", "– (first beat)" if first else f"{rr_before * 1000:.0f} ms"),
        ("RR after", "– (last beat)" if last else f"{rr_after * 1000:.0f} ms"),
    ]
    if not first and not last:
        facts.append(("Before ÷ after", f"{rr_before / rr_after:.2f}" if rr_after > 0 else "–"))
    label = int(view.effective.labels[row])
    template = run.class_templates.get(label)
    if template is not None:
        like = nearest_prototypes(beat, {label: template}, 1)[0].similarity
        facts.append((f"Like the template of {label_name(label)}", f"{like:.2f}"))
    near = nearest_prototypes(beat, run.prototype_waves, 1)
    if near:
        facts.append(("Nearest prototype", f"{near[0].prototype_id}, similarity {near[0].similarity:.2f}"))
    prototype = int(view.index.prototypes[row])
    size = int(np.count_nonzero(view.index.prototypes == prototype)) if prototype >= 0 else 0
    facts.append(("Belongs to prototype", f"{prototype} ({size:,} beats)" if prototype >= 0 else "none (noise)"))
    facts += _quality(view, values.to_dict())
    seed = seed_of(view)
    if seed:
        facts.append(("Seed for", seed))
    note = view.effective.notes.get(row)
    if note:
        facts.append(("Note", note))
    if view.effective.unsure[row]:
        facts.append(("Marked", "unsure, for a second reader"))
    cells = "".join(
        f'<dt style="opacity:.75">{escape(name)}</dt><dd style="margin:0">{escape(value)}</dd>' for name, value in facts
    )
    return (
        '<dl style="display:grid;grid-template-columns:max-content 1fr;gap:.15rem .9rem;margin:0;padding:0;'
        f'font-size:.86rem;font-variant-numeric:tabular-nums">{cells}</dl>'
    )


def _quality(view: View, values: dict[object, object]) -> list[tuple[str, str]]:
    facts = [("Quality score", f"{_number(values['quality_score']):.2f} (higher is worse)")]
    if "z_ptp" in values:
        scores = (("height", "z_ptp"), ("steepness", "z_slope"), ("edges", "z_edge"))
        facts.append(("z-scores", ", ".join(f"{name} {_number(values[key]):+.1f}" for name, key in scores)))
    if view.effective.noise_flags[view.beat] == 1:
        facts.append(("Noise", reasons_text(values.get("noise_reason")) or "computed"))
    elif view.effective.noisy[view.beat]:
        computed = view.effective.source[view.beat] == "strip"
        facts.append(("Noise", "the strip's label" if computed else "said by a reader"))
    elif view.index.flags[view.beat] == 1:
        why = reasons_text(values.get("noise_reason"))
        facts.append(("Noise", f"no; a reader overruled: {why}"))
    else:
        facts.append(("Noise", "no"))
    return facts


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float, np.floating)) else float("nan")
