"""Models brought from elsewhere: entered whole, or nothing of them is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from ecg_engine.bundle import BUNDLE_FILE, load
from ecg_engine.config import PreprocessConfig, TrainConfig
from ecg_engine.datasets import training_data
from ecg_engine.errors import BundleError
from ecg_engine.preprocess import preprocess
from ecg_engine.simulate import simulate_strips
from ecg_engine.strips import read_strips
from ecg_engine.training import train
from state.db import connect, migrate
from state.errors import StoreError
from state.importing import import_bundle
from state.runs import TRAIN
from state.store import Store
from state.studies import Study


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained in a notebook, as one file."""
    folder = tmp_path_factory.mktemp("notebook")
    table = folder / "strips.csv"
    simulate_strips(n_per_label={0: 8, 2: 8}, n_patients=4, seed=5).strips.to_csv(table, index=False)
    run = preprocess(read_strips(table), PreprocessConfig())
    config = TrainConfig(epochs=1, batch_size=32, min_proto_size=20, min_proto_purity=0.5)
    train([training_data(run)], config, out_dir=folder)
    return folder / BUNDLE_FILE


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    engine = connect(f"sqlite:///{tmp_path / 'review.db'}")
    migrate(engine)
    store = Store(engine, tmp_path)
    yield store
    store.close()


@pytest.fixture
def study(store: Store) -> Study:
    return store.studies.create("Ward 3")


def nothing_kept(store: Store, study: Study) -> bool:
    runs = store.folder / "runs"
    left = list(runs.rglob("*")) if runs.exists() else []
    return not left and not store.models.all(study.id) and not store.runs.all(study.id, status=None)


def test_a_bundle_becomes_a_model_with_its_figures(store: Store, study: Study, bundle: Path) -> None:
    model = import_bundle(store, study.id, "ward 9, autumn.pt", bundle.read_bytes())
    assert model.name == "ward 9, autumn" and model.current, "the first of a study predicts"
    assert store.models.path(model).read_bytes() == bundle.read_bytes()
    assert model.metrics["patients_val"] == load(bundle).metrics["patients_val"]
    (run,) = store.runs.all(study.id, TRAIN)
    assert run.id == model.run_id and run.done
    assert run.config["imported"] == "ward 9, autumn.pt" and run.config["epochs"] == 1


def test_a_second_one_is_a_candidate(store: Store, study: Study, bundle: Path) -> None:
    first = import_bundle(store, study.id, "a.pt", bundle.read_bytes())
    second = import_bundle(store, study.id, "b.pt", bundle.read_bytes())
    assert [(model.name, model.status) for model in store.models.all(study.id)] == [
        ("b", "candidate"),
        ("a", "current"),
    ]
    assert store.models.path(first) != store.models.path(second)


@pytest.mark.parametrize("name", [".pt", "x" * 180 + " .pt", "a\tb.pt", "../../outside.pt", "dir/inside.pt"])
def test_any_file_name_gives_a_name_and_stays_in_the_data_folder(
    store: Store, study: Study, bundle: Path, name: str
) -> None:
    model = import_bundle(store, study.id, name, bundle.read_bytes())
    assert model.name.strip() == model.name != ""
    assert store.folder in store.models.path(model).resolve().parents
    assert store.models.rename(model.id, model.name).name == model.name, "a name that could be given by hand"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no model", b"half"])
def test_a_damaged_file_is_refused_by_name_and_nothing_is_kept(
    store: Store, study: Study, bundle: Path, content: bytes
) -> None:
    whole = bundle.read_bytes()
    with pytest.raises(BundleError, match=r"^bad\.pt .*damaged"):
        import_bundle(store, study.id, "bad.pt", whole[: len(whole) // 2] if content == b"half" else content)
    assert nothing_kept(store, study)


def test_a_full_disk_is_told_and_nothing_is_kept(
    store: Store, study: Study, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bundle.read_bytes()

    def full(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreError, match=r"^m\.pt could not be kept: the disk is full\. Free some space"):
        import_bundle(store, study.id, "m.pt", content)
    assert nothing_kept(store, study)


def test_a_database_that_refuses_leaves_no_file_and_no_run_behind(
    store: Store, study: Study, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise OperationalError("insert", {}, Exception("database or disk is full"))

    with monkeypatch.context() as patch:
        patch.setattr("state.importing.add_model", refuse)
        with pytest.raises(StoreError, match="Nothing of this step was stored"):
            import_bundle(store, study.id, "m.pt", bundle.read_bytes())
    assert nothing_kept(store, study)
    assert import_bundle(store, study.id, "m.pt", bundle.read_bytes()).current
