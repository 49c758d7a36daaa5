"""The channel in the browser by itself, against a server that fails on demand: typed = stored, once, in order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route

from components.scripts import script

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

ADDRESS = "http://localhost:9/app"
"""Nobody is there: the test answers in its place."""
PAGE = """<!doctype html><title>Channel</title><script type="module">%s
globalThis.start = (study = "s1", reader = "Dr A", token = "t1") => {
  const channel = openChannel({ base: "/app", token, study, reader, version: 0 });
  channel.on("stale", () => { globalThis.asked = (globalThis.asked || 0) + 1; });
  return channel;
};
globalThis.type = (name, count = 1) => {
  for (let i = 0; i < count; i += 1) {
    ecgChannel.decide({ target: "beat:abcdef0123456789:" + i, field: "label", new: name });
  }
};
globalThis.ready = true;
</script>"""


class Office:
    """A server that stores what it is sent, or does not answer."""

    def __init__(self) -> None:
        self.mode: str | Callable[[dict[str, Any]], tuple[int, dict[str, Any]] | None] = "ok"
        self.stored: dict[str, dict[str, Any]] = {}
        self.tokens: list[str] = []
        self.messages: list[list[str]] = []

    def answer(self, route: Route) -> None:
        request = route.request
        if request.method == "GET":
            route.fulfill(content_type="text/html", body=PAGE % script("channel"))
            return
        if self.mode == "dead":
            route.abort()
            return
        sent = json.loads(request.post_data or "{}")["decisions"]
        self.tokens.append(request.headers["authorization"])
        self.messages.append([made["id"] for made in sent])
        if callable(self.mode):
            refusal = self.mode({"decisions": sent, "token": request.headers["authorization"]})
            if refusal is not None:
                route.fulfill(status=refusal[0], json=refusal[1])
                return
        refused = [{"id": made["id"], "why": "No such label."} for made in sent if made["new"] == "Nonsense"]
        bad = {one["id"] for one in refused}
        for made in sent:
            if made["id"] not in bad:
                self.stored.setdefault(made["id"], made)
        if self.mode == "deaf":  # it has stored them, and the answer is lost
            route.abort()
            return
        known = [made["id"] for made in sent if made["id"] not in bad]
        route.fulfill(json={"acknowledged": known, "refused": refused, "version": len(self.stored)})

    def typed(self) -> list[str]:
        """What is stored, by the time at which it was typed."""
        return [made["new"] for made in sorted(self.stored.values(), key=lambda made: made["at"])]


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def context(browser: Browser, office: Office) -> Iterator[BrowserContext]:
    context = browser.new_context()
    context.route("http://localhost:9/**", office.answer)
    yield context
    context.close()


def opened(context: BrowserContext, *who: str) -> Page:
    page = context.new_page()
    page.goto(ADDRESS)
    start(page, *who)
    return page


def start(page: Page, *who: str) -> None:
    page.wait_for_function("globalThis.ready")
    page.evaluate("(who) => { globalThis.start(...who); }", list(who))


def type_in(page: Page, names: list[str]) -> None:
    for name in names:
        page.evaluate("(name) => type(name)", name)


def empty(page: Page) -> None:
    page.wait_for_function("ecgChannel.waiting() === 0")


NAMES = [f"L{number}" for number in range(40)]


def test_all_that_is_typed_is_stored_once_and_in_order_though_answers_are_lost(
    context: BrowserContext, office: Office
) -> None:
    page = opened(context)
    type_in(page, NAMES[:10])
    empty(page)
    office.mode = "deaf"
    type_in(page, NAMES[10:20])
    office.mode = "dead"
    type_in(page, NAMES[20:30])
    office.mode = "ok"
    type_in(page, NAMES[30:])
    empty(page)
    assert office.typed() == NAMES
    assert len({made["at"] for made in office.stored.values()}) == len(NAMES), "no two at the same moment"
    assert page.evaluate("localStorage.length") == 0, "nothing is left behind"
    assert page.evaluate("ecgChannel.trouble.code") == ""
    assert page.evaluate("ecgChannel.since(0).map((made) => made.new)") == NAMES
    assert page.evaluate("ecgChannel.since(ecgChannel.version).length") == 0


def test_hundreds_at_once_leave_in_messages_of_bounded_size(context: BrowserContext, office: Office) -> None:
    page = opened(context)
    page.evaluate("type('Many', 1200)")
    empty(page)
    assert len(office.stored) == 1200
    assert max(len(message) for message in office.messages) <= 500


def test_a_reload_keeps_what_the_server_has_not_acknowledged(context: BrowserContext, office: Office) -> None:
    page = opened(context)
    office.mode = "dead"
    type_in(page, NAMES[:5])
    page.reload()
    start(page)
    page.wait_for_function("ecgChannel.waiting() === 5")
    type_in(page, NAMES[5:8])
    office.mode = "ok"
    page.evaluate("window.dispatchEvent(new Event('online'))")
    empty(page)
    assert office.typed() == NAMES[:8]
    assert page.evaluate("localStorage.length") == 0


def test_another_tab_takes_over_from_one_that_died_but_not_from_one_that_lives(
    context: BrowserContext, office: Office
) -> None:
    office.mode = "dead"
    first = opened(context)
    type_in(first, NAMES[:4])
    second = opened(context)
    second.wait_for_timeout(2000)
    assert second.evaluate("ecgChannel.waiting()") == 0, "the first tab lives"
    first.close()
    third = opened(context)
    third.wait_for_function("ecgChannel.waiting() === 4")
    office.mode = "ok"
    third.evaluate("window.dispatchEvent(new Event('online'))")
    empty(third)
    assert office.typed() == NAMES[:4]


def test_a_reader_does_not_speak_for_another(context: BrowserContext, office: Office) -> None:
    office.mode = "dead"
    page = opened(context, "s1", "Dr A")
    type_in(page, NAMES[:3])
    page.close()
    office.mode = "ok"
    other = opened(context, "s1", "Dr B", "tB")
    other.wait_for_function("ecgChannel.trouble.code === 'others'")
    assert "3 of Dr A" in other.evaluate("ecgChannel.trouble.sentence")
    type_in(other, ["Own"])
    empty(other)
    assert office.typed() == ["Own"] and office.tokens == ["Bearer tB"]
    start(other, "s1", "Dr A", "tA")
    empty(other)
    other.wait_for_function("ecgChannel.since(0).length === 3")
    assert office.tokens[-1] == "Bearer tA" and sorted(office.typed()) == sorted([*NAMES[:3], "Own"])


def test_what_is_refused_is_put_aside_and_shown_until_it_is_dismissed(context: BrowserContext, office: Office) -> None:
    page = opened(context)
    type_in(page, ["A", "Nonsense", "B"])
    empty(page)
    assert office.typed() == ["A", "B"]
    page.reload()
    start(page)
    page.wait_for_function("ecgChannel.refusals().length === 1")
    (refused,) = page.evaluate("ecgChannel.refusals()")
    assert refused["why"] == "No such label." and refused["decision"]["new"] == "Nonsense"
    page.evaluate("ecgChannel.dismiss(ecgChannel.refusals()[0].id)")
    assert page.evaluate("localStorage.length") == 0


def test_one_that_spoils_a_message_does_not_hold_up_the_others(context: BrowserContext, office: Office) -> None:
    def spoiled(message: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        bad = any(made["new"] == "Spoiled" for made in message["decisions"])
        return (400, {"error": "This cannot be read.", "code": "message"}) if bad else None

    office.mode = spoiled
    page = opened(context)
    page.evaluate("for (const name of ['A', 'B', 'Spoiled', 'D', 'E']) type(name)")
    empty(page)
    assert office.typed() == ["A", "B", "D", "E"]
    assert page.evaluate("ecgChannel.refusals()[0].why") == "This cannot be read."


def test_an_old_token_is_asked_for_anew_and_nothing_is_lost(context: BrowserContext, office: Office) -> None:
    def stale(message: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        old = message["token"] == "Bearer t1"
        return (403, {"error": "The pass is too old.", "code": "stale"}) if old else None

    office.mode = stale
    page = opened(context)
    type_in(page, NAMES[:3])
    page.wait_for_function("globalThis.asked >= 1")
    assert page.evaluate("ecgChannel.waiting()") == 3
    start(page, "s1", "Dr A", "t2")
    empty(page)
    assert office.typed() == NAMES[:3]
    assert page.evaluate("ecgChannel.trouble.code") == ""


def test_without_storage_it_works_from_memory_and_says_so(context: BrowserContext, office: Office) -> None:
    page = opened(context)
    page.evaluate("void (Storage.prototype.setItem = () => { throw new Error('full'); })")
    office.mode = "dead"
    type_in(page, NAMES[:3])
    assert page.evaluate("ecgChannel.stored()") is False
    office.mode = "ok"
    page.evaluate("window.dispatchEvent(new Event('online'))")
    empty(page)
    assert office.typed() == NAMES[:3]


def test_undos_name_what_they_undo_and_a_batch_is_one(context: BrowserContext, office: Office) -> None:
    page = opened(context)
    page.evaluate(
        """() => {
          const target = "beat:abcdef0123456789:";
          const pvc = (n) => ({ target: target + n, field: "label", new: "PVC", old: "Normal" });
          const made = ecgChannel.decideAll([pvc(1), pvc(2)]);
          ecgChannel.undo(made);
        }"""
    )
    empty(page)
    first, second, *undos = sorted(office.stored.values(), key=lambda made: made["at"])
    assert first["payload"]["batch"] == second["payload"]["batch"]
    assert [undo["undoes"] for undo in undos] == [first["id"], second["id"]]
    assert [(undo["target"], undo["field"], undo["new"], undo["old"]) for undo in undos] == [
        (made["target"], "label", "Normal", "PVC") for made in (first, second)
    ]
