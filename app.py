"""The door: page settings, who is reading, which study, and the way to the pages.

Streamlit runs this file as its script. Imported by the server, it names the app: the script and the channel beside it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from state import session


def script() -> None:
    """One run of the page that the reader is on."""
    from components.frame import steady_line, tight_page, told
    from components.sidebar import sidebar

    icon = Path(__file__).parent / "components" / "icon.svg"
    st.set_page_config(page_title="ECG strip review", page_icon=str(icon), layout="wide")
    pages = {
        "Read": [
            st.Page("pages/upload.py", title="Upload", icon=":material/upload_file:", default=True),
            st.Page("pages/strips.py", title="Strips", icon=":material/ecg:"),
            st.Page("pages/prototypes.py", title="Prototypes", icon=":material/grid_view:"),
            st.Page("pages/seeds.py", title="Seeds", icon=":material/potted_plant:"),
        ],
        "Teach": [
            st.Page("pages/training.py", title="Training", icon=":material/model_training:"),
            st.Page("pages/review.py", title="Review", icon=":material/rule:"),
            st.Page("pages/alerts.py", title="Alerts", icon=":material/notifications:"),
        ],
        "Keep": [st.Page("pages/history.py", title="History", icon=":material/history:")],
    }
    with told():
        session.begin()
        tight_page()
        page = st.navigation(pages)
        with st.sidebar:
            sidebar()
        page.run()
        steady_line()


if __name__ == "__main__":
    script()
else:
    # Streamlit takes a folder named ``pages`` for its older kind of app until ``st.navigation`` was called once: the
    # first visit after a start, if it went to a page's own address, would run that page alone, past this door.
    PagesManager.uses_pages_directory = False

    from state.channel.routes import Channel, routes

    channel = Channel(session.store, session.addresses)

    @asynccontextmanager
    async def _running(_: object) -> AsyncIterator[None]:
        # The socket listens already. For a plain script Streamlit opens the browser by itself; for an app it does not.
        session.open_browser()
        yield
        channel.close()

    app = st.App(__file__, routes=routes(channel, session.base_path()), lifespan=_running)
