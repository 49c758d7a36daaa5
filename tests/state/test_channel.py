"""The channel, over real HTTP: who may speak, and what becomes of decisions."""

from __future__ import annotations

import http.client
import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from state.channel.intake import MAX_BYTES, MAX_DECISIONS
from state.channel.origins import check_origin
from state.channel.refusals import Refusal
from state.channel.tokens import MAX_AGE, SECRET_FILE, Pass, Tokens, secret
from state.channel.writer import Writer
from state.db import connect, writing
from state.deciding import decide
from state.errors import StoreError
from state.store import Store
from state.studies import Study
from state.targets import beat_target, prototype_target, strip_target
from tests.state.channel_for_tests import Page, Served, decision, serving

HASH = "ab" * 32
STRIP = strip_target(HASH)
BEAT = beat_target(HASH, 1234)


@pytest.fixture
def served(store: Store) -> Iterator[Served]:
    with serving(store) as served:
        yield served


@pytest.fixture
def page(served: Served, study: Study) -> Page:
    return served.page(study)


def kept(store: Store, study: Study) -> list[tuple[str, str, str | None, str | None]]:
    return [(made.target, made.field, made.old, made.new) for made in store.decisions.listing(study.id)]


# Who may speak


def test_a_page_of_the_app_may_speak(page: Page, store: Store, study: Study) -> None:
    made = decision(BEAT, reason="wide")
    answer = page.decide(made)
    assert answer.status == 200
    assert answer.json == {"acknowledged": [made["id"]], "refused": [], "version": store.decisions.version(study.id)}
    stored = store.decisions.get(made["id"])
    assert (stored.reader, stored.study_id, stored.target, stored.new, stored.reason) == (
        "Ada",
        study.id,
        BEAT,
        "PVC",
        "wide",
    )
    assert int(stored.at.timestamp() * 1e6) == pytest.approx(made["at"], abs=1)


FOREIGN = [
    ("https://evil.example", None),
    ("null", None),
    ("", None),
    ("http://localhost:{port}", None),  # another name for the same place is another origin
    ("https://127.0.0.1:{port}", None),
    ("http://127.0.0.1:1", None),
    ("http://127.0.0.1:{port}.evil.example", None),
    ("http://127.0.0.1:{port}@evil.example", None),
    ("http://evil.example:{port}", "evil.example:{port}"),  # a foreign name that points here
    ("http://10.0.0.7:{port}", "10.0.0.7:{port}"),
]


def test_foreign_origins_and_names_are_turned_away(served: Served, page: Page, study: Study) -> None:
    for origin, host in FOREIGN:
        page.origin, page.host = origin.format(port=served.port), host and host.format(port=served.port)
        for route in ("decisions", "items", "strips", "shapes", "leases"):
            answer = page.post(route, {"decisions": [decision(BEAT)]})
            assert (answer.status, answer.json["code"]) == (403, "origin"), (origin, host, route)
    assert kept(served.store, study) == []


def test_without_an_origin_nothing_is_answered(page: Page) -> None:
    answer = page.post("decisions", {"decisions": []}, Origin=None)
    assert (answer.status, answer.json["code"]) == (403, "origin")


def test_all_names_of_this_computer_are_its_own(served: Served, study: Study) -> None:
    for name in ("localhost", "127.0.0.1", "[::1]"):
        at = f"{name}:{served.port}"
        page = served.page(study, origin=f"http://{at}", host=at)
        assert page.decide(decision(BEAT)).status == 200, name


def test_the_configured_address_is_served(store: Store, study: Study) -> None:
    with serving(store, hosts=["ward.example"]) as served:
        for host, status in (("ward.example", 200), ("WARD.example.", 200), ("other.example", 403), ("10.0.0.7", 403)):
            page = served.page(study, origin=f"http://{host}", host=host)
            assert page.decide(decision(BEAT)).status == status, host


def test_with_all_addresses_served_only_numbers_are_known() -> None:
    check_origin("http://10.0.0.7:8501", "http", "10.0.0.7:8501", ["0.0.0.0"])
    check_origin("https://ward.example", "https", "ward.example:443", ["::", "ward.example"])
    for host in ("ward.example:8501", "0.0.0.0.example:8501"):
        with pytest.raises(Refusal):
            check_origin(f"http://{host}", "http", host, ["0.0.0.0"])


def test_tokens_missing_forged_or_old_are_turned_away(served: Served, page: Page, study: Study) -> None:
    good = page.token or ""
    old = Tokens(secret(served.store.folder), clock=lambda: time.time() - MAX_AGE - 2).make(study.id, "Ada", "s1")
    other_key = Tokens(b"x" * 32).make(study.id, "Ada", "s1")
    body, _, rest = good.partition(".")
    cases = {None: "token", "": "token", "x": "token", good[:-2]: "token", f"{body}A.{rest}": "token",
             other_key: "token", old: "stale"}  # fmt: skip
    for token, code in cases.items():
        page.token = token
        answer = page.decide(decision(BEAT))
        assert (answer.status, answer.json["code"]) == (403, code), token
    assert page.post("decisions", {"decisions": []}, Authorization=f"Basic {good}").json["code"] == "token"
    assert kept(served.store, study) == []


def test_a_token_is_good_for_a_day() -> None:
    clock = [1_000_000.0]
    tokens = Tokens(b"k" * 32, clock=lambda: clock[0])
    token = tokens.make("study", "Ada", "s1")
    clock[0] += MAX_AGE
    assert tokens.read(token) == Pass("study", "Ada", "s1")
    clock[0] += 1
    with pytest.raises(Refusal) as found:
        tokens.read(token)
    assert (found.value.status, found.value.code) == (403, "stale")


def test_another_study_or_reader_than_the_tokens_is_turned_away(served: Served, page: Page, study: Study) -> None:
    other = served.store.studies.create("Ward 4")
    for named in ({"study": other.id}, {"reader": "Eve"}):
        answer = page.post("decisions", {"decisions": [decision(BEAT)], **named})
        assert (answer.status, answer.json["code"]) == (403, "study")
    named = {"study": study.id, "reader": "Ada"}
    assert page.post("decisions", {"decisions": [decision(BEAT)], **named}).status == 200
    # What a decision says of its study and reader is not asked at all: the token's hold.
    made = decision(BEAT, study=other.id, study_id=other.id, reader="Eve")
    assert page.decide(made).status == 200
    assert (served.store.decisions.get(made["id"]).study_id, served.store.decisions.get(made["id"]).reader) == (
        study.id,
        "Ada",
    )
    assert kept(served.store, other) == []


def test_a_study_that_is_gone_takes_nothing(served: Served) -> None:
    ghost = Study("0" * 24, "Ghost", {}, None)  # type: ignore[arg-type]
    made = decision(BEAT)
    assert [one["id"] for one in served.page(ghost).decide(made).json["refused"]] == [made["id"]]


def test_the_secret_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(lambda _: secret(tmp_path), range(64)))
    assert len(found) == 1 and len(found.pop()) == 32
    assert [path.name for path in tmp_path.iterdir()] == [SECRET_FILE]
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / SECRET_FILE).stat().st_mode) == 0o600


def test_a_token_outlives_the_server(store: Store, study: Study) -> None:
    with serving(store) as first:
        token = first.token(study)
    with serving(store) as second:
        page = second.page(study)
        page.token = token
        assert page.decide(decision(BEAT)).status == 200


def test_a_secret_that_was_lost_is_made_anew_and_known_at_once(served: Served, page: Page, study: Study) -> None:
    assert page.decide(decision(BEAT)).status == 200
    (served.store.folder / SECRET_FILE).write_bytes(b"cut short")
    page.token, old = served.token(study), page.token
    assert page.decide(decision(BEAT)).status == 200
    page.token = old
    assert page.decide(decision(BEAT)).json["code"] == "token"


def test_routes_stand_below_the_base_path_and_answer_posts_alone(store: Store, study: Study) -> None:
    with serving(store, base="/ward/3/") as served:
        page = served.page(study, start="/ward/3/channel")
        assert page.decide(decision(BEAT)).status == 200
        page.start = "/channel"
        assert page.decide(decision(BEAT)).status == 404
        assert page.connection is not None
        page.connection.request("GET", "/ward/3/channel/decisions")
        response = page.connection.getresponse()
        response.read()
        assert response.status == 405


# What is not understood


def test_more_than_a_megabyte_is_not_read(served: Served, page: Page, study: Study) -> None:
    body = json.dumps({"decisions": [decision(BEAT)], "more": "x" * MAX_BYTES}).encode()
    answer = page.post("decisions", body)
    assert (answer.status, answer.json["code"]) == (413, "size")
    page.close()  # the server did not read the rest
    fits = json.dumps({"decisions": [decision(BEAT)], "more": "x" * (MAX_BYTES - 1000)}).encode()
    assert page.post("decisions", fits).status == 200
    page.close()

    def parts() -> Iterator[bytes]:  # no length is said beforehand
        for _ in range(40):
            yield b"x" * (MAX_BYTES // 20)

    assert _chunked(page, parts()) == 413
    assert len(kept(served.store, study)) == 1


def _chunked(page: Page, parts: Iterator[bytes]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=30)
    headers = {"Origin": page.origin or "", "Authorization": f"Bearer {page.token}"}
    with suppress(BrokenPipeError, ConnectionResetError):  # it hung up in the middle, after its answer
        connection.request("POST", "/channel/decisions", parts, headers, encode_chunked=True)
    status = connection.getresponse().status
    connection.close()
    return status


UNCLEAR = [
    b"",
    b"no json",
    b"\xff\xfe",
    b"[]",
    b"null",
    b"{}",
    b'{"decisions": {}}',
    b'{"decisions": [1]}',
    b'{"decisions": [{}]}',
    b'{"decisions": [{"id": ""}]}',
    b'{"decisions": [{"id": "a b"}]}',
    b'{"decisions": [{"id": 7}]}',
    b'{"decisions": [], "x": NaN}',
    b'{"decisions": [], "x": ' + b"9" * 5000 + b"}",
    b"[" * 100_000,
    b'{"a":' * 50_000,
]


def test_what_is_not_understood_is_said_so(page: Page) -> None:
    for body in UNCLEAR:
        answer = page.post("decisions", body)
        assert (answer.status, answer.json["code"]) == (400, "message"), body[:40]
        assert answer.json["error"].endswith("."), body[:40]


def test_too_many_decisions_at_once(page: Page) -> None:
    assert page.decide(*[decision(BEAT) for _ in range(MAX_DECISIONS + 1)]).status == 400


SPOILT: list[dict[str, Any]] = [
    {"target": "beat:zz:1"},
    {"target": None},
    {"target": 7},
    {"target": "beat:" + "a" * 300 + ":1"},
    {"field": "colour"},
    {"field": None},
    {"new": "Fish"},
    {"new": ["PVC"]},
    {"new": 1.5},
    {"new": -99},
    {"field": "noise", "new": "perhaps"},
    {"at": None},
    {"at": "now"},
    {"at": True},
    {"at": 12.5},
    {"at": -1},
    {"at": 10**30},
    {"at": int((time.time() + 3 * 86400) * 1e6)},
    {"reason": 5},
    {"reason": "x" * 5000},
    {"undoes": 5},
    {"undoes": "not an id"},
    {"undoes": "a" * 65},
    {"payload": []},
    {"payload": {"members": [1]}},
    {"payload": {"members": {HASH: "12"}}},
    {"payload": {"members": {HASH: [1e99]}}},
    {"payload": {"members": {HASH: [10**15]}}},
    {"payload": {"members": {"strip": [1]}}},
    {"payload": {"batch": {"a": 1}}},
]


def test_one_that_makes_no_sense_is_refused_by_name_and_the_others_are_stored(
    page: Page, store: Store, study: Study
) -> None:
    good, bad = [decision(BEAT, "note", f"{number}") for number in range(3)], [decision(BEAT) | one for one in SPOILT]
    itself = decision(BEAT)
    itself["undoes"] = itself["id"]
    answer = page.decide(good[0], *bad[:15], good[1], *bad[15:], itself, good[2])
    assert answer.status == 200
    assert answer.json["acknowledged"] == [made["id"] for made in good]
    refused = answer.json["refused"]
    assert [one["id"] for one in refused] == [made["id"] for made in (*bad, itself)]
    assert all(one["why"] for one in refused)
    assert [new for *_, new in kept(store, study)] == ["0", "1", "2"]


def test_text_that_a_database_cannot_hold_is_cleaned(page: Page, store: Store) -> None:
    made = decision(BEAT, "note", "a\x00b\ud800c", payload={"x\x00": ["\ud800", {"y": "\x00"}]}, reason="\udfff")
    undo = decision(BEAT, "note", "\x00\ud800", old="\ud800", undoes=made["id"])
    assert page.decide(made, undo).json["refused"] == []
    assert store.decisions.get(made["id"]).new == "ab?c"
    assert store.decisions.get(made["id"]).payload == {"x": ["?", {"y": ""}]}


# What becomes of decisions


def test_the_same_message_many_times_at_once_is_stored_once(served: Served, study: Study) -> None:
    batch = [decision(BEAT, "note", str(number)) for number in range(40)]
    pages = [served.page(study) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda page: [page.decide(*batch) for _ in range(5)], pages))
    for answer in (one for many in answers for one in many):
        assert answer.json["acknowledged"] == [made["id"] for made in batch]
        assert answer.json["refused"] == []
    assert [new for *_, new in kept(served.store, study)] == [str(number) for number in range(40)]


def test_an_id_with_other_content_is_refused_and_the_first_holds(page: Page, store: Store) -> None:
    first = decision(BEAT, "note", "first")
    other = first | {"new": "other"}
    answer = page.decide(first, other)
    assert (answer.json["acknowledged"], [one["id"] for one in answer.json["refused"]]) == (
        [first["id"]],
        [first["id"]],
    )
    assert page.decide(other).json["acknowledged"] == []
    assert page.decide(first).json["acknowledged"] == [first["id"]]
    assert store.decisions.get(first["id"]).new == "first"


def test_an_undo_takes_back_and_its_undo_brings_back(page: Page, store: Store, study: Study) -> None:
    made = decision(BEAT, old="Normal")
    undo = decision(BEAT, new="Normal", old="PVC", undoes=made["id"])
    redo = decision(BEAT, new="PVC", old="Normal", undoes=undo["id"])
    # The undo may come before what it undoes: from another tab, say.
    assert page.decide(undo).json["acknowledged"] == [undo["id"]]
    assert page.decide(made).json["acknowledged"] == [made["id"]]
    assert store.decisions.active(study.id) == []
    assert page.decide(redo).json["acknowledged"] == [redo["id"]]
    assert [one.id for one in store.decisions.active(study.id)] == [made["id"]]
    # An undo leads back to what no reader can decide.
    unknown = decision(STRIP, new="Unknown/Review", old="PVC", undoes=decision(STRIP)["id"])
    assert page.decide(unknown).json["acknowledged"] == [unknown["id"]]


def test_an_undo_of_another_studys_decision_is_refused(served: Served, page: Page, study: Study) -> None:
    elsewhere = served.store.studies.create("Ward 4")
    made, own = decision(BEAT), decision(BEAT)
    other = served.page(elsewhere)
    assert other.decide(made).status == 200
    undo = decision(BEAT, undoes=made["id"])
    answer = page.decide(own, undo).json
    assert (answer["acknowledged"], [one["id"] for one in answer["refused"]]) == ([own["id"]], [undo["id"]])
    assert [one.id for one in served.store.decisions.active(elsewhere.id)] == [made["id"]]


def test_every_kind_of_decision_goes_over_the_wire(page: Page, store: Store, study: Study) -> None:
    members = {"members": {HASH: [10, 900]}, "batch": "b1"}
    made = [
        decision(BEAT, "label", 1),
        decision(BEAT, "noise", True),
        decision(BEAT, "noise", 0),
        decision(BEAT, "peak", "deleted"),
        decision(BEAT, "peak", 1250),
        decision(BEAT, "seed", "PVC"),
        decision(BEAT, "seed", None),
        decision(BEAT, "note", "look"),
        decision(BEAT, "unsure", "1"),
        decision(BEAT, "refined", "PAC"),
        decision(STRIP, "label", "AFib"),
        decision(prototype_target("r1", 3), "label", 2, payload=members),
    ]
    assert page.decide(*made).json["refused"] == []
    assert [store.decisions.get(one["id"]).new for one in made] == [
        "PAC", "1", "0", "deleted", "1250", "PVC", None, "look", "1", "PAC", "AFib", "PVC",
    ]  # fmt: skip
    assert store.decisions.get(made[-1]["id"]).payload == members


def test_the_version_grows_with_each_message(page: Page) -> None:
    versions = [page.decide(decision(BEAT, "note", str(number))).json["version"] for number in range(5)]
    assert versions == sorted(set(versions))
    assert page.decide().json["version"] == versions[-1]


def test_a_database_that_is_gone_is_said_so_and_nothing_is_acknowledged(served: Served, page: Page) -> None:
    assert page.decide(decision(BEAT)).status == 200
    with writing(served.store.engine) as connection:
        connection.execute(text("ALTER TABLE decisions RENAME TO hidden"))
    made = decision(BEAT)
    answer = page.decide(made)
    assert (answer.status, answer.json["code"]) == (503, "store")
    with writing(served.store.engine) as connection:
        connection.execute(text("ALTER TABLE hidden RENAME TO decisions"))
    assert page.decide(made).json["acknowledged"] == [made["id"]], "sent again, it is taken"


def test_a_database_that_cannot_be_reached(store: Store, study: Study, tmp_path: Path) -> None:
    """From the start, and from one message to the next."""
    gone = Store(connect("postgresql://nobody@127.0.0.1:1/none"), store.folder)
    with serving(store, open_store=lambda: gone) as served:
        page = served.page(study)
        for _ in range(2):
            answer = page.decide(decision(BEAT))
            assert (answer.status, answer.json["code"]) == (503, "store")
            assert "does not answer" in answer.json["error"]

    def refuse() -> Store:
        raise StoreError("The database does not answer.")

    with serving(store, open_store=refuse) as served:
        assert served.page(study).decide(decision(BEAT)).status == 503


@pytest.mark.parametrize("store", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
def test_a_database_that_was_restarted_is_found_again(served: Served, page: Page, study: Study) -> None:
    """All its connections are gone at once; what a page sends again meanwhile is stored once."""
    made = [decision(BEAT, "note", str(number)) for number in range(30)]
    for number, one in enumerate(made):
        if number % 10 == 5:
            with served.store.engine.connect() as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
        answers = [page.decide(one) for _ in range(3)]
        assert {answer.status for answer in answers} <= {200, 503}
        assert answers[-1].json["acknowledged"] == [one["id"]]
    assert [new for *_, new in kept(served.store, study)] == [str(number) for number in range(30)]


# The writing thread


class Slow:
    """Decisions whose store waits for a sign, and counts how often it commits."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.go, self.sizes = inner, threading.Event(), list[int]()

    def add(self, decisions: Any) -> Any:
        self.go.wait(30)
        self.sizes.append(len(decisions))
        return self.inner.add(decisions)

    def version(self, study_id: str) -> int:
        return int(self.inner.version(study_id))


def _made(store: Store, study: Study, *notes: str) -> list[Any]:
    return [decide(study.id, "Ada", BEAT, "note", note) for note in notes]


def test_what_waits_together_is_stored_together_and_answered_after_the_commit(store: Store, study: Study) -> None:
    slow = Slow(store.decisions)
    writer = Writer(slow)  # type: ignore[arg-type]
    first = writer.submit(study.id, _made(store, study, "0"))
    time.sleep(0.05)  # the thread has taken it
    others = [writer.submit(study.id, _made(store, study, f"{n}a", f"{n}b")) for n in range(20)]
    assert not first.done() and not any(other.done() for other in others)
    slow.go.set()
    for answer in [first.result(30), *(other.result(30) for other in others)]:
        for id in answer.acknowledged:
            assert store.decisions.get(id)
    assert slow.sizes == [1, 40]
    writer.close()


def test_a_message_that_spoils_a_group_spoils_only_itself(store: Store, study: Study) -> None:
    slow = Slow(store.decisions)
    writer = Writer(slow)  # type: ignore[arg-type]
    start = writer.submit(study.id, [])
    good = [writer.submit(study.id, _made(store, study, f"{n}")) for n in range(3)]
    ghost = Study("0" * 24, "Ghost", {}, None)  # type: ignore[arg-type]
    bad = writer.submit(ghost.id, _made(store, ghost, "x", "y"))
    more = writer.submit(study.id, _made(store, study, "z"))
    slow.go.set()
    assert start.result(30).acknowledged == []
    assert all(len(one.result(30).acknowledged) == 1 for one in (*good, more))
    assert (len(bad.result(30).acknowledged), len(bad.result(30).refused)) == (0, 2)
    writer.close()


def test_a_closed_writer_has_stored_what_waited_and_takes_no_more(store: Store, study: Study) -> None:
    writer = Writer(store.decisions)
    answers = [writer.submit(study.id, _made(store, study, f"{n}")) for n in range(50)]
    writer.close()
    assert all(answer.done() and answer.result().acknowledged for answer in answers)
    with pytest.raises(StoreError, match="stopped"):
        writer.submit(study.id, _made(store, study, "late"))


def test_too_much_that_waits_is_asked_to_come_again(store: Store, study: Study) -> None:
    slow = Slow(store.decisions)
    writer = Writer(slow)  # type: ignore[arg-type]
    some = _made(store, study, "x") * 5000
    with pytest.raises(StoreError, match="try again"):
        for _ in range(9):
            writer.submit(study.id, some)
    slow.go.set()
    writer.close()
