"""The one place where the store meets Streamlit: who reads, which study, what is selected, and what is cached.

Study, reader and selection stand in the address, so that a reload, a bookmark or another tab comes back to the same
place. The session holds them between pages, because changing the page clears the address.
"""

from __future__ import annotations

import getpass
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st
from streamlit import cli_util
from streamlit.web.server.server_util import get_url

from ecg_engine.bundle import Bundle
from ecg_engine.preprocess import Run
from state import kept
from state.anchors import BeatIndex
from state.batches import made_together, undo_together
from state.channel.origins import WILDCARDS
from state.channel.refusals import Refusal
from state.channel.tokens import MAX_AGE, Tokens, secret
from state.deciding import Decision, decide
from state.effective import Effective, OutOfDate, out_of_date
from state.models import ModelRow
from state.opened import opened_store
from state.reader_keys import SETTING
from state.runs import PREPROCESS, RunRow
from state.store import Store
from state.studies import Study

ADDRESS = (
    "study",
    "reader",
    "strip",
    "beat",
    "prototype",
    "seed",
    "label",
    "run",
    "model",
    "cluster",
    "prediction",
    "search",
    "item",
)
"""What may stand in the address. All but study and reader are a selection within the study."""
_OF_A_STUDY = ADDRESS[2:]
_STATE = "chosen"
_SESSION, _TOKEN = "channel_session", "channel_token"


def store() -> Store:
    """The store of this computer, opened once for all sessions."""
    return opened_store()


def begin() -> None:
    """Take over the address at the first run of a session, and write it back at every later one."""
    if _STATE not in st.session_state:
        st.session_state[_STATE] = {name: st.query_params[name] for name in ADDRESS if name in st.query_params}
    _write_address()


def _write_address() -> None:
    wanted = {name: str(value) for name, value in st.session_state[_STATE].items() if value not in (None, "")}
    for name in ADDRESS:
        if name in st.query_params and name not in wanted:
            del st.query_params[name]
    # All at once: each change is one step of the browser's way back.
    changed = {name: value for name, value in wanted.items() if st.query_params.get(name) != value}
    if changed:
        st.query_params.update(changed)


def chosen(name: str) -> str | None:
    """What is selected under a name of :data:`ADDRESS`, as text; None if nothing is."""
    # Asking makes no state: the address is taken over only where there is none yet.
    value = st.session_state.get(_STATE, {}).get(name)
    return None if value in (None, "") else str(value)


def chosen_number(name: str) -> int | None:
    """A selection that is a whole number; None if nothing, or something else, stands there."""
    value = chosen(name)
    try:
        return None if value is None else int(value)
    except ValueError:
        return None


def choose(**values: object) -> None:
    """Select: ``choose(strip=12, beat=None)``. The address follows at once.

    Choosing another study drops the selection within the one before.
    """
    state = st.session_state.setdefault(_STATE, {})
    for name in values:
        if name not in ADDRESS:
            raise KeyError(f"{name!r} is not part of the address; it has {', '.join(ADDRESS)}")
    if "study" in values and values["study"] != state.get("study"):
        for name in _OF_A_STUDY:
            state.pop(name, None)
    state.update({name: None if value is None else str(value) for name, value in values.items()})
    _write_address()


def reader() -> str:
    """Name of who is reading; the account's name until another is given."""
    return chosen("reader") or _account()


def reader_keys() -> Mapping[str, str]:
    """What this reader has changed about the keys, by what they do (see ``state/reader_keys.py``)."""
    kept = store().readers.settings(reader()).get(SETTING)
    return kept if isinstance(kept, dict) else {}


def keep_keys(changes: Mapping[str, str]) -> None:
    """Remember what this reader has changed about the keys."""
    store().readers.set(reader(), **{SETTING: dict(changes)})


def _account() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "Reader"


def study() -> Study | None:
    """The study in hand: the one chosen, else the newest, else None (then there is none at all)."""
    found = store().studies.find(chosen("study"))
    if found is not None and not found.archived:
        return found
    studies = store().studies.all()
    if not studies:
        return None
    # An address may name a strip and no study: it means the newest study's.
    within = {} if chosen("study") else {name: chosen(name) for name in _OF_A_STUDY}
    choose(study=studies[-1].id)
    choose(**within)
    return studies[-1]


def the_study() -> Study:
    """The study in hand where a page has made sure that there is one."""
    found = study()
    assert found is not None
    return found


def preprocess_run() -> RunRow | None:
    """The preprocessing run in hand: the one chosen, else the newest finished one of the study."""
    current = study()
    if current is None:
        return None
    run = store().runs.find(chosen("run"))
    if run is not None and run.study_id == current.id and run.kind == PREPROCESS and run.done:
        return run
    return store().runs.newest(current.id, PREPROCESS)


@st.cache_resource(show_spinner="Opening the run", max_entries=1)
def _load(run_id: str, folder: str, finished: str) -> Run:
    return kept.run_of(store(), store().runs.get(run_id))


def load(run: RunRow) -> Run:
    """The arrays and tables of a preprocessing run, memory-mapped and kept open. Treat as read-only."""
    # Through Streamlit only for its word that a run is being opened; ``kept`` keeps it.
    return _load(run.id, str(store().runs.path(run)), str(run.finished_at))


def active_decisions() -> list[Decision]:
    """The decisions of the study in hand that hold, oldest first. Treat as read-only."""
    current = the_study()
    return kept.active_of(store(), current.id, store().decisions.version(current.id))


def index(run: RunRow) -> BeatIndex:
    """What decisions on a run's beats are matched with, kept. Treat as read-only."""
    return kept.index_of(store(), run)


def effective(run: RunRow) -> Effective:
    """Effective labels and noise flags of a run, as all decisions so far have it. Treat as read-only."""
    return kept.effective_of(store(), run, store().decisions.version(run.study_id))


@st.cache_resource(show_spinner=False, max_entries=6)
def _out_of_date(run_id: str, folder: str, version: int) -> OutOfDate:
    run = store().runs.get(run_id)
    listing = sorted(kept.listing_of(store(), run.study_id, version), key=lambda made: made.order)
    return out_of_date(index(run), listing, run.decisions_until)


def newer_decisions(run: RunRow) -> OutOfDate:
    """What decisions made since a preprocessing run change about it; false if nothing."""
    return _out_of_date(run.id, str(store().folder), store().decisions.version(run.study_id))


@st.cache_resource(show_spinner=False, max_entries=4)
def _bundle(model_id: str, path: str, changed: float) -> Bundle:
    return store().models.open(store().models.get(model_id))


def bundle(model: ModelRow) -> Bundle:
    """A model's bundle, kept open.

    Raises
    ------
    BundleError
        If its file is damaged or gone.
    """
    path = store().models.path(model)
    return _bundle(model.id, str(path), path.stat().st_mtime if path.exists() else 0.0)


def table(run: RunRow, name: str) -> pd.DataFrame | None:
    """One table of a run's folder (say ``beat_predictions_v2.csv``), a copy; None if the run wrote none."""
    found = kept.table_of(store().runs.path(run) / name)
    return None if found is None else found.copy()


def decision(target: str, field: str, new: str | int | None, *, old: object = None, **more: Any) -> Decision:
    """A decision of this reader about the study in hand, not yet stored."""
    said = None if old is None else str(old)
    return decide(the_study().id, reader(), target, field, new, old=said, **more)


def keep(decisions: Sequence[Decision]) -> int:
    """Store decisions and return how many were new."""
    return len(store().decisions.add(decisions).stored)


def undo_last() -> Decision | None:
    """Undo this reader's newest decision that holds, with those made in one go with it; None if there is none."""
    mine = [made for made in active_decisions() if made.reader == reader()]
    if not mine:
        return None
    undo_together(store().decisions, made_together(mine[-1], mine), reader())
    return mine[-1]


def channel() -> dict[str, Any]:
    """What the scripts of a page need to speak to the store beside it (``docs/reading.md``).

    Returns
    -------
    dict
        ``base`` ("" or "/path": what stands before ``/channel/``), ``token`` (the reader's pass to the study in hand,
        the same until half of its time is over), ``study``, ``reader`` and ``version`` (of the study's decisions).
    """
    current, who = the_study(), reader()
    tokens = Tokens(secret(store().folder))
    name = st.session_state.setdefault(_SESSION, secrets.token_urlsafe(12))
    token = st.session_state.get(_TOKEN, "")
    try:
        fresh = tokens.read(token, max_age=MAX_AGE // 2) == (current.id, who, name)
    except Refusal:
        fresh = False
    if not fresh:
        token = st.session_state[_TOKEN] = tokens.make(current.id, who, name)
    version = store().decisions.version(current.id)
    return {"base": base_path(), "token": token, "study": current.id, "reader": who, "version": version}


def base_path() -> str:
    """``server.baseUrlPath`` with a slash before it, or ""."""
    path = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""


def addresses() -> tuple[str, ...]:
    """Addresses that the app is configured to serve or to be opened at."""
    options = ("server.address", "browser.serverAddress")
    return tuple(str(named) for option in options if (named := st.get_option(option)))


def open_browser() -> None:
    """Open the app in a browser, unless ``server.headless`` says that there is none to look at it."""
    if st.get_option("server.headless"):
        return
    host = next((name for name in reversed(addresses()) if name not in WILDCARDS), "localhost")
    cli_util.open_browser(get_url(f"[{host}]" if ":" in host else host))
