"""A preprocessing run at a glance: what was read, what was skipped and why, beats, noise, labels, shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from plotly.graph_objects import Figure

from components.downloads import run_downloads, table_download
from components.outcome import go
from components.picture import picture
from components.profiles import NAMES, profile_of, profile_words
from components.upload_settings import used_by
from components.upload_warnings import NOISE_WORDS
from components.words import counted, many, when
from ecg_engine.config import PreprocessConfig
from ecg_engine.figures import label_colour, label_letter, pca_figure, small_multiples
from ecg_engine.labels import UNLABELLED, label_name
from ecg_engine.preprocess import Run
from ecg_engine.svg import Frame
from state import session
from state.overview import label_table
from state.previews import place_in_file
from state.runs import PREPROCESS, RunRow

STRIPS_PAGE = "pages/strips.py"


def choose_run(row: RunRow) -> None:
    """The run in hand, among all of the study, and the profile that it was made with."""
    runs = {run.id: run for run in session.store().runs.all(row.study_id, PREPROCESS)}

    def words(run_id: str) -> str:
        summary = runs[run_id].summary
        newest = ", the newest" if run_id == next(iter(runs)) else ""
        held = f"{many(summary['strips'], 'strip')}, {many(summary['beats_extracted'], 'beat')}"
        profile = NAMES[profile_of(runs[run_id])].lower()
        return f"{when(runs[run_id].finished_at)}, {profile} profile: {held}{newest}"

    told = profile_words(profile_of(row))
    if len(runs) == 1:
        st.markdown(f"**Preprocessed {words(row.id)[: -len(', the newest')]}**", help=told)
        return
    key = f"run_in_hand_{row.id}_{len(runs)}"
    st.selectbox(
        "Run in hand",
        list(runs),
        index=list(runs).index(row.id),
        format_func=words,
        key=key,
        help=f"All pages show this run. Earlier ones are kept with their settings and files. {told}",
        on_change=lambda: session.choose(run=st.session_state[key], strip=None, beat=None, prototype=None),
    )


def figures_of(row: RunRow) -> None:
    """The run in numbers."""
    summary = row.summary
    share = summary["noise_beats"] / max(summary["beats_extracted"], 1)
    cells = (
        ("Strips", f"{summary['strips']:,}", f"of {summary['input_rows']:,} rows"),
        ("Rows skipped", f"{summary['rows_skipped']:,}", ""),
        ("Patients", f"{summary['patients']:,}", ""),
        ("Beats", f"{summary['beats_extracted']:,}", ""),
        ("Usable beats", f"{summary['usable_beats']:,}", ""),
        ("Noise", f"{share:.1%}", f"{summary['noise_beats']:,} beats"),
        *_noisy_strips(summary),
        ("Rate (Hz)", f"{summary['fs']:.1f}", ""),
    )
    with st.container(horizontal=True, gap="large"):
        for label, value, help in cells:
            st.metric(label, value, help=help or None, width="content")


def _noisy_strips(summary: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """Where the profile judges strips, too: those that are noise as a whole."""
    if "noisy_strips" not in summary:
        return ()
    return (("Noisy strips", f"{summary['noisy_strips']:,}", "Flat, or for the most part covered by noise or lost"),)


def labels_and_noise(row: RunRow) -> None:
    """Counts per label beside the reasons for noise."""
    left, right = st.columns([0.6, 0.4], gap="large")
    with left:
        st.subheader("Labels", anchor=False)
        table = _labels(row.id, session.store().decisions.version(row.study_id), row)
        lost = [", all beats lost" if emptied else "" for emptied in table["emptied"]]
        names = zip(table["label"], table["name"], lost, strict=True)
        shown = table.assign(
            name=[f"{label_letter(label)}  {name}{gone}" for label, name, gone in names],
            noise_share=table["noise_share"] * 100,
        )
        changed = not (table["usable"] == table["usable_now"]).all()
        columns = ["name", "strips", "beats", "noise_share", "usable", *(["usable_now"] if changed else [])]
        st.dataframe(
            shown[columns],
            hide_index=True,
            height="content",
            alt="Strips, beats and noise of each label",
            column_config={
                "name": "Label",
                "strips": st.column_config.NumberColumn("Strips", format="localized"),
                "beats": st.column_config.NumberColumn("Beats", format="localized", help="By the label of their strip"),
                "noise_share": st.column_config.ProgressColumn(
                    "Noise", format="%.1f %%", min_value=0, max_value=100, color="gray"
                ),
                "usable": st.column_config.NumberColumn("Usable", format="localized"),
                "usable_now": st.column_config.NumberColumn(
                    "Usable now", format="localized", help="As the decisions by now have it"
                ),
            },
        )
    with right:
        st.subheader("Why beats count as noise", anchor=False)
        _reasons(row)


def _reasons(row: RunRow) -> None:
    summary = row.summary
    words, counts = NOISE_WORDS[profile_of(row)], dict(summary.get("noise_reasons", {}))
    wandering, cut = int(counts.pop("baseline", 0)), int(summary.get("beats_cut_by_edges") or 0)
    told = [f"The baseline wanders at {many(wandering, 'beat')}, which hides nothing."] if wandering else []
    if cut:
        told.append(f"The edge of a strip cuts {many(cut, 'beat')}: kept, but no template or cluster is made of them.")
    reasons = {words.get(name, name): int(n) for name, n in sorted(counts.items(), key=lambda item: -item[1]) if n}
    if reasons:
        total = max(summary["noise_beats"], 1)
        st.dataframe(
            pd.DataFrame(
                {
                    "reason": list(reasons),
                    "beats": list(reasons.values()),
                    "share": [count / total * 100 for count in reasons.values()],
                }
            ),
            hide_index=True,
            height="content",
            alt=f"Reasons for noise: {counted(reasons)}",
            column_config={
                "reason": st.column_config.TextColumn("Reason", width=220),
                "beats": st.column_config.NumberColumn("Beats", format="localized"),
                "share": st.column_config.NumberColumn("Of noise", format="%.0f %%"),
            },
        )
        if sum(reasons.values()) > summary["noise_beats"]:
            told.insert(0, "A beat can have more than one reason.")
    else:
        st.write("No beat counts as noise.")
    if told:
        st.caption(" ".join(told))


@st.cache_data(show_spinner=False, max_entries=12)
def _labels(run_id: str, version: int, _row: RunRow) -> pd.DataFrame:
    return label_table(session.load(_row), session.effective(_row))


def shapes(row: RunRow) -> None:
    """Class templates, and all beats in the plane."""
    run = session.load(row)
    left, right = st.columns([0.42, 0.58], gap="large")
    with left:
        st.subheader("Class templates", anchor=False)
        if run.class_templates:
            picture(_templates(row.id, run), key="class_templates")
            st.caption(
                "The middle beat of each label and the number of its usable beats; all in one scale. "
                "The upright is the R-peak."
            )
        else:
            st.write("No label has usable beats, so there are no templates.")
    with right:
        title, choice = st.columns([0.5, 0.5], vertical_alignment="bottom")
        title.subheader("Map of the beats", anchor=False)
        how = choice.segmented_control(
            "Colour by",
            ["Label", "Cluster"],
            default="Label",
            required=True,
            label_visibility="collapsed",
            key="map_by",
            persist_state="session",
        )
        version = session.store().decisions.version(row.study_id) if how == "Label" else 0
        figure = _map(row.id, version, str(how), row)
        key = f"map_{row.id}_{how}_{st.session_state.get('map_turn', 0)}"
        st.plotly_chart(
            figure,
            key=key,
            theme=None,
            on_select=lambda: _open(row, key),
            selection_mode="points",
            config={"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "toImage"]},
            alt=figure.layout.meta["alt"],
        )
        st.caption("Beats that lie close have a similar shape and rhythm. Click one to open it on its strip.")


def _open(row: RunRow, key: str) -> None:
    points = st.session_state[key]["selection"]["points"]
    beat = points[0].get("customdata") if points else None
    if isinstance(beat, (list, tuple)):
        beat = beat[0] if beat else None
    if beat is None:
        return
    st.session_state["map_turn"] = st.session_state.get("map_turn", 0) + 1  # nothing is selected on the way back
    table = session.load(row).metadata
    rows = table.index[table["beat_global_id"] == int(beat)]
    session.choose(strip=int(table.loc[rows[0], "source_row"]), beat=int(beat))
    go(STRIPS_PAGE)


@st.cache_data(show_spinner=False, max_entries=6)
def _templates(run_id: str, _run: Run) -> str:
    counts = _run.summary.get("class_counts_usable", {})
    narrow = len(_run.class_templates) >= 9
    frames = [
        Frame(
            np.asarray(wave),
            f"{label_letter(label)} {label_name(label)}, {_beats(int(counts.get(str(label), 0)), narrow)}",
            label_colour(label),
        )
        for label, wave in sorted(_run.class_templates.items(), key=lambda item: (item[0] == UNLABELLED, item[0]))
    ]
    return small_multiples(
        frames,
        title="Class templates",
        columns=3 if narrow else 2,
        frame_width=130 if narrow else 200,
        frame_height=96,
        centre_sample=round(_run.config.pre_sec * _run.fs),
    )


def _beats(count: int, narrow: bool) -> str:
    return f"{count:,}" if narrow else many(count, "beat")


@st.cache_resource(show_spinner="Drawing the map", max_entries=8)
def _map(run_id: str, version: int, how: str, _row: RunRow) -> Figure:
    run = session.load(_row)
    ids = run.metadata["beat_global_id"].to_numpy()
    if how == "Cluster":
        return pca_figure(run.features, np.asarray(run.cluster_ids), beat_ids=ids, clusters=True)
    effective = session.effective(_row)
    labels = np.where(effective.noisy, -1, effective.labels).astype(np.int32)
    figure = pca_figure(run.features, labels, beat_ids=ids)
    return figure.update_layout(dragmode="zoom")


def skipped(row: RunRow) -> None:
    """Every row that gave no beats, with its place and the reason."""
    table = session.load(row).skipped
    if table.empty:
        st.markdown(":material/check: Every row was read and has beats.")
        return
    kinds = {str(kind): int(n) for kind, n in table["kind"].value_counts().items()}
    reasons = counted(kinds) if len(kinds) > 1 else next(iter(kinds))
    with st.expander(f"{many(len(table), 'skipped row')}: {reasons}", icon=":material/playlist_remove:"):
        shown = pd.DataFrame(
            {
                "file": table["source_file"],
                "row": [place_in_file(f, r) for f, r in zip(table["source_file"], table["file_row"], strict=True)],
                "reason": table["reason"],
            }
        )
        st.dataframe(
            shown,
            hide_index=True,
            height=min(38 + 35 * len(shown), 400),
            alt=f"{len(shown)} skipped rows with file, row and reason",
            column_config={
                "file": "File",
                "row": st.column_config.NumberColumn("Row in the sheet", help="Of a WFDB record: number of the strip"),
                "reason": st.column_config.TextColumn("Reason", width="large"),
            },
        )
        table_download(table, "skipped_rows.csv", key=f"skipped_{row.id}")


def made_with(row: RunRow) -> None:
    """Settings, files and downloads of the run."""
    with st.expander("Files and settings of this run", icon=":material/tune:"):
        names = {file.id: file.name for file in session.store().files.all(row.study_id, removed=True)}
        st.markdown("Files: " + ", ".join(f"**{names.get(id, 'unknown')}**" for id in row.files))
        for name, found in (row.summary.get("columns") or {}).items():
            told = ", ".join(f"{role}: {column or 'none'}" for role, column in found.items())
            st.caption(f"{name} ({told})")
        plain, config = PreprocessConfig().to_dict(), used_by(profile_of(row), row.config)
        st.dataframe(
            pd.DataFrame(
                {
                    "setting": list(config),
                    "value": [_shown(config[name]) for name in config],
                    "default": [_shown(plain.get(name)) for name in config],
                }
            ),
            hide_index=True,
            height=300,
            alt="Settings of this run beside the defaults",
            column_config={"setting": "Setting", "value": "Value", "default": "Default"},
        )
        st.caption(f"Engine {row.engine_version}")
    run_downloads(row)


def _shown(value: Any) -> str:
    return "from the strip's length" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
