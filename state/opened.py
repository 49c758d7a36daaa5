"""The store of this process: opened once, when it is first asked for, by whoever asks: a page or the channel."""

from __future__ import annotations

import os
import threading

from state.db import URL_VARIABLE
from state.demo import ensure_demo
from state.paths import DATA_VARIABLE
from state.store import Store, open_store

_lock = threading.Lock()
_opened: dict[tuple[str | None, str | None], Store] = {}


def opened_store() -> Store:
    """The store that the environment names (``$ECG_REVIEW_DATA``, ``$DATABASE_URL``), with the demo study in it.

    Raises
    ------
    StoreError
        If its database does not answer; the next who asks tries again.
    """
    name = (os.environ.get(DATA_VARIABLE), os.environ.get(URL_VARIABLE))
    store = _opened.get(name)
    if store is not None:
        return store
    with _lock:
        if name not in _opened:
            store = open_store()
            store.jobs.mark_interrupted()
            ensure_demo(store)
            _opened.clear()  # another folder is in use now: the one before is let go of when nobody holds it
            _opened[name] = store
        return _opened[name]
