"""What Python knows of the beat in hand: who said what it is, and how its quality was judged."""

from __future__ import annotations

from html import escape

import numpy as np
import streamlit as st

from components.strip_findings import beat_readings
from components.strip_view import View
from ecg_engine.figures import reasons_text
from state import session
from state.deciding import Decision
from state.reviewing import verdicts
from state.targets import STRIP, parse_target, prototype_target
from state.telling import clock


def beat_facts(view: View) -> None:
    """List them below the beat's picture; nothing for a beat that the run does not have yet."""
    if view.beat < 0:
        return
    cells = "".join(
        f'<dt style="opacity:.75">{escape(name)}</dt><dd style="margin:0">{escape(value)}</dd>'
        for name, value in _facts(view)
    )
    st.html(
        '<dl style="display:grid;grid-template-columns:150px 1fr;gap:2px 14px;margin:0;padding:0;'
        f'font-size:13.5px;line-height:1.4;font-variant-numeric:tabular-nums">{cells}</dl>'
    )


def source_words(view: View) -> str:
    """Where the effective label of the beat in hand comes from."""
    row, source = view.beat, str(view.effective.source[view.beat])
    said = [d for d in session.active_decisions() if view.hash in d.target]
    if source in ("beat", "model"):
        made = verdicts(view.index, said).get(row)
        how = "a suggestion accepted" if source == "model" else "decided on this beat"
        return f"{how}{_by(made)}"
    if source == "group":
        made = verdicts(view.index, view.effective.said_of_prototypes).get(row)
        return f"decided on its group of look-alike beats{_by(made)}"
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


def _facts(view: View) -> list[tuple[str, str]]:
    values = view.run.metadata.iloc[view.beat].to_dict()
    facts = [("Label", source_words(view)), *beat_readings(view.row, view.beat)]
    if view.effective.moved[view.beat]:
        facts.append(("Computed at", f"{view.index.time_ms[view.beat] / 1000:.3f} s; what follows is of there"))
    judged = "Noise score" if "rpeak_prob" in values else "Quality score"
    facts.append((judged, f"{_number(values['quality_score']):.2f} (higher is worse)"))
    if "rpeak_prob" in values:
        facts.append(("R-peak", f"{_number(values['rpeak_prob']):.0%} likely one"))
    if values.get("whole") == 0:
        facts.append(("Cut", "the strip ends within the beat: what lies beyond is filled in"))
    if "z_ptp" in values:
        scores = (("height", "z_ptp"), ("steepness", "z_slope"), ("edges", "z_edge"))
        facts.append(("z-scores", ", ".join(f"{name} {_number(values[key]):+.1f}" for name, key in scores)))
    if view.index.flags[view.beat] == 1 and not view.effective.noisy[view.beat]:
        why = reasons_text(values.get("noise_reason"))
        facts.append(("Noise", f"computed, but a reader overruled it: {why}"))
    elif view.index.flags[view.beat] == 0 and (why := reasons_text(values.get("noise_reason"))):
        facts.append(("Told, no noise", why))
    return facts


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float, np.floating)) else float("nan")
