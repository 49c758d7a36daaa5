"""Keys to one's liking: what a reader changes holds on every page, for her alone, and can be taken back."""

from __future__ import annotations

import json

from streamlit.testing.v1 import AppTest

from components.keymap import ACTION_KEYS, ACTION_NAMES, LABEL_KEYS, STANDARD_KEYS
from ecg_engine.labels import label_id
from tests.pages.conftest import Opened

PVC, NORMAL = label_id("PVC"), label_id("Normal")


def labelling(opened: Opened, reader: str = "Dr Test") -> AppTest:
    return opened.page("prototypes", reader=reader)


def shortcut(app: AppTest, label: int) -> str:
    (button,) = [one for one in app.button if (one.key or "").endswith(f"_{label}") and one.label in LABELS[label]]
    return str(button.proto.shortcut)


LABELS = {PVC: ("PVC",), NORMAL: ("Normal",)}


def test_every_action_has_a_name_and_no_two_share_a_key() -> None:
    assert ACTION_NAMES.keys() == ACTION_KEYS.keys()
    assert len(set(STANDARD_KEYS.values())) == len(STANDARD_KEYS)
    assert not {"c", "r"} & set(STANDARD_KEYS.values())


def test_a_reader_has_her_own_keys_and_others_have_theirs(preprocessed: Opened) -> None:
    assert shortcut(labelling(preprocessed), PVC) == LABEL_KEYS[PVC]
    preprocessed.store.readers.set("Dr Test", keys={f"label:{PVC}": "7"})
    assert shortcut(labelling(preprocessed), PVC) == "7"
    assert shortcut(labelling(preprocessed, reader="Dr Other"), PVC) == LABEL_KEYS[PVC]


def test_what_is_kept_and_cannot_be_does_no_harm(preprocessed: Opened) -> None:
    preprocessed.store.readers.set("Dr Test", keys={f"label:{PVC}": "c", f"label:{NORMAL}": "u", "gone": "g"})
    app = labelling(preprocessed)
    assert (shortcut(app, PVC), shortcut(app, NORMAL)) == (LABEL_KEYS[PVC], LABEL_KEYS[NORMAL])


def asking(opened: Opened, name: str, key: str, swap: bool = False) -> AppTest:
    """The panel after somebody pressed a key on it."""

    def panel(name: str, key: str, swap: bool) -> None:
        import streamlit as st

        from components.own_keys import set_key
        from state import session

        session.begin()
        set_key(name, key, swap=swap)
        st.write(st.session_state["own_keys_said"]["text"])

    app = AppTest.from_function(panel, args=(name, key, swap))
    app.query_params.update({"study": opened.study.id, "reader": "Dr Test"})
    app.run()
    assert not app.exception
    return app


def test_a_clash_is_told_by_name_and_changes_nothing(preprocessed: Opened) -> None:
    app = asking(preprocessed, f"label:{NORMAL}", LABEL_KEYS[PVC])
    assert app.markdown[0].value == "V is the key of PVC already."
    assert preprocessed.store.readers.settings("Dr Test").get("keys", {}) == {}
    asking(preprocessed, f"label:{NORMAL}", LABEL_KEYS[PVC], swap=True)
    kept = preprocessed.store.readers.settings("Dr Test")["keys"]
    assert kept == {f"label:{NORMAL}": "v", f"label:{PVC}": "n"}


def test_the_way_back_to_the_keys_as_they_come(preprocessed: Opened) -> None:
    preprocessed.store.readers.set("Dr Test", keys={f"label:{PVC}": "7"}, other="stays")
    app = labelling(preprocessed)
    app.button(key="change_keys").click().run()
    app.button(key="own_keys_reset").click().run()
    assert preprocessed.store.readers.settings("Dr Test") == {"keys": {}, "other": "stays"}
    assert shortcut(labelling(preprocessed), PVC) == LABEL_KEYS[PVC]


def test_the_list_of_keys_shows_what_the_keys_do(preprocessed: Opened) -> None:
    def listed() -> None:
        import streamlit as st

        from components.keymap import keys_shown
        from components.strip_reader import KEYS
        from state import session

        session.begin()
        st.write({what: key for key, what in keys_shown(KEYS)})

    preprocessed.store.readers.set("Dr Test", keys={f"label:{PVC}": "7", "action:undo": "z", "label:8": "9"})
    app = AppTest.from_function(listed)
    app.query_params.update({"study": preprocessed.study.id, "reader": "Dr Test"})
    app.run()
    shown = json.loads(app.json[0].value)
    assert (shown["PVC"], shown["Undo your last step"], shown["VFib"], shown["Normal"]) == ("7", "z", "9", "n")
    assert shown["Next beat"] == "Right"
