"""Settings of a stage as fields with plain words: what each means, what it is now, what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import streamlit as st

from ecg_engine.config import Config
from ecg_engine.errors import ConfigError

C = TypeVar("C", bound=Config)


@dataclass(frozen=True)
class Setting:
    """One field.

    ``scale`` turns the engine's unit into the shown one (1000: s into ms). ``choices`` maps values to words.
    """

    name: str
    label: str
    help: str = ""
    step: float = 1
    scale: float = 1
    choices: Mapping[Any, str] | None = None

    @property
    def words(self) -> str:
        """Its label as it stands in a sentence."""
        return f"“{self.label}”"


@dataclass(frozen=True)
class Group:
    """Settings under one heading; the folded ones are for who knows why."""

    title: str
    settings: Sequence[Setting]


def draw(groups: Sequence[Group], values: Mapping[str, Any], key: str, *, columns: int = 3) -> dict[str, Any]:
    """Draw fields and return what stands in them, in the engine's units.

    Parameters
    ----------
    values : mapping
        What stands in a field until a person changes it.
    key : str
        Of the widgets; what was typed stays under it while the session lasts.
    """
    asked: dict[str, Any] = {}
    for group in groups:
        if group.title:
            st.markdown(f"**{group.title}**")
        cells: list[Any] = []
        for setting in group.settings:
            if not cells:
                cells = list(st.columns(columns))
            asked[setting.name] = _field(cells.pop(0), setting, values[setting.name], f"{key}_{setting.name}")
    return asked


def _field(place: Any, setting: Setting, value: Any, key: str) -> Any:
    more = {"key": key, "help": setting.help or None, "persist_state": "session"}
    if setting.choices is not None:
        options = list(setting.choices)
        names = dict(setting.choices)
        start = options.index(value) if value in options else 0
        return place.selectbox(setting.label, options, index=start, format_func=lambda v: names[v], **more)
    if isinstance(value, bool):
        return place.toggle(setting.label, value=value, **more)
    if isinstance(value, int):
        return place.number_input(setting.label, value=value, step=int(setting.step), **more)
    shown = place.number_input(
        setting.label, value=float(value) * setting.scale, step=float(setting.step), format=_format(setting), **more
    )
    # Without the rounding, 250 ms would come back as 0.25000000000000006 s.
    return None if shown is None else round(shown / setting.scale, 12)


def _format(setting: Setting) -> str:
    digits = len(f"{setting.step:.6f}".rstrip("0").partition(".")[2])
    return f"%.{digits}f"


def made(kind: type[C], values: Mapping[str, Any], groups: Sequence[Group]) -> C | None:
    """The config of these values; if they are impossible, the reason is shown and None returned."""
    empty = [
        s.words for group in groups for s in group.settings if values.get(s.name) is None and s.name in _filled(kind)
    ]
    if empty:
        st.error(f"{empty[0]} is empty; it needs a value.", icon=":material/error:")
        return None
    try:
        return kind.from_dict(values)
    except ConfigError as error:
        st.error(in_words(str(error), groups), icon=":material/error:")
        return None


def _filled(kind: type[Config]) -> set[str]:
    """Settings that are never empty: those with a default that is not."""
    return {name for name, value in kind().to_dict().items() if value is not None}


def in_words(sentence: str, groups: Sequence[Group]) -> str:
    """A config's sentence with the names on the screen in place of the engine's."""
    for setting in (setting for group in groups for setting in group.settings):
        sentence = re.sub(rf"\b{setting.name}\b", setting.words, sentence)
    return sentence


def changed(config: Config, groups: Sequence[Group]) -> list[str]:
    """The settings that are not the default, in words."""
    plain = type(config)()
    labels = {setting.name: setting for group in groups for setting in group.settings}
    different = []
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name in labels and value != getattr(plain, field.name):
            setting = labels[field.name]
            shown = f"{value * setting.scale:g}" if isinstance(value, float) else str(value)
            different.append(f"{setting.label} {shown}")
    return different
