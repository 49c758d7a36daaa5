"""Scripts of components are joined into one text that asks for no second file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from components import scripts

COMPONENTS = [path.stem for path in scripts.FOLDER.glob("*.js") if "export default" in path.read_text()]


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_is_one_text_with_one_way_in(name: str) -> None:
    text = scripts.script(name)
    assert "\n" in text, "Streamlit takes a text without a new line for a file"
    assert len(re.findall(r"^export default\b", text, re.MULTILINE)) == 1
    assert not re.search(r"^import\b", text, re.MULTILINE)
    assert len(re.findall(r"^export\b", text, re.MULTILINE)) == 1


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(scripts, "FOLDER", tmp_path)
    return tmp_path


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.js").write_text(text)


def test_modules_stand_before_those_that_import_them_and_keep_their_own_names(folder: Path) -> None:
    write(
        folder,
        base="const secret = 1;\nexport const one = () => secret;\n",
        other='import { one } from "./base.js";\nconst secret = 2;\nexport function two() { return one() + secret; }\n',
        top='import { two } from "./other.js";\nimport { one } from "./base.js";\nexport default () => one();\n',
    )
    text = scripts.script("top")
    assert text.index("const { one }") < text.index("const { two }") < text.index("export default")
    assert text.count("const { one }") == 1
    write(folder, base="export const one = () => 5;\n")
    assert "=> 5" in scripts.script("top"), "an edited script is read again"


def test_what_cannot_be_joined_is_named(folder: Path) -> None:
    write(
        folder,
        a='import { b } from "./b.js";\nexport const a = 1;\n',
        b='import { a } from "./a.js";\nexport const b = 1;\n',
        missing='import { nothing } from "./plain.js";\nexport default 1;\n',
        plain="export const one = 1;\n",
        twin="export const one = 2;\n",
        both='import { one } from "./plain.js";\nimport { one } from "./twin.js";\nexport default 1;\n',
        whole='import { x } from "./missing.js";\nexport default 1;\n',
    )
    for name, words in (
        ("a", "each other"),
        ("missing", "does not export"),
        ("both", "both export one"),
        ("whole", "component of its own|does not export"),
    ):
        with pytest.raises(ValueError, match=words):
            scripts.script(name)
