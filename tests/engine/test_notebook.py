"""A run in a notebook and as pictures: every helper works on a run and on its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecg_engine import notebook
from ecg_engine.alerts import find_patterns
from ecg_engine.conditioning import bandpass
from ecg_engine.config import PreprocessConfig
from ecg_engine.errors import ConfigError, InputError
from ecg_engine.figures import run_beat_figure, run_strip_figure, strip_frame, strip_units, strips_svg
from ecg_engine.pictures import draw_pattern_pictures, draw_run_pictures, draw_validation_pictures
from ecg_engine.preprocess import Run, preprocess
from ecg_engine.simulate import simulate_strips, write_xlsx
from ecg_engine.strips import read_strips
from ecg_engine.validation import validate_library


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    made = simulate_strips(n_per_label={0: 20, 2: 16, 5: 6, 8: 1, -1: 2}, n_patients=6, seed=11)
    path = write_xlsx(made, tmp_path_factory.mktemp("made") / "strips.xlsx")
    config = PreprocessConfig(n_global_clusters=8)
    return preprocess(read_strips(path, config), config)


def is_picture(path: Path) -> bool:
    return path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and path.stat().st_size > 4000


def test_templates_say_how_many_beats_are_behind_them(run: Run) -> None:
    figure = notebook.show_templates(run)
    usable = run.labels[run.noise_flags == 0]
    assert len(figure.data) == len(run.class_templates)
    assert f"N Normal ({np.count_nonzero(usable == 0):,})" in [one.name for one in figure.data]


def test_clusters_by_cluster_and_by_label(run: Run) -> None:
    by_cluster, by_label = notebook.show_clusters(run), notebook.show_clusters(run, by="label")
    assert {one.name for one in by_cluster.data} >= {"cluster 0", "noise"}
    assert "V PVC" in {one.name for one in by_label.data}
    assert sum(len(one.x) for one in by_label.data) == len(run.labels)
    with pytest.raises(ConfigError, match="cluster, label"):
        notebook.show_clusters(run, by="patient")


def test_top_prototypes_are_the_largest_with_mix_and_shape(run: Run) -> None:
    table = notebook.top_prototypes(run, 3)
    assert table["size"].tolist() == run.library["size"].head(3).tolist()
    assert table["samples"].eq(run.beat_len).all()
    assert table["shape"].str.len().eq(24).all() and table["shape"].str.contains("█").all()
    assert table["mix"].iloc[0].startswith(table["dominant_label_name"].iloc[0])
    assert (table["purity_all"] <= table["purity"] + 1e-9).all()


def test_prototypes_of_a_label_by_id_or_name(run: Run) -> None:
    ids = run.library.loc[run.library["dominant_label"] == 2, "prototype_id"].tolist()
    assert ids, "PVCs have prototypes of their own"
    assert len(notebook.plot_prototypes(run, "pvc").data) == len(ids) == len(notebook.plot_prototypes(run, 2).data)
    with pytest.raises(InputError, match="The labels are"):
        notebook.plot_prototypes(run, "extrasystole")


def test_one_prototype_with_its_members(run: Run) -> None:
    first = run.library.iloc[0]
    figure = notebook.show_prototype(run, int(first["prototype_id"]))
    assert f"{first['size']:,} members" in figure.layout.meta["alt"]
    with pytest.raises(ConfigError, match="no prototype 999"):
        notebook.show_prototype(run, 999)


def test_strips_are_drawn_raw_or_filtered_in_the_units_of_the_file(run: Run) -> None:
    row = int(run.metadata["source_row"].iloc[0])
    raw, filtered = strip_units(run, row), strip_units(run, row, filtered=True)
    assert run.strips is not None
    np.testing.assert_array_equal(raw, run.strips.wave(0))
    np.testing.assert_allclose(filtered, bandpass(raw, run.fs), atol=1e-3)
    figure = run_strip_figure(run, row, filtered=True)
    assert "0.5–45 Hz" in figure.layout.annotations[0].text
    marks = next(one for one in figure.data if one.name == "beats")
    assert list(marks.customdata) == run.metadata.loc[run.metadata["source_row"] == row, "beat_global_id"].tolist()
    with pytest.raises(InputError, match="row 999 gave no strip"):
        strip_units(run, 999)


def test_effective_labels_change_the_letters(run: Run) -> None:
    row = int(run.metadata["source_row"].iloc[0])
    beats = run.metadata[(run.metadata["source_row"] == row) & (run.metadata["noise_flag"] == 0)]
    labels = np.array(run.labels)
    labels[beats.index[0]] = 1
    marks = next(one for one in run_strip_figure(run, row, labels=labels).data if one.name == "beats")
    place = list(marks.customdata).index(beats["beat_global_id"].iloc[0])
    assert marks.text[place] == "S"


def test_a_beat_beside_its_template_and_three_prototypes(run: Run) -> None:
    beat = int(run.metadata.loc[(run.metadata["noise_flag"] == 0) & (run.labels == 2), "beat_global_id"].iloc[0])
    names = [one.name for one in run_beat_figure(run, beat).data]
    assert names[-3:] == ["template PVC", "this beat", "beat − template"] and len(names) == 6
    with pytest.raises(InputError, match=r"Its beats are 0 to"):
        run_beat_figure(run, 10**6)


def test_thumbnails_of_strips(run: Run) -> None:
    rows = run.metadata["source_row"].unique()[:3].tolist()
    svg = strips_svg([strip_frame(run, row) for row in rows], title="Three strips")
    assert svg.count("<g ") == 3


def test_pictures_of_a_run(run: Run, tmp_path: Path) -> None:
    written = draw_run_pictures(run, tmp_path)
    names = {path.name for path in written}
    assert names == {"class_templates.png", "global_clusters_pca2d.png", "prototype_gallery.png"}
    assert all(is_picture(path) for path in written)
    assert {path.name for path in tmp_path.iterdir()} == names, "no half-written file stays behind"


def test_pictures_of_a_validation(run: Run, tmp_path: Path) -> None:
    detail = validate_library(run.library).detail
    written = draw_validation_pictures(detail, run.prototype_waves, run.fs, tmp_path)
    labels = {f"prototype_gallery_label_{label}.png" for label in detail["dominant_label"].unique()}
    assert {path.name for path in written} == {"prototype_purity_vs_size.png", *labels}
    assert all(is_picture(path) for path in written)


def test_pictures_of_new_patterns(run: Run, tmp_path: Path) -> None:
    table = pd.DataFrame({"beat_global_id": run.metadata["beat_global_id"], "review_flag": 1})
    written = draw_pattern_pictures(find_patterns(table, run.features, run.beats), run.fs, tmp_path)
    assert [path.name for path in written] == ["new_pattern_pca2d.png", "new_pattern_centroids.png"]
    assert all(is_picture(path) for path in written)
    nothing = find_patterns(table.assign(review_flag=0), run.features, run.beats)
    assert all(path.stat().st_size > 1000 for path in draw_pattern_pictures(nothing, run.fs, tmp_path))
