"""A page with every kind of widget and a component that counts keys by the rules of typing.js; for test_typing.py."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from components import scripts

COUNT = """
import { listen } from "./typing.js";
export default function ({ parentElement }) {
  globalThis.counted ??= [];
  const root = parentElement.querySelector(".keys");
  root.off ??= listen({ keys: ["v", "n", "ArrowRight"], held: ["ArrowRight"], root, on: (key) => counted.push(key) });
  return () => { root.off?.(); root.off = undefined; };
}
"""


def joined() -> str:
    """The component's script with typing.js in it, as ``script`` joins those that lie in its folder."""
    return scripts.script("typing") + COUNT.split("\n", 2)[2]


@st.dialog("A dialog")
def dialog() -> None:
    """Something over the page."""
    st.write("It takes the keys.")


st.title("Fields")
html = '<div class="keys"><button class="own">Own</button><input class="own" aria-label="Own field"></div>'
st.components.v2.component("test.keys", html=html, js=joined())(key="keys")
st.session_state.setdefault("pressed", 0)


def press() -> None:
    """Count what Streamlit's own shortcut does."""
    st.session_state.pressed += 1


st.button("Shortcut", shortcut="v", on_click=press)
st.write(f"Shortcut pressed {st.session_state.pressed} times")
st.button("Plain")
if st.button("Open a dialog"):
    dialog()
st.text_input("Text")
st.text_area("Area")
st.number_input("Number", value=1)
st.selectbox("Select", ["nothing", "vn"])
st.multiselect("Several", ["nothing", "vn"])
st.slider("Slider", 0, 10)
st.radio("Radio", ["one", "two"])
st.date_input("Date")
st.data_editor(pd.DataFrame({"a": ["one", "two"]}), key="editor")
st.dataframe(pd.DataFrame({"a": ["one", "two"]}), key="table", on_select="rerun")
