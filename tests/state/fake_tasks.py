"""Tiny work for the tests of jobs."""

from __future__ import annotations

import time

from ecg_engine.errors import InputError
from ecg_engine.files import atomic_write
from state.work import NewModel, Outcome, Work


def _outcome(work: Work, **more: object) -> Outcome:
    (work.folder / "result.txt").write_text("done")
    return Outcome(config={"asked": work.params.get("word")}, summary={"resumed": work.resume}, **more)  # type: ignore[arg-type]


def quick(work: Work) -> Outcome:
    work.progress("half", 0.5)
    return _outcome(work, parents=["p"], files=["f"])


def slow(work: Work) -> Outcome:
    """Epoch after epoch; those done are kept in a file, as a training does."""
    state = work.folder / "state.txt"
    done = int(state.read_text()) if work.resume and state.exists() else 0
    history = list(work.detail.get("history", [])) if done else []
    for epoch in range(done + 1, work.params.get("epochs", 1000) + 1):
        time.sleep(0.02)
        atomic_write(state, lambda draft, epoch=epoch: draft.write_text(str(epoch)))  # the worker may be killed here
        history.append(epoch)
        work.tell(history=history)
        work.progress(f"epoch {epoch}", epoch / 1000)
    return _outcome(work)


def stubborn(work: Work) -> Outcome:
    """Never looks whether it should stop."""
    work.progress("deaf", 0.1)
    time.sleep(600)
    return _outcome(work)


def train(work: Work) -> Outcome:
    (work.folder / "bundle.pt").write_text("weights")
    model = NewModel("hybrid", "bundle.pt", {"class_acc": 0.9})
    alerts = [{"cluster_id": 0, "size": 90, "size_ratio": 1.0, "alert": True, "example_beats": [1]}]
    return _outcome(work, model=model, alerts=alerts)


def bad_input(work: Work) -> Outcome:
    raise InputError("the sheet is empty", where="a.xlsx")


def crash(work: Work) -> Outcome:
    (work.folder / "half.bin").write_text("x")
    raise RuntimeError("a wheel\ncame off")


def full_disk(work: Work) -> Outcome:
    (work.folder / "half.bin").write_text("x")
    try:
        raise OSError(28, "No space left on device")
    except OSError as error:
        raise RuntimeError("saving failed") from error


def out_of_memory(work: Work) -> Outcome:
    raise MemoryError


TASKS = {task.__name__: task for task in (quick, slow, stubborn, train, bad_input, crash, full_disk, out_of_memory)}
