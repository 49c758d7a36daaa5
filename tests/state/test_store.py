"""Studies, readers, files, models: what is kept is found again, and nothing is lost."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, insert, text
from sqlalchemy.exc import IntegrityError

from state import db, schema
from state.db import REVISION, connect, database_url, migrate, writing
from state.decisions import decide
from state.errors import NotFoundError, StoreError
from state.models import add_alerts, add_model
from state.plain import new_id, now, plain
from state.runs import finish_run
from state.store import Store, open_store
from state.studies import Study
from state.targets import strip_target


def test_migrations_make_the_tables_that_the_code_uses(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []


def test_the_newest_migration_is_the_one_named(store: Store) -> None:
    scripts = ScriptDirectory(str(Path(db.__file__).parent / "migrations"))
    assert scripts.get_current_head() == REVISION
    migrate(store.engine)  # once more changes nothing


def test_a_database_of_the_first_tables_is_brought_up_to_date(store: Store) -> None:
    """Readers and decisions of before stay; readers have no settings yet."""
    with writing(store.engine) as connection:
        connection.execute(text("DROP TABLE leases"))
        connection.execute(text("ALTER TABLE readers DROP COLUMN settings"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        row = {"name": "Dr Before", "at": schema.UtcTime().process_bind_param(now(), store.engine.dialect)}
        connection.execute(text("INSERT INTO readers (name, created_at) VALUES (:name, :at)"), row)
    migrate(store.engine)
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
    assert [(reader.name, dict(reader.settings)) for reader in store.readers.all()] == [("Dr Before", {})]


def test_a_reader_keeps_settings(store: Store) -> None:
    assert store.readers.settings("Dr New") == {}
    store.readers.set("Dr New", keys={"pvc": "v"}, size=2)
    store.readers.set("Dr New", keys={"pvc": "p"})
    store.readers.add("Dr New")
    assert store.readers.settings("Dr New") == {"keys": {"pvc": "p"}, "size": 2}
    assert store.readers.settings("Dr Other") == {}
    assert [reader.name for reader in store.readers.all()] == ["Dr New"], "asking makes no reader"


def test_a_database_of_a_newer_app_is_refused_in_words(store: Store) -> None:
    with writing(store.engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="another version of this app"):
        migrate(store.engine)


def test_urls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ECG_REVIEW_DATA", str(tmp_path / "kept"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert database_url().database == str(tmp_path / "kept" / "review.db")
    monkeypatch.setenv("DATABASE_URL", "postgres://reader:pw@host/ecg")
    assert database_url().drivername == "postgresql+psycopg"
    with pytest.raises(StoreError, match="mysql"):
        database_url("mysql://host/ecg")


def test_opening_makes_the_store_and_finds_it_again(tmp_path: Path) -> None:
    first = open_store(f"sqlite:///{tmp_path / 'a' / 'review.db'}", tmp_path / "a")
    study = first.studies.create("Ward 3")
    first.close()
    second = open_store(f"sqlite:///{tmp_path / 'a' / 'review.db'}", tmp_path / "a")
    assert second.studies.all() == [study]
    second.close()


def test_sqlite_flushes_every_commit(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'review.db'}")
    with engine.connect() as connection:
        pragmas = {name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in _PRAGMAS}
    engine.dispose()
    assert pragmas == _PRAGMAS


_PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "recursive_triggers": 1, "busy_timeout": 30000}


def test_a_study_is_archived_not_deleted(store: Store, study: Study) -> None:
    store.studies.archive(study.id)
    assert store.studies.all() == []
    assert [kept.id for kept in store.studies.all(archived=True)] == [study.id]
    store.studies.restore(study.id)
    assert store.studies.all() == [study]


def test_the_gain_is_assumed_until_a_person_sets_it(store: Store, study: Study) -> None:
    assert (study.units_per_mv, study.units_assumed) == (200.0, True)
    study = store.studies.set_units(study.id, 1000)
    assert (study.units_per_mv, study.units_assumed) == (1000.0, False)
    assert store.studies.set(study.id, gain=10).units_per_mv == 1000.0
    with pytest.raises(StoreError, match="above 0"):
        store.studies.set_units(study.id, 0)
    assert store.studies.find(None) is None
    with pytest.raises(NotFoundError):
        store.studies.get("nowhere")


def test_a_study_of_the_app_is_made_once(store: Store) -> None:
    first, made = store.studies.ensure("demo", "Demo")
    again, made_again = store.studies.ensure("demo", "Demo")
    assert (made, made_again, first) == (True, False, again)


def test_times_come_back_aware_in_utc(store: Store, study: Study) -> None:
    assert study.created_at.utcoffset() is not None
    assert abs((datetime.now(UTC) - study.created_at).total_seconds()) < 60
    with pytest.raises(Exception, match="time zone"), writing(store.engine) as connection:
        connection.execute(insert(schema.readers).values(name="x", created_at=datetime(2026, 1, 1)))


def test_readers_are_known_by_name(store: Store) -> None:
    assert store.readers.add("  Ada   Berg ") == store.readers.add("Ada Berg")
    assert [reader.name for reader in store.readers.all()] == ["Ada Berg"]
    with pytest.raises(StoreError, match="empty"):
        store.readers.add("   ")


def test_the_same_file_is_kept_once(store: Store, study: Study, tmp_path: Path) -> None:
    content = b"ECG Wave,Label\n" * 1000
    first = store.files.add(study.id, "C:\\strips\\a.csv", content)
    assert (first.known, first.file.name, first.file.size) == (False, "a.csv", len(content))
    assert store.files.add(study.id, "b.csv", io.BytesIO(content)) == (first.file, True)
    other = store.studies.create("Ward 4")
    path = tmp_path / "c.csv"
    path.write_bytes(content)
    assert not store.files.add(other.id, "c.csv", path).known
    kept = [path for path in (store.folder / "files").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in kept] == [content]


def test_a_removed_file_comes_back_when_brought_again(store: Store, study: Study) -> None:
    file = store.files.add(study.id, "a.csv", b"1").file
    store.files.remove(file.id)
    assert store.files.all(study.id) == []
    assert store.files.path(file).read_bytes() == b"1"
    assert store.files.add(study.id, "a.csv", b"1") == (file, True)
    assert store.files.all(study.id) == [file]


def test_files_are_laid_out_under_their_own_names(store: Store, study: Study, tmp_path: Path) -> None:
    for name, content in [("r.hea", b"head"), ("r.dat", b"signal"), ("a.csv", b"1"), ("a.csv", b"2")]:
        store.files.add(study.id, name, content)
    paths = store.files.lay_out(store.files.all(study.id), tmp_path / "input")
    assert [str(path.relative_to(tmp_path / "input")) for path in paths] == ["r.hea", "a.csv", "2/a.csv"]
    assert (tmp_path / "input" / "r.dat").read_bytes() == b"signal"


def _run(store: Store, study: Study, kind: str = "train") -> str:
    run_id = new_id()
    store.runs.start(run_id, study.id, kind)
    with writing(store.engine) as connection:
        finish_run(connection, run_id, status="done", folder=f"runs/{run_id}", summary={"score": 0.9})
    return run_id


def test_only_finished_runs_are_listed(store: Store, study: Study) -> None:
    store.runs.start("unfinished", study.id, "preprocess")
    assert store.runs.newest(study.id, "preprocess") is None
    with pytest.raises(NotFoundError, match="no files"):
        store.runs.path(store.runs.get("unfinished"))
    done = _run(store, study, "preprocess")
    assert [run.id for run in store.runs.all(study.id)] == [done]
    assert len(store.runs.all(study.id, status=None)) == 2
    assert store.runs.path(store.runs.get(done)) == store.folder / "runs" / done


def test_one_model_is_current(store: Store, study: Study) -> None:
    ids = []
    for _ in range(3):
        run_id = _run(store, study)
        with writing(store.engine) as connection:
            ids.append(
                add_model(
                    connection, study_id=study.id, run_id=run_id, kind="hybrid", bundle="m.pt", metrics={"se": 0.9}
                )
            )
    assert [store.models.get(id).status for id in ids] == ["current", "candidate", "candidate"]
    store.models.make_current(ids[2])
    assert [store.models.get(id).status for id in ids] == ["former", "candidate", "current"]
    assert store.models.current(study.id) == store.models.get(ids[2])
    with pytest.raises(IntegrityError), writing(store.engine) as connection:
        connection.execute(schema.models.update().values(status="current"))


def test_alert_clusters_are_listed_by_size(store: Store, study: Study) -> None:
    run_id = _run(store, study, "alerts")
    clusters = [
        {"cluster_id": 0, "size": 5, "size_ratio": 0.05, "alert": False, "example_beats": [1, 2]},
        {"cluster_id": 1, "size": 95, "size_ratio": 0.95, "alert": True, "example_beats": [3]},
    ]
    with writing(store.engine) as connection:
        add_alerts(connection, study.id, run_id, clusters)
        add_alerts(connection, study.id, run_id, [])
    assert [(row.cluster_id, row.alert) for row in store.alerts.all(run_id)] == [(1, True), (0, False)]


def test_what_is_not_json_is_made_so(store: Store, study: Study) -> None:
    values = {2: np.float32(0.5), "nan": float("nan"), "array": np.arange(3), "path": Path("a"), "text": "a\x00b"}
    assert store.studies.set(study.id, kept=values).settings["kept"] == {
        "2": 0.5,
        "nan": None,
        "array": [0, 1, 2],
        "path": "a",
        "text": "ab",
    }
    assert plain({1, 2}) == [1, 2]


def test_ids_sort_by_time() -> None:
    ids = [new_id() for _ in range(500)]
    assert len(set(ids)) == 500
    assert ids[0] <= ids[-1]


def test_a_database_that_does_not_answer_is_told_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"does not answer.*Nothing of this step was stored") as told:
        open_store("postgresql://someone:secret@127.0.0.1:1/review", tmp_path)
    assert "secret" not in str(told.value) and "127.0.0.1:1/review" in str(told.value)


def test_a_disk_that_fills_up_while_a_decision_is_stored_is_told(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'review.db'}", tmp_path)
    study = store.studies.create("Ward 3")
    with writing(store.engine) as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    event.listen(store.engine, "begin", lambda c: c.exec_driver_sql(f"PRAGMA max_page_count = {pages}"))
    many = [
        decide(study.id, "Dr Test", strip_target("ab" * 32), "note", "x" * 3000, id=f"decision-{number}")
        for number in range(200)
    ]
    with pytest.raises(StoreError, match=r"full.*Nothing of this step was stored"):
        store.decisions.add(many)
    assert store.decisions.listing(study.id) == []
    store.close()
