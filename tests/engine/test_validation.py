"""Prototype validation: the golden tables, and what makes a prototype suspicious."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecg_engine.config import ValidateConfig
from ecg_engine.errors import InputError
from ecg_engine.validation import parse_mix, purity_of_all, save_validation, validate_library


def library(*rows: tuple[int, int, int, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["prototype_id", "size", "dominant_label", "label_mix_top3"])


@pytest.mark.golden
def test_golden_validation_tables(reference_folder: Path) -> None:
    golden = reference_folder / "prototype_validation"
    result = validate_library(pd.read_csv(reference_folder / "preprocess" / "prototype_library.csv"))
    for name, table in {"detail": result.detail, "by_label": result.by_label, "suspicious": result.suspicious}.items():
        file = "prototype_suspicious.csv" if name == "suspicious" else f"prototype_validation_{name}.csv"
        want = pd.read_csv(golden / file)
        assert list(table.columns[: len(want.columns)]) == list(want.columns)
        pd.testing.assert_frame_equal(table[want.columns], want, check_dtype=False, atol=1e-9)
    assert result.summary == json.loads((golden / "prototype_validation_summary.json").read_text())


@pytest.mark.golden
def test_purity_over_all_members_is_never_above_the_top_three_one(reference_folder: Path) -> None:
    folder = reference_folder / "preprocess"
    labels, clusters = np.load(folder / "labels.npy"), np.load(folder / "global_cluster_ids.npy")
    detail = validate_library(pd.read_csv(folder / "prototype_library.csv"), labels=labels, cluster_ids=clusters).detail
    assert (detail["purity_all"] <= detail["purity"] + 1e-12).all()
    assert (detail["purity_all"] < detail["purity"]).any()
    row = detail.iloc[0]
    members = labels[clusters == row["prototype_id"]]
    assert row["purity_all"] == pytest.approx((members == row["dominant_label"]).mean())


def test_reasons_are_words() -> None:
    table = library((0, 500, 0, "0:400;1:10"), (1, 20, 1, "1:20"), (2, 90, 0, "0:40;-1:30;2:20"), (3, 200, -999, ""))
    detail = validate_library(table).detail.set_index("prototype_id")
    assert detail["reasons"].to_dict() == {0: "", 1: "small", 2: "mixed;noisy", 3: "unlabelled"}
    assert detail["suspicious"].to_dict() == {0: False, 1: True, 2: True, 3: True}
    assert detail.loc[3, "dominant_label_name"] == "Unlabelled"


def test_limits_themselves_are_not_suspicious() -> None:
    config = ValidateConfig(min_size=80, min_purity=0.7, max_noise_ratio=0.2)
    assert not validate_library(library((0, 80, 0, "0:70;1:10;-1:20")), config).detail["suspicious"].any()


def test_judging_a_judged_table_again_changes_nothing() -> None:
    table = library((0, 500, 0, "0:400;1:10"), (1, 20, 1, "1:20"))
    once = validate_library(table).detail
    pd.testing.assert_frame_equal(validate_library(once).detail, once)


def test_an_empty_library_gives_empty_tables() -> None:
    result = validate_library(library())
    assert len(result.detail) == len(result.by_label) == len(result.suspicious) == 0
    assert result.summary["num_prototypes"] == 0 and result.summary["labels_seen"] == []


def test_unlabelled_members_do_not_count_in_purity() -> None:
    labels, clusters = np.array([0, 0, -999, -999, 1]), np.array([3, 3, 3, 4, 3])
    assert purity_of_all([3, 4, 5], labels, clusters).tolist() == [pytest.approx(2 / 3), 0.0, 0.0]


@pytest.mark.parametrize("mix", ["0;1:3", "normal:3", "0:many"])
def test_an_unreadable_mix_is_named(mix: str) -> None:
    with pytest.raises(InputError, match="label mix"):
        parse_mix(mix)


def test_blank_mixes_read_from_a_file_are_empty() -> None:
    assert parse_mix(float("nan")) == parse_mix("") == parse_mix(None) == {}


def test_missing_columns_are_named() -> None:
    with pytest.raises(InputError, match="label_mix_top3"):
        validate_library(library((0, 1, 0, "")).drop(columns="label_mix_top3"))


def test_saved_tables_read_back(tmp_path: Path) -> None:
    result = validate_library(library((0, 500, 0, "0:400;1:10"), (3, 200, -999, "")))
    save_validation(result, tmp_path)
    detail = pd.read_csv(tmp_path / "prototype_validation_detail.csv", keep_default_na=False)
    pd.testing.assert_frame_equal(detail, result.detail, check_dtype=False)
    assert json.loads((tmp_path / "prototype_validation_summary.json").read_text()) == result.summary
    again = validate_library(pd.read_csv(tmp_path / "prototype_validation_detail.csv"))
    pd.testing.assert_frame_equal(again.detail, result.detail, check_dtype=False)
    assert len(pd.read_csv(tmp_path / "prototype_suspicious.csv")) == 1
    assert len(pd.read_csv(tmp_path / "prototype_validation_by_label.csv")) == 2
