"""Full disclosure on the Strips page: whose strips are shown, and the way to another patient and into a strip."""

from __future__ import annotations

import numpy as np
from streamlit.testing.v1 import AppTest

from components.strips_views import DISCLOSURE, VIEW
from tests.pages.conftest import Opened
from tests.pages.test_app import address
from tests.pages.test_prototypes import run_of


def disclosed(opened: Opened, **address: object) -> AppTest:
    app = opened.page("strips", **address)
    app.session_state[VIEW] = DISCLOSURE
    app.run()
    assert not app.exception, [error.value for error in app.exception]
    return app


def picker(app: AppTest) -> AppTest:
    (box,) = [one for one in app.selectbox if one.label == "Patient"]
    return box


def test_the_patient_of_the_strip_in_hand_is_shown_and_another_can_be_picked(preprocessed: Opened) -> None:
    run = run_of(preprocessed)[1]
    assert run.strips is not None
    patients = np.array([str(one) for one in run.strips.patient_id])
    place = 5
    app = disclosed(preprocessed, strip=int(run.strips.source_row[place]))
    assert picker(app).value == patients[place]
    assert [option.split(" (")[0].removeprefix("Patient ") for option in picker(app).options] == sorted(
        set(patients), key=int
    )
    other = next(one for one in patients if one != patients[place])
    picker(app).select(other).run()
    first = int(run.strips.source_row[np.flatnonzero(patients == other)[0]])
    assert address(app, "strip") == str(first) and picker(app).value == other
    assert app.session_state[VIEW] == DISCLOSURE, "another patient's strips, not yet one to read"
