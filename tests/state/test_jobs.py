"""Jobs live in processes of their own: they are watched, stopped, killed, found again and resumed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from state import schema
from state.db import connect, writing
from state.errors import NotFoundError, StoreError
from state.jobs import Job
from state.plain import now
from state.processes import host_name, is_alive, process_token
from state.store import Store
from state.studies import Study
from state.worker import explain

PATIENCE = 60.0


def _until(store: Store, job_id: str, condition: Callable[[Job], bool]) -> Job:
    end = time.monotonic() + PATIENCE
    while not condition(job := store.jobs.get(job_id)):
        assert time.monotonic() < end, f"{job}\n{store.jobs.tail(job_id)}"
        time.sleep(0.02)
    return job


def _running(job: Job) -> bool:
    return job.status == "running" and job.share > 0


def _parts(store: Store) -> list[str]:
    return sorted(path.name for path in (store.folder / "runs").glob("*.part"))


def _kill(job: Job) -> None:
    assert job.pid is not None
    os.kill(job.pid, signal.SIGKILL)


def test_a_job_is_done_and_its_run_with_it(store: Store, study: Study) -> None:
    job = store.jobs.submit(study.id, "quick", {"word": "hello"})
    assert job.status in {"queued", "running"}
    assert store.jobs.all(study.id, active=True)
    job = store.jobs.wait(job.id)
    assert (job.status, job.share, job.error) == ("done", 1.0, None), store.jobs.tail(job.id)
    run = store.runs.get(job.run_id)
    assert (run.kind, run.status, run.parents, run.files) == ("quick", "done", ["p"], ["f"])
    assert (run.config, run.summary) == ({"asked": "hello"}, {"resumed": False})
    assert (store.runs.path(run) / "result.txt").read_text() == "done"
    assert run.decisions_until is not None
    assert _parts(store) == []
    assert "done" in store.jobs.tail(job.id)
    assert store.jobs.newest(study.id) == job
    assert store.jobs.all(study.id, active=True) == []
    with pytest.raises(StoreError, match="is done"):
        store.jobs.resume(job.id)


def test_model_and_alerts_are_entered_with_the_run(store: Store, study: Study) -> None:
    job = store.jobs.wait(store.jobs.submit(study.id, "train").id)
    model = store.models.current(study.id)
    assert model is not None and (model.run_id, model.metrics) == (job.run_id, {"class_acc": 0.9})
    assert store.models.path(model).read_text() == "weights"
    assert [row.alert for row in store.alerts.all(job.run_id)] == [True]


def test_one_job_follows_another(store: Store, study: Study) -> None:
    first = store.jobs.submit(study.id, "quick", then=[("quick", {"word": "second"}), ("train", {})])
    store.jobs.wait(first.id)
    end = time.monotonic() + PATIENCE
    while store.models.current(study.id) is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert [job.kind for job in store.jobs.all(study.id)] == ["train", "quick", "quick"]
    assert store.jobs.all(study.id)[1].params["word"] == "second"


def test_nothing_follows_a_job_that_failed(store: Store, study: Study) -> None:
    job = store.jobs.wait(store.jobs.submit(study.id, "crash", then=[("quick", {})]).id)
    assert [other.id for other in store.jobs.all(study.id)] == [job.id]


def test_progress_is_seen_and_cancel_stops_the_work(store: Store, study: Study) -> None:
    job = store.jobs.submit(study.id, "slow")
    job = _until(store, job.id, lambda job: _running(job) and len(job.detail.get("history", [])) > 2)
    assert job.message.startswith("epoch")
    assert job.heartbeat_at is not None and job.seconds > 0
    assert store.jobs.cancel(job.id).cancel_requested
    job = store.jobs.wait(job.id)
    assert (job.status, job.error) == ("cancelled", None)
    assert store.runs.get(job.run_id).status == "cancelled"
    assert _parts(store) == []
    again = store.jobs.wait(store.jobs.resume(_shorten(store, job)).id)
    assert (again.status, again.attempt) == ("done", 2)
    assert store.runs.get(job.run_id).summary == {"resumed": False}


def _shorten(store: Store, job: Job) -> str:
    """Let a slow job end soon: a few epochs more than it had."""
    epochs = len(job.detail.get("history", [])) + 5
    with writing(store.engine) as connection:
        here = schema.jobs.c.id == job.id
        connection.execute(update(schema.jobs).where(here).values(params={**job.params, "epochs": epochs}))
    return job.id


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)  # it takes its time, and the database has no part in it
def test_work_that_does_not_listen_is_ended(store: Store, study: Study) -> None:
    job = _until(store, store.jobs.submit(study.id, "stubborn").id, _running)
    store.jobs.cancel(job.id)
    job = store.jobs.wait(job.id)
    assert job.status == "cancelled"
    assert "did not stop when asked" in store.jobs.tail(job.id)
    _until(store, job.id, lambda job: not is_alive(job.pid or 0, job.process_started))
    assert _parts(store) == []


def test_a_killed_job_is_interrupted_and_goes_on_where_it_was(store: Store, study: Study) -> None:
    job = _until(store, store.jobs.submit(study.id, "slow").id, lambda job: len(job.detail.get("history", [])) > 4)
    _kill(job)
    job = _until(store, job.id, lambda job: not job.active)
    assert job.status == "interrupted" and "process ended" in (job.error or "")
    assert store.runs.get(job.run_id).status == "failed"
    until = store.runs.get(job.run_id).decisions_until
    assert len(_parts(store)) == 1
    done = job.detail["history"]
    resumed = store.jobs.resume(_shorten(store, job))
    assert resumed.status in {"queued", "running"} and resumed.error is None
    resumed = store.jobs.wait(job.id)
    assert (resumed.status, resumed.attempt) == ("done", 2), store.jobs.tail(job.id)
    assert resumed.detail["history"][: len(done)] == done
    assert len(set(resumed.detail["history"])) == len(resumed.detail["history"])
    run = store.runs.get(job.run_id)
    assert (run.summary, run.decisions_until) == ({"resumed": True}, until)


def test_a_terminated_job_is_interrupted_not_cancelled(store: Store, study: Study) -> None:
    job = _until(store, store.jobs.submit(study.id, "slow").id, _running)
    assert job.pid is not None
    os.kill(job.pid, signal.SIGTERM)
    job = store.jobs.wait(job.id)
    assert job.status == "interrupted"
    assert len(_parts(store)) == 1
    assert store.jobs.cancel(job.id).status == "interrupted"  # it is over: there is nothing to cancel


def test_a_worker_whose_folder_was_deleted_ends(store: Store, study: Study) -> None:
    job = _until(store, store.jobs.submit(study.id, "stubborn").id, _running)
    shutil.rmtree(store.folder / "runs")
    assert _until(store, job.id, lambda job: not job.active).status == "interrupted"
    assert not is_alive(job.pid or 0, job.process_started)


def test_a_job_outlives_the_app_and_the_next_app_finds_it(store: Store, study: Study) -> None:
    """The app is a process of its own here, and is killed; another one looks on."""
    code = (
        "import sys; from pathlib import Path; from state.db import connect; from state.store import Store;"
        "store = Store(connect(sys.argv[1]), Path(sys.argv[2]), tasks='tests.state.fake_tasks');"
        "print(store.jobs.submit(sys.argv[3], 'slow').id, flush=True); sys.stdin.read()"
    )
    url = store.engine.url.render_as_string(hide_password=False)
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", code, url, str(store.folder), study.id]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as app:
        assert app.stdout is not None
        job_id = app.stdout.readline().strip()
        _until(store, job_id, _running)
        app.kill()
    next_app = Store(connect(url), store.folder, tasks="tests.state.fake_tasks")
    seen = next_app.jobs.get(job_id)
    job = _until(next_app, job_id, lambda job: job.share > seen.share)
    assert job.status == "running"
    _kill(job)
    assert _until(next_app, job_id, lambda job: not job.active).status == "interrupted"
    next_app.close()


def test_one_job_of_a_study_at_a_time_in_the_order_of_asking(store: Store, study: Study) -> None:
    other = store.studies.create("Ward 4")
    first = _until(store, store.jobs.submit(study.id, "slow").id, _running)
    second = store.jobs.submit(study.id, "quick")
    third = store.jobs.submit(study.id, "quick")
    assert store.jobs.wait(store.jobs.submit(other.id, "quick").id).status == "done"  # its study is free
    assert [store.jobs.get(job.id).status for job in (first, second, third)] == ["running", "queued", "queued"]
    store.jobs.cancel(third.id)
    assert store.jobs.wait(third.id).status == "cancelled"
    assert store.jobs.get(second.id).status == "queued"
    _kill(first)  # the worker that waits finds out by itself
    assert store.jobs.wait(second.id).status == "done"
    assert store.jobs.get(first.id).status == "interrupted"


FAILURES = {
    "bad_input": ("a.xlsx: the sheet is empty.", "Traceback"),
    "crash": ("Something unexpected went wrong (RuntimeError: a wheel came off).", "came off"),
    "full_disk": ("The disk is full", "No space left"),
    "out_of_memory": ("ran out of memory", "MemoryError"),
    "nonsense": ("no work called 'nonsense'", "Traceback"),
}


def test_what_fails_says_so_in_one_sentence_and_the_rest_is_in_the_log(store: Store) -> None:
    # A study each, so that they run side by side.
    jobs = {kind: store.jobs.submit(store.studies.create(kind).id, kind) for kind in FAILURES}
    for kind, (words, log) in FAILURES.items():
        job = store.jobs.wait(jobs[kind].id)
        assert job.status == "failed" and job.resumable
        assert job.error is not None and words in job.error and "\n" not in job.error and "Traceback" not in job.error
        assert log in store.jobs.tail(job.id, 60)
        assert store.runs.all(job.study_id) == []
        assert store.runs.get(job.run_id).status == "failed"
    assert list((store.folder / "runs").iterdir()) == []


def test_a_job_whose_process_never_came_is_interrupted(store: Store, study: Study) -> None:
    with writing(store.engine) as connection:
        job_id = store.jobs.enter(connection, study.id, "quick", {})
    assert store.jobs.get(job_id).status == "queued"
    _age(store, job_id, queued_at=now() - timedelta(minutes=5))
    assert store.jobs.get(job_id).status == "interrupted"
    assert store.jobs.wait(store.jobs.resume(job_id).id).status == "done"


def test_a_silent_worker_of_another_machine_is_given_up(store: Store, study: Study) -> None:
    with writing(store.engine) as connection:
        job_id = store.jobs.enter(connection, study.id, "quick", {})
    elsewhere = {"status": "running", "host": "another", "pid": 1, "process_started": "x"}
    _age(store, job_id, **elsewhere, heartbeat_at=now() - timedelta(seconds=20))
    assert store.jobs.get(job_id).active
    _age(store, job_id, heartbeat_at=now() - timedelta(minutes=5))
    assert store.jobs.mark_interrupted() == [job_id]
    assert store.jobs.mark_interrupted() == []


def test_a_process_of_the_same_number_is_another_one(store: Store, study: Study) -> None:
    with writing(store.engine) as connection:
        job_id = store.jobs.enter(connection, study.id, "quick", {})
    job = store.jobs.get(job_id)
    mine = {"status": "running", "host": host_name(), "pid": os.getpid()}
    _age(store, job_id, **mine, process_started=process_token(os.getpid()))
    assert store.jobs.get(job_id).active
    _age(store, job_id, process_started="an earlier start")
    assert store.jobs.get(job.id).status == "interrupted"


def _age(store: Store, job_id: str, **values: object) -> None:
    with writing(store.engine) as connection:
        connection.execute(update(schema.jobs).where(schema.jobs.c.id == job_id).values(**values))


def test_processes_that_are_gone_are_known_as_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    token = process_token(process.pid)
    assert token and is_alive(process.pid, token)
    process.kill()
    end = time.monotonic() + PATIENCE
    while is_alive(process.pid, token):  # a zombie now: nobody has waited for it
        assert time.monotonic() < end
        time.sleep(0.01)
    process.communicate()
    assert process_token(process.pid) is None


def test_unknown_jobs_and_logs(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no job"):
        store.jobs.get("nothing")
    assert store.jobs.find(None) is None
    assert store.jobs.tail("nothing") == ""


def test_explanations_name_the_cause(tmp_path: Path) -> None:
    assert "disk is full" in explain(RuntimeError("database or disk is full"), tmp_path)
    assert explain(KeyError("fs"), tmp_path).startswith("Something unexpected went wrong (KeyError: 'fs')")
