"""Taking a model that was trained elsewhere into a study."""

from __future__ import annotations

from pathlib import PurePath

from ecg_engine.bundle import BUNDLE_FILE, load
from ecg_engine.errors import EngineError
from state.db import writing
from state.errors import StoreError
from state.models import ModelRow, add_model
from state.plain import new_id
from state.runs import TRAIN, finish_run
from state.store import Store


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
    except (OSError, EngineError) as error:
        draft.unlink(missing_ok=True)
        if folder.exists():
            folder.rmdir()
        if isinstance(error, EngineError):
            raise
        raise StoreError(f"{name} could not be kept: {error}. Free some space, then try again.") from error
    config = {**bundle.train.to_dict(), "imported": name}
    store.runs.start(run_id, study_id, TRAIN)
    with writing(store.engine) as connection:
        finish_run(connection, run_id, status="done", folder=relative, config=config, summary=dict(bundle.metrics))
        model_id = add_model(
            connection,
            study_id=study_id,
            run_id=run_id,
            kind=bundle.model,
            bundle=f"{relative}/{BUNDLE_FILE}",
            metrics=bundle.metrics,
        )
    return store.models.rename(model_id, PurePath(name).stem or "Imported model")
