"""The house itself: which room may use which, how large a module grows, what pages leave to others."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

ROOMS = {"ecg_engine", "state", "components", "pages"}
MAY_USE = {
    "ecg_engine": {"ecg_engine"},
    "state": {"state", "ecg_engine"},
    "components": {"components", "state", "ecg_engine"},
    "pages": {"components", "state", "ecg_engine"},
}
MODULES = sorted(path for room in ROOMS for path in (REPOSITORY / room).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """First names of all that a module imports, wherever in the module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


def room(path: Path) -> str:
    return path.relative_to(REPOSITORY).parts[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_imports_run_one_way(path: Path) -> None:
    names = imported(path)
    assert names & ROOMS <= MAY_USE[room(path)], "pages -> components -> state -> ecg_engine"
    if room(path) == "ecg_engine":
        assert not names & {"streamlit", "sqlalchemy", "alembic", "psycopg", "sqlite3"}
    if room(path) == "pages":
        assert not names & {"sqlalchemy", "scipy", "torch", "neurokit2", "sklearn"}, "no signal code, no SQL on a page"
    if room(path) == "state" and path.name != "session.py":
        assert "streamlit" not in names, "only session.py knows Streamlit"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_module_stays_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400, "a module of one idea has some 350 lines at most: split it"


def test_no_path_of_somebodys_machine_is_kept() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    pattern = re.compile(r"(^|[^A-Za-z0-9_.])/(home|root|work|Users)/")
    found = []
    for name in tracked:
        path = REPOSITORY / name
        if path.suffix in {".py", ".md", ".toml", ".js", ".css", ".txt"} and path.name != "test_house.py":
            found += [f"{name}: {line.strip()}" for line in path.read_text().splitlines() if pattern.search(line)]
    assert not found


def test_requirements_are_pinned_and_explained() -> None:
    readme = (REPOSITORY / "README.md").read_text().lower()
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (REPOSITORY / name).read_text().splitlines():
            if line and not line.startswith(("#", "-r")):
                package, _, version = line.partition("==")
                assert version, f"{line}: pin it with =="
                assert package.split("[")[0].lower() in readme, f"{package}: give its reason in the README"
    assert "torch==2.13.0" in (REPOSITORY / "requirements.txt").read_text().splitlines()


PACKAGE = {"sklearn": "scikit-learn", "python_calamine": "python-calamine"}
"""Import name to package name, where they differ."""


def test_what_is_imported_is_required() -> None:
    """A package that only comes along with another one can be gone with its next release."""
    lines = (REPOSITORY / "requirements.txt").read_text().splitlines()
    required = {re.split(r"[\[=]", line)[0].lower() for line in lines if "==" in line}
    for path in MODULES:
        for name in imported(path) - ROOMS - set(sys.stdlib_module_names):
            assert PACKAGE.get(name, name) in required, f"{path.name} imports {name}: pin it in requirements.txt"


def test_the_app_keeps_to_itself() -> None:
    config = tomllib.loads((REPOSITORY / ".streamlit" / "config.toml").read_text())
    assert config["server"]["address"] == "127.0.0.1"
    assert config["server"]["headless"] is True
    assert config["server"]["enableXsrfProtection"] is True
    assert config["server"]["maxUploadSize"] == 300
    assert config["browser"]["gatherUsageStats"] is False
    assert config["client"]["showErrorDetails"] == "none"
    assert config["client"]["toolbarMode"] == "viewer"
    assert {"light", "dark"} <= config["theme"].keys()


def test_every_module_stands_in_the_architecture() -> None:
    text = (REPOSITORY / "docs" / "architecture.md").read_text()
    for path in MODULES:
        inner = path.relative_to(REPOSITORY).with_suffix("").parts[1:]
        if "migrations" not in inner and inner != ("__init__",):
            name = "/".join(inner).replace("/__init__", "/")
            assert f"- `{name}`:" in text, f"{path.name}: give it a line in docs/architecture.md"
