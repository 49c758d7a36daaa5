"""Preprocessing 3,960 strips: seconds a stage beside its floor, strips/s, memory, and the ratio to the scripts' way.

Each side runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench import scripts_way
from bench.common import DS1, SMALL, Lap, lap, peak_memory_gb, table


def measure_scripts() -> dict[str, Any]:
    """The scripts' way, stage by stage."""
    laps = {}
    with lap() as laps["read and parse"]:
        waves, strip_labels = scripts_way.read(DS1)
    with lap() as laps["filter, R-peaks, beats"]:
        beats, intervals, rows = scripts_way.beats_of(waves)
    with lap() as laps["noise flags"]:
        noise = scripts_way.noise_of(beats, intervals)
    with lap() as laps["clusters"]:
        scripts_way.cluster(beats, intervals, strip_labels[rows], noise)
    return _result(laps, len(waves), len(beats))


STAGES = {
    "condition": "filter and z-score",
    "_find_beats": "R-peaks and beats",
    "assess": "noise flags",
    "local_clusters": "local clusters",
    "feature_space": "feature space",
    "global_clusters": "global clusters",
    "class_templates": "templates",
    "build_library": "prototype library",
    "context_windows": "context windows",
}
"""Functions that :func:`preprocess` calls in order; each is wrapped in a stopwatch."""


def measure_engine() -> dict[str, Any]:
    """The engine as `preprocess` runs it, stage by stage; then saving the run."""
    from ecg_engine import preprocess as module
    from ecg_engine.artifacts import save_run
    from ecg_engine.config import PreprocessConfig
    from ecg_engine.strips import read_strips

    laps: dict[str, Lap] = {}

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def inner(*args: Any, **kwargs: Any) -> Any:
            with lap() as laps[name]:
                return function(*args, **kwargs)

        return inner

    for function, name in STAGES.items():
        setattr(module, function, timed(name, getattr(module, function)))
    config = PreprocessConfig()
    with lap() as laps["read and parse"]:
        strips = read_strips([DS1], config)
    with lap() as whole:
        run = module.preprocess(strips, config)
    known = [laps[name] for name in STAGES.values()]
    laps["tables and the rest"] = Lap(
        whole.wall - sum(one.wall for one in known), whole.processor - sum(one.processor for one in known)
    )
    before_saving = peak_memory_gb()
    with tempfile.TemporaryDirectory() as folder, lap() as laps["save (with pictures)"]:
        save_run(run, Path(folder) / "run")
    return {**_result(laps, len(strips), len(run.beats)), "before_saving": before_saving}


def measure_neurokit() -> dict[str, Any]:
    """neurokit2's own whole pipeline on a sample of strips: seconds a strip."""
    import neurokit2

    waves, _ = scripts_way.read(SMALL)
    sample = waves[::11]
    with lap() as took:
        for wave in sample:
            with contextlib.suppress(Exception):  # on some strips it finds too little to go on
                neurokit2.ecg_process(wave, sampling_rate=len(wave) / 10)
    return {"seconds": took.processor / len(sample), "strips": len(sample)}


def floors() -> dict[str, float]:
    """The least that reading, parsing and filtering can cost here: the bare library calls."""
    import python_calamine
    from scipy.signal import butter, sosfiltfilt

    with lap() as reading:
        rows = python_calamine.CalamineWorkbook.from_path(str(DS1)).get_sheet_by_index(0).to_python()
    texts = [str(row[1]) for row in rows[1:]]
    with lap() as parsing:
        waves = [np.fromstring(text, sep=",") for text in texts]
    block = np.stack([wave for wave in waves if len(wave) == len(waves[0])])
    sections = butter(4, [0.5 / 130.2, 45 / 130.2], btype="band", output="sos")
    with lap() as filtering:
        for start in range(0, len(block), 128):
            sosfiltfilt(sections, block[start : start + 128])
    return {"reading": reading.processor, "parsing": parsing.processor, "filtering": filtering.processor}


def _result(laps: dict[str, Lap], strips: int, beats: int) -> dict[str, Any]:
    stages = {name: (one.wall, one.processor) for name, one in laps.items()}
    return {"stages": stages, "strips": strips, "beats": beats, "peak": peak_memory_gb()}


def _apart(name: str) -> dict[str, Any]:
    code = f"import json, bench.preprocessing as b; print(json.dumps(b.{name}()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    ours, theirs, least = _apart("measure_engine"), _apart("measure_scripts"), _apart("floors")
    neurokit = _apart("measure_neurokit")
    computing = {name: laps for name, laps in ours["stages"].items() if not name.startswith("save")}
    wall = sum(one[0] for one in computing.values())
    processor = sum(one[1] for one in computing.values())
    their_wall = sum(one[0] for one in theirs["stages"].values())
    their_processor = sum(one[1] for one in theirs["stages"].values())
    named = {"read and parse": least["reading"] + least["parsing"], "filter and z-score": least["filtering"]}
    rows = [
        (name, f"{one[0]:.2f}", f"{one[1]:.2f}", f"{named[name]:.2f}" if name in named else "")
        for name, one in ours["stages"].items()
    ]
    title = f"Preprocessing {ours['strips']:,} strips, {ours['beats']:,} beats ({multiprocessing.cpu_count()} cores)"
    table(title, ("stage", "wall s", "processor s", "floor s (bare library calls)"), rows)
    theirs_rows = [(name, f"{one[0]:.2f}", f"{one[1]:.2f}") for name, one in theirs["stages"].items()]
    table("The scripts' way, same machine, same minute", ("stage", "wall s", "processor s"), theirs_rows)
    table(
        "Side by side",
        ("", "engine", "scripts' way", "ratio"),
        [
            ("wall s", f"{wall:.2f}", f"{their_wall:.2f}", f"{wall / their_wall:.2f}"),
            ("processor s", f"{processor:.2f}", f"{their_processor:.2f}", f"{processor / their_processor:.2f}"),
            ("strips/s", f"{ours['strips'] / wall:,.0f}", f"{theirs['strips'] / their_wall:,.0f}", ""),
            ("peak memory, GB", f"{ours['before_saving']:.2f}", f"{theirs['peak']:.2f}", ""),
            ("peak memory with saving, GB", f"{ours['peak']:.2f}", "", ""),
        ],
    )

    ours_ms, theirs_ms = 1000 * processor / ours["strips"], 1000 * neurokit["seconds"]
    table(
        "A strip",
        ("", "processor ms a strip", "ratio"),
        [
            ("engine, reading to prototypes", f"{ours_ms:.2f}", f"{ours_ms / theirs_ms:.3f}"),
            (f"neurokit2's ecg_process ({neurokit['strips']} strips)", f"{theirs_ms:.1f}", "1"),
        ],
    )


if __name__ == "__main__":
    main()
