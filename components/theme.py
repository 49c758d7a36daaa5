"""Figures in the theme of the page."""

from __future__ import annotations

import streamlit as st

from ecg_engine.figures import Paper


def paper() -> Paper:
    """ECG paper in the theme of the page."""
    return Paper(theme="dark" if st.context.theme.type == "dark" else "light")


def ink() -> str:
    """Colour of what is written on figures in the theme of the page."""
    return paper().ink.trace
