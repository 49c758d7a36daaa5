"""A preprocessing run as a folder of files (spec section 7), written whole or not at all, and read back.

Besides the spec's files: strips.npy and conditioned.npy (all strips end to end), strip_index.csv (one row a strip),
skipped_rows.csv and config.json. A folder is complete when summary.json is there: it is written last.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.errors import EngineError
from ecg_engine.files import atomic_write, plain
from ecg_engine.loading import load_run
from ecg_engine.preprocess import Run
from ecg_engine.progress import Progress, silent
from ecg_engine.windows import gather

__all__ = ["RUN_FILES", "load_run", "save_array", "save_json", "save_run", "save_table"]

RUN_FILES = (
    "beat_metadata.csv",
    "beats.npy",
    "labels.npy",
    "noise_flags.npy",
    "features.npy",
    "global_cluster_ids.npy",
    "context_windows.npz",
    "class_templates.npz",
    "prototype_library.csv",
    "prototype_library_waves.npz",
    "seed_mined_candidates.csv",
    "strips.npy",
    "conditioned.npy",
    "strip_index.csv",
    "skipped_rows.csv",
    "config.json",
    "class_templates.png",
    "global_clusters_pca2d.png",
    "prototype_gallery.png",
    "summary.json",
)
"""Every file that a run may have, the last written last."""

_WINDOWS_AT_ONCE = 1024


def save_table(table: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a table as CSV, whole or not at all.

    Raises
    ------
    EngineError
        If the disk is full or the place cannot be written.
    """
    atomic_write(Path(path), lambda draft: table.to_csv(draft, index=False))


def save_json(values: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write plain values as JSON, whole or not at all; raises EngineError as :func:`save_table` does."""
    text = json.dumps(plain(values), indent=2, ensure_ascii=False)
    atomic_write(Path(path), lambda draft: draft.write_text(text, encoding="utf-8"))


def save_array(array: NDArray[Any], path: str | os.PathLike[str]) -> None:
    """Write an array as .npy, whole or not at all; raises EngineError as :func:`save_table` does."""

    def write(draft: Path) -> None:
        with draft.open("wb") as file:
            np.save(file, array)

    atomic_write(Path(path), write)


def save_run(run: Run, folder: str | os.PathLike[str], *, pictures: bool = True, progress: Progress = silent) -> Path:
    """Write a run.

    Everything is written into a draft folder first and moved when it is whole, so that a full disk leaves neither half
    a run nor a damaged earlier one. Files of the folder that are not a run's stay as they are.

    Parameters
    ----------
    run : Run
    folder : path
        Made if it is not there.
    pictures : bool
        Whether to draw the PNG pictures too.
    progress : Progress, optional

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    EngineError
        If the disk is full or the place cannot be written; the message names the folder.
    """
    target = Path(folder).resolve()
    # beside the folder, or in it if it is there, so that moving never crosses from one disk to another
    draft = (target if target.is_dir() else target.parent) / f".{target.name}.{os.getpid()}.part"
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        _write(run, draft, progress)
        if pictures:
            from ecg_engine.pictures import draw_run_pictures  # matplotlib is slow to import

            progress("drawing pictures", 0.7)
            draw_run_pictures(run, draft)
        save_json(run.summary, draft / "summary.json")
        _publish(draft, target)
    except OSError as error:
        raise _not_saved(target, str(error)) from error
    except EngineError as error:
        if isinstance(error.__cause__, OSError):
            raise _not_saved(target, str(error.__cause__)) from error.__cause__
        raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    progress("saved", 1.0)
    return target


def _not_saved(target: Path, why: str) -> EngineError:
    return EngineError(f"The run could not be saved in {target}: {why}. Free some space or choose another folder.")


def _publish(draft: Path, target: Path) -> None:
    if not target.exists():
        draft.rename(target)
        return
    (target / "summary.json").unlink(missing_ok=True)  # from here on the old run is no longer complete
    written = sorted(draft.iterdir(), key=lambda path: path.name == "summary.json")
    for name in set(RUN_FILES) - {path.name for path in written}:
        (target / name).unlink(missing_ok=True)
    for path in written:
        path.replace(target / path.name)


def _write(run: Run, folder: Path, progress: Progress) -> None:
    progress("saving tables", 0.0)
    save_json(run.config.to_dict(), folder / "config.json")
    tables = {"beat_metadata.csv": run.metadata, "prototype_library.csv": run.library, "skipped_rows.csv": run.skipped}
    if run.candidates is not None:
        tables["seed_mined_candidates.csv"] = run.candidates
    if run.strips is not None:
        tables["strip_index.csv"] = strip_index(run)
    for name, table in tables.items():
        save_table(table, folder / name)
    progress("saving arrays", 0.25)
    arrays = {
        "beats.npy": run.beats,
        "labels.npy": run.labels,
        "noise_flags.npy": run.noise_flags,
        "features.npy": run.features,
        "global_cluster_ids.npy": run.cluster_ids,
    }
    if run.strips is not None and run.conditioned is not None:
        arrays |= {"strips.npy": run.strips.samples, "conditioned.npy": run.conditioned}
    for name, array in arrays.items():
        save_array(array, folder / name)
    _save_waves({f"class_{label}": wave for label, wave in run.class_templates.items()}, folder / "class_templates.npz")
    _save_waves(
        {f"prototype_{number}": wave for number, wave in run.prototype_waves.items()},
        folder / "prototype_library_waves.npz",
    )
    progress("saving context windows", 0.4)
    _save_windows(run, folder / "context_windows.npz")


def strip_index(run: Run) -> pd.DataFrame:
    """One row a strip: where it comes from, where it lies in strips.npy, how many beats and noise beats it has.

    Raises
    ------
    EngineError
        If the run was written by the old scripts, without strips.
    """
    strips = run.strips
    if strips is None:
        raise EngineError("This run holds no strips: it was written by the old scripts.")
    place = run.strip_of_beat
    return pd.DataFrame(
        {
            "source_row": strips.source_row,
            "patient_id": strips.patient_id,
            "label": strips.label,
            "offset": strips.offsets[:-1],
            "length": strips.lengths,
            "strip_hash": strips.strip_hash,
            "source_file": strips.source_file,
            "file_row": strips.file_row,
            "num_beats": np.bincount(place, minlength=len(strips)),
            "num_noise": np.bincount(place[np.asarray(run.noise_flags) != 0], minlength=len(strips)),
            **({} if run.strip_quality is None else dict(run.strip_quality.items())),
        }
    )


def _save_waves(waves: Mapping[str, NDArray[np.float32]], path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, **waves)  # type: ignore[arg-type]


def _save_windows(run: Run, path: Path) -> None:
    """X (n, W, L), y (n,) and mask (n, W), a few windows in memory at a time."""
    windows = run.windows
    count, size = windows.beat.shape
    # Level 1: neighbouring windows share four of five beats, which even the fastest level finds.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("X.npy", "w", force_zip64=True) as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (count, size, run.beat_len)}
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, count, _WINDOWS_AT_ONCE):
                samples = gather(run.beats, windows, slice(start, start + _WINDOWS_AT_ONCE))
                file.write(np.ascontiguousarray(samples, dtype="<f4").data)
        for name, array in (("y", np.asarray(run.labels)[windows.centre]), ("mask", windows.mask)):
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array))
