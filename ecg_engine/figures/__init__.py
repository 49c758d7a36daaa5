"""What people look at: plotly figures, small multiples in SVG, and the PNG artefacts of a run.

The PNG artefacts (matplotlib) are in :mod:`ecg_engine.pictures`, which is not imported here.
"""

from __future__ import annotations

from ecg_engine.figures.alerts import centroids_figure, patterns_figure
from ecg_engine.figures.beats import (
    beat_figure,
    candidates_overlay,
    nearest_prototypes,
    pca_figure,
    pca_plane,
    rr_scatter,
    template_figure,
)
from ecg_engine.figures.palette import (
    AAMI_COLOURS,
    LABEL_COLOURS,
    LABEL_LETTERS,
    label_colour,
    label_letter,
    label_symbol,
)
from ecg_engine.figures.paper import GAINS, SPEEDS, Paper, to_millivolts
from ecg_engine.figures.prototypes import gallery, members_overlay, prototypes_of_label, purity_figure
from ecg_engine.figures.runs import (
    beats_of_strip,
    run_beat_figure,
    run_strip_figure,
    strip_frame,
    strip_title,
    strip_units,
)
from ecg_engine.figures.strips import reasons_text, strip_figure
from ecg_engine.figures.training import confusion_figure, curves_figure, risk_coverage_figure
from ecg_engine.svg import Frame, small_multiples, strips_svg

__all__ = [
    "AAMI_COLOURS",
    "GAINS",
    "LABEL_COLOURS",
    "LABEL_LETTERS",
    "SPEEDS",
    "Frame",
    "Paper",
    "beat_figure",
    "beats_of_strip",
    "candidates_overlay",
    "centroids_figure",
    "confusion_figure",
    "curves_figure",
    "gallery",
    "label_colour",
    "label_letter",
    "label_symbol",
    "members_overlay",
    "nearest_prototypes",
    "patterns_figure",
    "pca_figure",
    "pca_plane",
    "prototypes_of_label",
    "purity_figure",
    "reasons_text",
    "risk_coverage_figure",
    "rr_scatter",
    "run_beat_figure",
    "run_strip_figure",
    "small_multiples",
    "strip_figure",
    "strip_frame",
    "strip_title",
    "strip_units",
    "strips_svg",
    "template_figure",
    "to_millivolts",
]
