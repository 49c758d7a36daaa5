"""The shell: options that follow the configs, the whole road on made-up strips, and one clear line for bad input."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecg_engine import __version__, cli_commands
from ecg_engine.cli import BANK_SETTINGS, MINING_SETTINGS, build_parser, main
from ecg_engine.cli_options import HELP, config_of, parse_columns
from ecg_engine.config import AlertConfig, Config, PredictConfig, PreprocessConfig, TrainConfig, ValidateConfig
from ecg_engine.errors import Cancelled, ConfigError
from ecg_engine.loading import load_run
from tests.conftest import REPOSITORY

CONFIGS: dict[str, type[Config]] = {
    "preprocess --input a --output_dir b": PreprocessConfig,
    "train --data_dirs a b --out_dir c": TrainConfig,
    "predict --model_ckpt a --preprocessed_dir b --out_dir c": PredictConfig,
    "validate-prototypes --input_dir a --out_dir b": ValidateConfig,
    "alerts --predictions_csv a --preprocessed_dir b --out_dir c": AlertConfig,
}


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up strips taken all the way: run/, model/, pred/."""
    folder = tmp_path_factory.mktemp("road")
    simulate = ["--n_per_label", "9", "--n_patients", "6", "--labels", "0", "2", "-1"]
    assert main(["simulate", "--output", f"{folder}/strips.xlsx", "--beats_csv", f"{folder}/beats.csv", *simulate]) == 0
    run = ["--input", f"{folder}/strips.xlsx", "--output_dir", f"{folder}/run", "--n_global_clusters", "5"]
    assert main(["preprocess", *run, "--no_pictures", "--quiet"]) == 0
    train = ["--data_dirs", f"{folder}/run", "--out_dir", f"{folder}/model", "--epochs", "1", "--min_proto_size", "10"]
    assert main(["train", *train, "--quiet"]) == 0
    pred = ["--model_ckpt", f"{folder}/model/model_bundle.pt", "--preprocessed_dir", f"{folder}/run"]
    assert main(["predict", *pred, "--out_dir", f"{folder}/pred", "--quiet"]) == 0
    return folder


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a refused command writes."""
    capsys.readouterr()
    try:
        code = main([*arguments])
    except SystemExit as leave:  # the parser's own way out
        code = leave.code if isinstance(leave.code, int) else 1
    out, err = capsys.readouterr()
    assert code == 2 and out == ""
    assert err.endswith("\n") and err.count("\n") == 1, err
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize("words", CONFIGS)
def test_every_setting_is_an_option_with_help_and_its_default(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    config = CONFIGS[words]
    assert config_of(build_parser().parse_args(words.split()), config) == config()
    with pytest.raises(SystemExit) as leave:
        main([words.split()[0], "--help"])
    assert leave.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for field in fields(config):
        assert f"--{field.name} " in text
        shown = {None: "none", "": "the profile's first"}.get(field.default, field.default)
        assert f"(default: {shown})" in text or config is PredictConfig
        assert HELP[field.name]


def test_settings_that_are_given_arrive_in_their_type() -> None:
    words = "train --data_dirs a b --out_dir c --epochs 3 --lr 0.01 --use_class_weights no --split beat --model context"
    args = build_parser().parse_args(words.split())
    assert args.data_dirs == ["a", "b"]
    config = config_of(args, TrainConfig)
    assert config == TrainConfig(epochs=3, lr=0.01, use_class_weights=False, split="beat", model="context")
    for words in ("--use_class_weights", "--use_class_weights true"):
        args = build_parser().parse_args(f"train --data_dirs a --out_dir b {words}".split())
        assert config_of(args, TrainConfig).use_class_weights
    args = build_parser().parse_args(["train", "--data_dirs", "a", "--out_dir", "b", "--no_use_class_weights"])
    assert not config_of(args, TrainConfig).use_class_weights
    args = build_parser().parse_args(["preprocess", "--input", "a", "--output_dir", "b", "--fs", "360"])
    assert config_of(args, PreprocessConfig).fs == 360.0
    known = {field.name for config in (TrainConfig, PreprocessConfig) for field in fields(config)}
    assert known >= {*BANK_SETTINGS, *MINING_SETTINGS}


def test_columns_are_named_by_key() -> None:
    found = parse_columns("wave=My Signal, label=Diagnosis")
    assert found is not None and found._asdict() == {"wave": "My Signal", "label": "Diagnosis", "patient": None}
    assert parse_columns(None) is None
    for bad in ("signal=x", "wave", "wave="):
        with pytest.raises(ConfigError, match="keys: wave, label, patient"):
            parse_columns(bad)


def test_the_road_leaves_the_artefacts_of_the_spec(road: Path) -> None:
    def names(part: str) -> set[str]:
        return {path.name for path in (road / part).iterdir()}

    assert names("run") >= {"beat_metadata.csv", "beats.npy", "features.npy", "prototype_library.csv", "summary.json"}
    assert names("model") >= {"best_hybrid_v2.pt", "training_summary_v2.json", "model_bundle.pt"}
    assert names("pred") == {"beat_predictions_v2.csv", "strip_predictions_v2.csv", "prediction_summary_v2.json"}
    beats = pd.read_csv(road / "beats.csv")
    assert list(beats.columns) == ["source_row", "sample", "symbol", "aami"]
    assert len(pd.read_csv(road / "pred" / "beat_predictions_v2.csv")) == len(load_run(road / "run").metadata)


def test_thresholds_given_win_over_those_of_the_model(road: Path, tmp_path: Path) -> None:
    words = ["predict", "--model_ckpt", f"{road}/model/model_bundle.pt", "--preprocessed_dir", f"{road}/run"]
    main([*words, "--out_dir", str(tmp_path), "--min_class_conf", "0", "--quiet"])
    summary = json.loads((tmp_path / "prediction_summary_v2.json").read_text())
    assert summary["thresholds"] == PredictConfig(min_class_conf=0.0).to_dict()


def test_an_old_state_dict_predicts_what_its_bundle_predicts(road: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    for name in ("best_hybrid_v2.pt", "training_summary_v2.json"):
        shutil.copy(road / "model" / name, alone)
    words = ["predict", "--model_ckpt", f"{alone}/best_hybrid_v2.pt", "--preprocessed_dir", f"{road}/run"]
    bank = ["--prototype_dir", f"{road}/run", "--min_proto_size", "10"]
    assert main([*words, *bank, "--out_dir", str(tmp_path), "--quiet"]) == 0
    old, new = (pd.read_csv(where / "beat_predictions_v2.csv") for where in (tmp_path, road / "pred"))
    assert old["beat_global_id"].tolist() == new["beat_global_id"].tolist()
    # The old way takes the bank from all patients, the bundle from those that it was trained on.
    assert (old["pred_label_raw"] == new["pred_label_raw"])[new["pred_label_raw"].notna()].mean() > 0.8


@pytest.mark.parametrize("name", ["model_bundle.pt", "best_hybrid_v2.pt"])
def test_a_model_predicts_with_the_prototypes_of_its_own_bundle(
    road: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    words = ["predict", "--model_ckpt", f"{road}/model/{name}", "--preprocessed_dir", f"{road}/run"]
    others = ["--prototype_dir", f"{road}/run", "--min_proto_size", "5"]
    assert main([*words, *others, "--out_dir", str(tmp_path), "--quiet"]) == 0
    assert "--min_proto_size, --prototype_dir not used" in capsys.readouterr().err
    ours, own = (pd.read_csv(where / "beat_predictions_v2.csv") for where in (tmp_path, road / "pred"))
    pd.testing.assert_frame_equal(ours, own)


def test_alerts_validation_mining_and_inspection(
    road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(road / "pred" / "beat_predictions_v2.csv")
    table["review_flag"] = (table["noise_flag"] == 0).astype(int)
    table.sample(frac=1, random_state=0).to_csv(tmp_path / "p.csv", index=False)
    alerts = ["alerts", "--predictions_csv", f"{tmp_path}/p.csv", "--preprocessed_dir", f"{road}/run"]
    assert main([*alerts, "--out_dir", f"{tmp_path}/alerts", "--min_alert_size", "20"]) == 0
    summary = json.loads((tmp_path / "alerts" / "new_pattern_summary.json").read_text())
    assert summary["unknown_count"] == int(table["review_flag"].sum())
    assert (tmp_path / "alerts" / "new_pattern_pca2d.png").exists()

    assert main(["validate-prototypes", "--input_dir", f"{road}/run", "--out_dir", f"{tmp_path}/val"]) == 0
    assert "purity_all" in pd.read_csv(tmp_path / "val" / "prototype_validation_detail.csv").columns
    assert (tmp_path / "val" / "prototype_purity_vs_size.png").exists()

    usable = table.loc[table["noise_flag"] == 0, "beat_global_id"].iloc[:1].tolist()
    pd.DataFrame({"beat_global_id": [*usable, 10**7], "label_name": ["PVC", "PVC"]}).to_csv(tmp_path / "s.csv")
    capsys.readouterr()
    mine = [
        "mine",
        "--preprocessed_dir",
        f"{road}/run",
        "--seed_csv",
        f"{tmp_path}/s.csv",
        "--out_dir",
        f"{tmp_path}/m",
    ]
    assert main([*mine, "--top_k_candidates", "7"]) == 0
    assert "seed 2 was not used" in capsys.readouterr().err
    mined = pd.read_csv(tmp_path / "m" / "seed_mined_candidates.csv")
    assert len(mined) == 7 and usable[0] not in mined["candidate_beat_global_id"].tolist()

    assert main(["inspect", f"{road}/run"]) == 0
    assert "27 rows" in capsys.readouterr().out
    assert main(["inspect", f"{road}/model/model_bundle.pt"]) == 0
    assert "0 Normal, 2 PVC" in capsys.readouterr().out
    assert main(["inspect", f"{road}/strips.xlsx"]) == 0
    assert "Normal 9" in capsys.readouterr().out


@pytest.mark.golden
def test_folders_of_the_old_scripts_can_be_inspected_and_validated(
    reference_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", f"{reference_folder}/preprocess"]) == 0
    assert "2,321 beats of 170 samples" in capsys.readouterr().out
    words = ["validate-prototypes", "--input_dir", f"{reference_folder}/preprocess", "--out_dir", str(tmp_path)]
    assert main([*words, "--no_pictures"]) == 0
    mine = pd.read_csv(tmp_path / "prototype_validation_detail.csv")
    golden = pd.read_csv(reference_folder / "prototype_validation" / "prototype_validation_detail.csv")
    pd.testing.assert_frame_equal(mine[golden.columns], golden, atol=1e-6)
    alerts = ["--predictions_csv", f"{reference_folder}/alerts_input_predictions.csv"]
    words = ["alerts", *alerts, "--preprocessed_dir", f"{reference_folder}/preprocess", "--out_dir", str(tmp_path)]
    assert main([*words, "--no_pictures"]) == 0
    same = ["size", "size_ratio", "example_beat_ids", "alert_flag"]
    want = pd.read_csv(reference_folder / "alerts" / "new_pattern_clusters.csv")[same]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "new_pattern_clusters.csv")[same], want)


def test_bad_input_is_one_line_and_exit_code_2(road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "notes.xlsx"
    text.write_text("this is no spreadsheet")
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    weights = shutil.copytree(road / "model", tmp_path / "weights", ignore=lambda *_: ["model_bundle.pt"])
    out = str(tmp_path / "out")
    run = ["--preprocessed_dir", f"{road}/run", "--out_dir", out]
    preprocess = ["preprocess", "--output_dir", out, "--quiet", "--input"]
    cases = {
        "nowhere.xlsx": [*preprocess, str(tmp_path / "nowhere.xlsx")],
        "notes.xlsx": [*preprocess, str(text)],
        "low_hz is 50.0": [*preprocess, f"{road}/strips.xlsx", "--low_hz", "50"],
        "invalid int value: 'many'": ["train", "--data_dirs", out, "--out_dir", out, "--epochs", "many"],
        "epochs is 0": ["train", "--data_dirs", f"{road}/run", "--out_dir", out, "--epochs", "0"],
        "no complete preprocessing run": ["train", "--data_dirs", str(tmp_path), "--out_dir", out],
        "--device is 'abacus'": ["train", "--data_dirs", f"{road}/run", "--out_dir", out, "--device", "abacus"],
        "damaged": ["predict", "--model_ckpt", str(text), *run],
        "No such file": ["predict", "--model_ckpt", str(tmp_path / "no.pt"), *run],
        "expects": ["predict", "--model_ckpt", f"{weights}/best_hybrid_v2.pt", *run],
        "min_class_conf is 2.0": ["predict", "--model_ckpt", str(text), "--min_class_conf", "2", *run],
        "are empty": ["alerts", "--predictions_csv", str(empty), *run],
        "lack the column": ["alerts", "--predictions_csv", f"{road}/beats.csv", *run],
        "no column 'beat_global_id'": ["mine", "--seed_csv", f"{road}/beats.csv", *run],
        "no such file or folder": ["inspect", str(tmp_path / "nothing")],
        "label 77": ["simulate", "--output", out, "--labels", "77"],
        "--columns holds": [*preprocess, f"{road}/strips.xlsx", "--columns", "signal=x"],
        "required: --out_dir": ["train", "--data_dirs", out],
        "unrecognized arguments: --epoch": ["train", "--data_dirs", out, "--out_dir", out, "--epoch", "3"],
        "invalid choice: 'paint'": ["paint"],
    }
    for words, arguments in cases.items():
        line = refused(capsys, *arguments)
        assert words in line, f"{arguments}: {line}"
    assert not (tmp_path / "out").exists(), "nothing was written for a refused command"


def test_a_place_that_cannot_be_written_is_one_line(
    road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    words = ["validate-prototypes", "--input_dir", f"{road}/run", "--out_dir", f"{tmp_path}/file/val"]
    assert "file" in refused(capsys, *words)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Cancelled])
def test_stopping_is_exit_code_130(
    stop: type[BaseException], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(args: object) -> None:
        raise stop

    monkeypatch.setattr(cli_commands, "COMMANDS", {"inspect": stopped})
    assert main(["inspect", "anything"]) == 130
    assert capsys.readouterr().err.endswith("inspect: interrupted\n")


def test_as_a_program(road: Path, tmp_path: Path) -> None:
    """In a process of its own: version, a refusal, and Ctrl-C in the middle of the work."""
    program = [sys.executable, "-m", "ecg_engine"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*program, *words], capture_output=True, text=True, cwd=tmp_path, env=environment)

    assert run("--version").stdout == f"ecg_engine {__version__}\n"
    gone = run("inspect", "nothing.xlsx")
    assert (gone.returncode, gone.stdout, gone.stderr.count("\n")) == (2, "", 1)
    words = ["train", "--data_dirs", f"{road}/run", "--out_dir", "model", "--epochs", "10000"]
    with subprocess.Popen(
        [*program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment
    ) as work:
        until = time.monotonic() + 60
        while not (tmp_path / "model").exists() and time.monotonic() < until and work.poll() is None:
            time.sleep(0.05)
        work.send_signal(signal.SIGINT)
        _, err = work.communicate(timeout=60)
    assert work.returncode == 130 and "Traceback" not in err
    assert err.rstrip().endswith("train: interrupted")
    assert np.load(road / "run" / "beats.npy").size
