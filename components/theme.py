"""Figures in the theme of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import streamlit as st

from ecg_engine.figures import Paper, confusion_figure


def paper(**print_settings: float) -> Paper:
    """ECG paper in the theme of the page; speed, gain and scale as :class:`Paper` takes them."""
    return Paper(theme="dark" if st.context.theme.type == "dark" else "light", **print_settings)


def confusion_chart(matrix: npt.ArrayLike, classes: Sequence[Any], *, key: str, of: str = "held-out beats") -> None:
    """Draw a confusion matrix; ``of`` says whose beats it counts, for those who hear the page."""
    figure = confusion_figure(matrix, classes)
    # Plotly picks black or white by the cell's colour as if the page were white.
    figure.update_traces(textfont_color=paper().ink.trace)
    st.plotly_chart(
        figure,
        key=key,
        theme=None,
        config={"displayModeBar": False},
        alt=str(figure.layout.meta["alt"]).replace("held-out beats", of),
    )
