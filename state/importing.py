"""Taking a model that was trained elsewhere into a study."""

from __future__ import annotations

import errno
import shutil
from pathlib import PurePath

from ecg_engine.bundle import BUNDLE_FILE, Bundle, load
from ecg_engine.errors import EngineError
from state.db import writing
from state.errors import StoreError
from state.models import ModelRow, add_model
from state.plain import new_id, now
from state.runs import TRAIN, enter_run, finish_run
from state.store import Store
from state.studies import MAX_NAME


def import_bundle(store: Store, study_id: str, name: str, content: bytes) -> ModelRow:
    """Enter a model bundle among the models of a study; the study's first one becomes its current one.

    Parameters
    ----------
    name : str
        Name of the file, for the list and for messages.
    content : bytes
        The whole file. Nothing of it is run: it is read as weights and plain values only.

    Raises
    ------
    BundleError
        If it is damaged or no bundle; nothing is kept then.
    StoreError
        If it cannot be written.
    """
    run_id = new_id()
    relative = store.runs.folder_name(run_id)
    folder = store.folder / relative
    # Under its own name, so that a message about it names the file that the person knows.
    draft = folder / (PurePath(name).name or BUNDLE_FILE)
    try:
        folder.mkdir(parents=True)
        draft.write_bytes(content)
        bundle = load(draft)
        draft.replace(folder / BUNDLE_FILE)
        model_id = _enter(store, study_id, run_id, relative, name, bundle)
    except (OSError, EngineError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, EngineError):
            raise
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        why = "the disk is full" if full else str(error.strerror or error)
        raise StoreError(f"{name} could not be kept: {why}. Free some space, then try again.") from error
    return store.models.get(model_id)


def _enter(store: Store, study_id: str, run_id: str, relative: str, name: str, bundle: Bundle) -> str:
    config = {**bundle.train.to_dict(), "imported": name}
    with writing(store.engine) as connection:
        enter_run(connection, run_id, study_id, TRAIN, now())
        finish_run(connection, run_id, status="done", folder=relative, config=config, summary=dict(bundle.metrics))
        return add_model(
            connection,
            study_id=study_id,
            run_id=run_id,
            kind=bundle.model,
            bundle=f"{relative}/{BUNDLE_FILE}",
            metrics=bundle.metrics,
            name=" ".join(PurePath(name).stem.split())[:MAX_NAME].strip(),
        )
