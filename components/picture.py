"""An SVG of the engine as part of the page: it takes the page's text colour, and is read aloud by its title."""

from __future__ import annotations

from typing import Any

import streamlit as st

_JS = """
export default function ({ data, parentElement }) {
  const place = parentElement.querySelector(".picture");
  if (place.dataset.svg === data.svg) return;
  place.dataset.svg = data.svg;
  place.innerHTML = data.svg;
}
"""


def _component() -> Any:
    css = ".picture{color:var(--st-text-color)} .picture svg{display:block}"
    return st.components.v2.component("ecg_review.picture", html='<div class="picture"></div>', css=css, js=_JS)


def picture(svg: str, *, key: str) -> None:
    """Draw an SVG made by the engine (it is trusted: no text of a person may stand in it unescaped)."""
    _component()(key=key, data={"svg": svg})
