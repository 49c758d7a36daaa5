"""The files of a study: taken in, looked at, their columns named, left out and put back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pandas as pd
import streamlit as st

from components.keymap import NEXT_ITEM, PREVIOUS_ITEM, UNDO
from components.outcome import attempt
from components.words import counted, listed, many, size
from ecg_engine.config import PreprocessConfig
from ecg_engine.errors import EngineError
from ecg_engine.labels import label_name
from ecg_engine.strips import Columns, Preview
from state import session
from state.demo import KEY as DEMO
from state.errors import StoreError
from state.files import SourceFile
from state.previews import TAKEN, companions_of, ending, is_companion, preview_of, rate_of
from state.studies import Study

_SAID = "upload_said"
_TURN = "upload_turn"
OVERVIEW, FILES = "Overview", "Files and settings"
"""The two views of the page."""
COLUMNS = "columns"
"""In a study's settings: file id to the columns that a person named."""


@dataclass(frozen=True)
class Looked:
    """A file of the study and what a first look at it found, or why it cannot be read."""

    file: SourceFile
    preview: Preview | None
    problem: str

    @property
    def ready(self) -> bool:
        """Whether its strips can be read."""
        return self.preview is not None and self.preview.columns.wave is not None

    @property
    def status(self) -> str:
        """In a few words."""
        if self.preview is None:
            return "cannot be read"
        return "ready" if self.ready else "which column holds the wave?"


def view_key(study_id: str) -> str:
    """Where the session keeps which view of a study is shown."""
    return f"upload_view_{study_id}"


def forget_messages() -> None:
    """Put away what was said about the last files."""
    st.session_state.pop(_SAID, None)


def drop_zone(study: Study | None) -> None:
    """Where files are dropped, and what became of the last ones."""
    turn = st.session_state.setdefault(_TURN, 0)
    key = f"upload_{turn}"
    st.file_uploader(
        "Drop spreadsheets (one strip in each row) or WFDB records here"
        + (
            "; a study is made for them"
            if _takes_none(study)
            else f"; they join the study “{study.name}”"
            if study
            else ""
        ),
        accept_multiple_files=True,
        key=key,
        on_change=attempt,
        args=(lambda: _take(st.session_state.get(key) or []),),
        help="Excel, CSV, or the .hea, .dat and .atr files of a record together. The columns ECG Wave, Label and "
        "Patient ID are found by name; others can be named after the upload.",
    )
    for kind, text in st.session_state.get(_SAID, ()):
        {"taken": st.success, "known": st.info, "refused": st.error}[kind](text)


def _takes_none(study: Study | None) -> bool:
    """Whether files need a study of their own: there is none, or it is the demo, which keeps to what it shows."""
    return study is None or study.key == DEMO


def _take(uploads: Sequence[Any]) -> str | None:
    if not uploads:
        return None
    store, said = session.store(), []
    taken: list[str] = []
    for upload in uploads:
        if ending(upload.name) not in TAKEN:
            said.append(("refused", f"**{upload.name}** was not taken: {_kinds(upload.name)}"))
            continue
        if _takes_none(session.study()):
            name = PurePosixPath(upload.name).stem.replace("_", " ").strip() or "New study"
            session.choose(study=store.studies.create(name).id)
        try:
            before = {file.id for file in store.files.all(session.the_study().id)}
            added = store.files.add(session.the_study().id, upload.name, upload)
        except (EngineError, OSError) as error:
            said.append(("refused", f"**{upload.name}** was not taken: {error}"))
            continue
        if added.known and added.file.id in before:
            same = "under this name" if added.file.name == upload.name else f"as **{added.file.name}**"
            said.append(("known", f"**{upload.name}** is in the study already, {same}; it is not counted twice."))
        else:
            taken.append(added.file.name)
    if taken:
        shown = listed([f"**{name}**" for name in taken[:5]]) if len(taken) <= 5 else many(len(taken), "file")
        said.insert(0, ("taken", f"Taken in: {shown}."))
    st.session_state[_SAID] = said
    if session.study() is not None:
        st.session_state[view_key(session.the_study().id)] = FILES
    st.session_state[_TURN] += 1  # an empty drop zone, so that the same files are not taken twice
    return None


def _kinds(name: str) -> str:
    known = "Excel (.xlsx), CSV (.csv, .tsv, .txt) and WFDB records (.hea with .dat and .atr) are read."
    return f"files ending in {ending(name)} are not read here. {known}" if ending(name) else f"no ending. {known}"


def looked_at(study: Study, config: PreprocessConfig) -> list[Looked]:
    """All files of the study that are read by themselves, each looked at once as long as nothing about it changes."""
    files = session.store().files.all(study.id)
    named = study.settings.get(COLUMNS) or {}
    looked = []
    for file in files:
        if is_companion(file):
            continue
        beside = tuple(other.sha256 for other in companions_of(file, files))
        columns = tuple((named.get(file.id) or {}).items())
        key = (file.sha256, file.name, beside, columns, config.duration_sec, config.fs, config.min_samples)
        found, problem = _look(str(session.store().folder), study.id, file.id, key, config)
        looked.append(Looked(file, found, problem))
    return looked


@st.cache_data(show_spinner="Looking at the files", max_entries=200)
def _look(
    folder: str, study_id: str, file_id: str, key: tuple[Any, ...], _config: PreprocessConfig
) -> tuple[Preview | None, str]:
    store = session.store()
    columns = dict(key[3])
    try:
        file = store.files.get(file_id)
        return preview_of(
            store.files, file, store.files.all(study_id), _config, Columns(**columns) if columns else None
        ), ""
    except EngineError as error:
        return None, str(error)
    except OSError as error:
        return None, f"{key[1]}: the file cannot be opened ({error.strerror or error})."


def file_list(study: Study, files: Sequence[Looked]) -> Looked | None:
    """All files in a table, one of them to look at more closely, and the ways out and back in. Returns that one."""
    if files:
        alt = f"{many(len(files), 'file')} of the study"
        st.dataframe(_table(study, files), hide_index=True, height="content", placeholder="–", alt=alt)
    for one in files:
        if one.problem:
            st.error(f"{one.problem} The other files are read all the same.", icon=":material/error:")
    _lonely(study, files)
    return _picker(study, files) if files else None


def _lonely(study: Study, files: Sequence[Looked]) -> None:
    alone = _lonely_companions(study, files)
    if not alone:
        return
    names = listed([file.name for file in alone])
    left, right = st.columns([0.83, 0.17], vertical_alignment="center")
    left.warning(f"Without the .hea file of their record, these are not read: {names}.")

    def out() -> str:
        for file in alone:
            session.store().files.remove(file.id)
        return f"{names} taken out; dropped again, they are back."

    right.button(
        "Take out",
        key="take_out_alone",
        icon=":material/remove_circle:",
        width="stretch",
        on_click=attempt,
        args=(out,),
    )


def _table(study: Study, files: Sequence[Looked]) -> pd.DataFrame:
    everything = session.store().files.all(study.id)
    rows = []
    for one in files:
        found, beside = one.preview, companions_of(one.file, everything)
        rate = rate_of(found) if found else None
        rows.append(
            {
                "File": one.file.name + "".join(f" + {ending(other.name)}" for other in beside),
                "Size": size(one.file.size + sum(other.size for other in beside)),
                "Rows": found.n_rows if found else None,
                "Patients": found.patients if found else None,
                "Labels": counted({label_name(label): n for label, n in found.labels.items()}, most=3) if found else "",
                "Rate": f"{rate:.1f} Hz" if rate else "",
                "State": one.status,
            }
        )
    return pd.DataFrame(rows)


def _lonely_companions(study: Study, files: Sequence[Looked]) -> list[SourceFile]:
    everything = session.store().files.all(study.id)
    read = {other.id for one in files for other in companions_of(one.file, everything)}
    return [file for file in everything if is_companion(file) and file.id not in read]


def _picker(study: Study, files: Sequence[Looked]) -> Looked:
    by_id = {one.file.id: one for one in files}
    key = f"file_shown_{study.id}"
    if st.session_state.get(key) not in by_id:
        st.session_state[key] = _first_to_see(files)
    shape = [0.49, 0.17, 0.17, 0.17] if len(files) > 1 else [0.83, 0.01, 0.01, 0.17]
    choice, back, forth, out = st.columns(shape, vertical_alignment="bottom")
    choice.selectbox("File", list(by_id), format_func=lambda id: by_id[id].file.name, key=key, persist_state="session")
    ids = list(by_id)
    at = ids.index(st.session_state[key])
    for place, label, step, shortcut in ((back, "Previous", -1, PREVIOUS_ITEM), (forth, "Next", 1, NEXT_ITEM)):
        if len(files) == 1:
            continue
        place.button(
            label,
            key=f"file_step_{step}",
            shortcut=shortcut,
            disabled=not 0 <= at + step < len(ids),
            width="stretch",
            on_click=lambda step=step: st.session_state.update({key: ids[at + step]}),
        )
    out.button(
        "Take out",
        key="take_out",
        icon=":material/remove_circle:",
        width="stretch",
        help="The file is left out of runs to come. Runs that were made from it stay, and it can be put back.",
        on_click=attempt,
        args=(lambda: _take_out(study, by_id[ids[at]].file),),
    )
    return by_id[ids[at]]


def _first_to_see(files: Sequence[Looked]) -> str:
    """The file that waits for its columns to be named, else the first."""
    waiting = [one for one in files if one.preview is not None and not one.ready]
    return (waiting or list(files))[0].file.id


def _take_out(study: Study, file: SourceFile) -> str:
    store = session.store().files
    forget_messages()
    for one in (file, *companions_of(file, store.all(study.id))):
        store.remove(one.id)
    return f"{file.name} is taken out."


def taken_out(study: Study) -> None:
    """Files that were left out, newest first, each with a way back."""
    store = session.store().files
    everything = store.all(study.id, removed=True)
    out = [file for file in everything if file.removed_at is not None and not is_companion(file)]
    if not out:
        return
    out.sort(key=lambda file: file.removed_at or file.created_at, reverse=True)
    with st.container(border=True):
        for number, file in enumerate(out[:5]):
            left, right = st.columns([0.8, 0.2], vertical_alignment="center")
            left.markdown(f":material/remove_circle: **{file.name}** is taken out; runs to come leave it out.")
            right.button(
                "Put back",
                key=f"put_back_{file.id}",
                icon=":material/undo:",
                shortcut=UNDO if number == 0 else None,
                width="stretch",
                on_click=attempt,
                args=(lambda file=file: _put_back(file, everything),),
            )


def _put_back(file: SourceFile, everything: Sequence[SourceFile]) -> str:
    store = session.store().files
    for one in (file, *companions_of(file, everything)):
        store.restore(one.id)
    return f"{file.name} is back."


def ids_of(study: Study, files: Sequence[Looked]) -> list[str]:
    """Ids of files and of what belongs beside them."""
    everything = session.store().files.all(study.id)
    return [id for one in files for id in (one.file.id, *(o.id for o in companions_of(one.file, everything)))]


def refuse_without_files(files: Sequence[Looked]) -> list[Looked]:
    """The files that can be read.

    Raises
    ------
    StoreError
        If there are none.
    """
    ready = [one for one in files if one.ready]
    if not ready:
        raise StoreError("None of the files can be read yet. Add a spreadsheet, or say which column holds the wave.")
    return ready
