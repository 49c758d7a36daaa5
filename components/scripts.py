"""The scripts of a component in one: what lies in ``components/js`` is joined, because a page asks for no second file.

A script is an ES module like any other: ``import { openChannel } from "./channel.js";`` and ``export const …``. Joined,
each module keeps its private names to itself, and stands before those that import it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent / "js"

_IMPORT = re.compile(r"^import\s*\{([^}]*)\}\s*from\s*[\"']\./([a-z_0-9]+)\.js[\"'];?[ \t]*\n", re.MULTILINE)
_EXPORT = re.compile(r"^export\s+(?=(?:async\s+)?(?:const|let|function\*?|class)\s+([A-Za-z_$][\w$]*))", re.MULTILINE)
_DEFAULT = re.compile(r"^export\s+default\b", re.MULTILINE)


def script(name: str) -> str:
    """The text of a component's script with all that it imports, ready for ``st.components.v2.component(js=…)``.

    Parameters
    ----------
    name : str
        Of a file in ``components/js``, without ``.js``; it ends in the component's ``export default``.

    Raises
    ------
    ValueError
        If modules import each other in a circle, a module imports what another does not export, or two modules export
        the same name.
    """
    return _joined(name, _changed())


def style(name: str) -> str:
    """The style sheet of a component, from ``components/js``."""
    return (FOLDER / f"{name}.css").read_text(encoding="utf-8")


def _changed() -> tuple[tuple[str, int], ...]:
    """What the joined text goes by: a script that is edited is read again."""
    return tuple(sorted((path.name, path.stat().st_mtime_ns) for path in FOLDER.glob("*.js")))


@lru_cache(maxsize=32)
def _joined(name: str, changed: tuple[tuple[str, int], ...]) -> str:
    order: list[str] = []
    texts: dict[str, str] = {}
    _visit(name, (), order, texts)
    owner: dict[str, str] = {}
    parts = []
    for module in order:
        body = _IMPORT.sub("", texts[module])
        names = _EXPORT.findall(body)
        for export in names:
            if owner.setdefault(export, module) != module:
                raise ValueError(f"{owner[export]}.js and {module}.js both export {export}")
        for wanted, source in _imports(texts[module]):
            if owner.get(wanted) != source:
                raise ValueError(f"{module}.js imports {wanted}, which {source}.js does not export")
        body = _EXPORT.sub("", body)
        if module == name:
            parts.append(f"// {module}.js\n{body}")
        else:
            listed = ", ".join(names)
            parts.append(f"// {module}.js\nconst {{ {listed} }} = (() => {{\n{body}\nreturn {{ {listed} }};\n}})();\n")
    return "\n".join(parts)


def _imports(text: str) -> list[tuple[str, str]]:
    """Each imported name and the module that it comes from."""
    return [
        (wanted.strip(), module)
        for names, module in _IMPORT.findall(text)
        for wanted in names.split(",")
        if wanted.strip()
    ]


def _visit(name: str, above: tuple[str, ...], order: list[str], texts: dict[str, str]) -> None:
    if name in above:
        raise ValueError(f"scripts import each other: {' → '.join((*above, name))}")
    if name in texts:
        return
    texts[name] = (FOLDER / f"{name}.js").read_text(encoding="utf-8")
    for _, module in _imports(texts[name]):
        _visit(module, (*above, name), order, texts)
    if above and _DEFAULT.search(texts[name]):
        raise ValueError(f"{name}.js is a component of its own: it cannot be imported")
    order.append(name)
