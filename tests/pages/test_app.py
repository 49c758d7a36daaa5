"""The door: every page opens in every state of a study, and study, reader and selection stay in the address."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import REPOSITORY
from tests.pages.conftest import Opened

PAGES = sorted(path.stem for path in (REPOSITORY / "pages").glob("*.py"))


def texts(app: AppTest) -> str:
    """Everything that is written on the page."""
    kinds = (app.markdown, app.caption, app.title, app.subheader, app.info, app.warning, app.error, app.success)
    return "\n".join(str(one.value) for kind in kinds for one in kind)


@pytest.mark.parametrize("name", PAGES)
def test_every_page_says_what_to_do_in_a_new_study(empty: Opened, name: str) -> None:
    app = empty.page(name)
    assert not app.error
    labels = [one.label for one in app.button]
    leads = any(label.startswith("Go to") for label in labels) or name in ("upload", "history")
    assert leads, f"{name} shows {labels} and does not lead on"
    assert "A clinician confirms every finding" in texts(app)


@pytest.mark.parametrize("name", PAGES)
def test_every_page_opens_on_a_whole_study(trained: Opened, name: str) -> None:
    app = trained.page(name)
    assert not app.error, [one.value for one in app.error]
    assert not re.search(r"Traceback|\bNaN\b|\bnan\b|\bNone\b(?! yet)", texts(app)), f"{name} speaks as programmers do"


@pytest.mark.parametrize("name", PAGES)
def test_every_page_opens_without_any_study(with_files: Opened, name: str) -> None:
    with_files.store.studies.archive(with_files.study.id)
    app = with_files.page(name)
    assert not app.error
    assert with_files.store.studies.all() == []


def address(app: AppTest, name: str) -> str | None:
    value = app.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def test_the_address_holds_study_and_reader_and_a_reload_comes_back(with_files: Opened) -> None:
    other = with_files.store.studies.create("Ward 9")
    app = with_files.page("upload")
    (box,) = [one for one in app.sidebar.selectbox if one.label == "Study"]
    assert box.value == with_files.study.id
    box.select(other.id)
    app.run()
    assert address(app, "study") == other.id
    (named,) = [one for one in app.sidebar.text_input if one.label == "Reader"]
    named.set_value("Dr Two")
    app.run()
    assert address(app, "reader") == "Dr Two"

    again = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=60)
    again.query_params.update({"study": address(app, "study"), "reader": "Dr Two"})
    again.run()
    assert [one.value for one in again.sidebar.selectbox if one.label == "Study"] == [other.id]
    assert [one.value for one in again.sidebar.text_input if one.label == "Reader"] == ["Dr Two"]


def test_another_study_drops_the_selection_within_the_one_before(preprocessed: Opened) -> None:
    other = preprocessed.store.studies.create("Ward 9")
    app = preprocessed.page("upload", strip=5, beat=7)
    assert address(app, "strip") == "5"
    (box,) = [one for one in app.sidebar.selectbox if one.label == "Study"]
    box.select(other.id)
    app.run()
    assert "strip" not in app.query_params and "beat" not in app.query_params


def test_an_address_of_no_study_falls_back_to_one_that_is_there(with_files: Opened) -> None:
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=60)
    app.query_params.update({"study": "nonsense", "run": "nonsense", "strip": "not a number"})
    app.run()
    assert not app.exception
    assert address(app, "study") == with_files.study.id


def test_a_study_is_made_renamed_put_away_and_brought_back(with_files: Opened) -> None:
    store = with_files.store
    app = with_files.page("upload")
    (name,) = [one for one in app.text_input if one.label == "New study"]
    name.set_value("Ward 9")
    next(one for one in app.get("form_submit_button") if one.label == "Make the study").click()
    app.run()
    made = next(study for study in store.studies.all() if study.name == "Ward 9")
    assert address(app, "study") == made.id
    next(one for one in app.button if one.label == "Put this study away").click()
    app.run()
    assert store.studies.get(made.id).archived
    next(one for one in app.button if one.label == "Bring back Ward 9").click()
    app.run()
    assert not store.studies.get(made.id).archived


def test_no_page_reaches_past_the_state() -> None:
    for path in (REPOSITORY / "pages").glob("*.py"):
        assert len(Path(path).read_text().splitlines()) <= 300, f"{path.name} is not thin any more"
