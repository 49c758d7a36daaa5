"""Whatever is decided and undone, in whatever order and number it arrives: the same holds, on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecg_engine.labels import LABEL_NAMES, NOISE, UNLABELLED
from state.anchors import BeatIndex
from state.decisions import Decision, decide
from state.effective import Effective, effective_labels
from state.store import Store
from state.targets import beat_target, group_target, parse_target, prototype_target, strip_target
from tests.state.runs_for_tests import START, index_of, strip_hash

COMPUTED, FREE = (1000, 2000, 3000), (1500, 2500)
FILE_LABELS = (0, NOISE)
FLAGS = (0, 1, 0, 0, 0, 1)
PROTOTYPES = (3, -1, 3, 4, 4, -1)
GROUPS = (0, -1, 1, 1, 1, -1)
MANY = {"prototype": PROTOTYPES, "group": GROUPS}
GONE = 9
"""A strip that the run does not have."""
MOVES = (40, 200)
IDS = {name: label for label, name in LABEL_NAMES.items()}


def the_run() -> BeatIndex:
    return index_of([COMPUTED, COMPUTED], labels=FILE_LABELS, flags=FLAGS, prototypes=PROTOTYPES, groups=GROUPS)


# What readers do -----------------------------------------------------------------------------------------------------

_LABEL = st.sampled_from(["PVC", "PAC", "Noise", None])
_SWITCH = st.sampled_from(["1", "0", None])
_STRIP = st.sampled_from([0, 1, 1, GONE])
_WORD = st.one_of(
    st.tuples(st.just("label"), _LABEL),
    st.tuples(st.sampled_from(["noise", "unsure"]), _SWITCH),
    st.tuples(st.sampled_from(["seed", "refined", "not_like"]), st.sampled_from(["PVC", "Couplets", None])),
    st.tuples(st.just("note"), st.sampled_from(["notched", "late", None])),
)


@st.composite
def _of_a_beat(draw: st.DrawFn) -> tuple[str, str, str | None]:
    slot = draw(st.sampled_from(COMPUTED + FREE))
    word, new = draw(_WORD)
    # As other runs saw the same peak, or where it was moved to.
    return beat_target(strip_hash(draw(_STRIP)), slot + draw(st.sampled_from([0, 0, 20, 200]))), word, new


@st.composite
def _of_a_peak(draw: st.DrawFn) -> tuple[str, str, str | None]:
    slot = draw(st.sampled_from([*COMPUTED, *FREE, 1000, 1500, 1500, 1500]))
    new = draw(st.sampled_from(["added", "deleted", None, *(str(slot + by) for by in MOVES)]))
    # To add a peak beside where another one was is to add another one: that is told elsewhere.
    off = 0 if new == "added" or (slot in FREE and new not in ("deleted", None)) else draw(st.sampled_from([0, 20]))
    return beat_target(strip_hash(draw(st.sampled_from([0, 0, 0, 1, GONE]))), slot + off), "peak", new


@st.composite
def _of_more(draw: st.DrawFn) -> tuple[str, str, str | None]:
    if draw(st.booleans()):
        word = draw(st.sampled_from(["label", "note", "unsure"]))
        value = {"label": draw(_LABEL), "note": "odd", "unsure": "1"}[word]
        return strip_target(strip_hash(draw(_STRIP))), word, value
    word = draw(st.sampled_from(["label", "noise"]))
    target = draw(st.sampled_from([prototype_target, group_target, group_target]))
    return (
        target("run1", draw(st.sampled_from([3, 4, 7] if target is prototype_target else [0, 1, 1, 7]))),
        word,
        draw(_LABEL if word == "label" else _SWITCH),
    )


_ONE = st.one_of(_of_a_beat(), _of_a_peak(), _of_a_peak(), _of_more())


@st.composite
def _histories(draw: st.DrawFn) -> list[tuple[tuple[str, str, str | None], int | None]]:
    """Steps: a decision, or an undo of any earlier step, undos among them."""
    steps: list[tuple[tuple[str, str, str | None], int | None]] = []
    for place in range(draw(st.integers(1, 18))):
        undoes = draw(st.none() | st.none() | st.integers(0, place - 1)) if place else None
        steps.append((draw(_ONE), undoes))
    return steps


def _decisions(study: str, steps: Sequence[tuple[tuple[str, str, str | None], int | None]]) -> list[Decision]:
    made: list[Decision] = []
    for place, ((target, word, new), undoes) in enumerate(steps):
        at = START + timedelta(seconds=place // 2)  # two readers at the same moment: then the id decides
        one = decide(study, ("Ada", "Ben")[place % 2], target, word, new, at=at, id=uuid4().hex)
        if undoes is not None:
            undone = made[undoes]
            one = replace(
                one, target=undone.target, field=undone.field, old=undone.new, new=undone.old, undoes=undone.id
            )
        made.append(one)
    return made


# What must hold then, said beat by beat ------------------------------------------------------------------------------


def _holds(made: Sequence[Decision]) -> list[Decision]:
    undos = {one.id: [undo for undo in made if undo.undoes == one.id] for one in made}

    def holds(one: Decision) -> bool:
        if any(holds(undo) for undo in undos[one.id]):
            return False
        beside = undos[one.undoes] if one.undoes else []
        return not any(redo.order > one.order and holds(redo) for undo in beside for redo in undos[undo.id])

    return sorted((one for one in made if one.undoes is None and holds(one)), key=lambda one: one.order)


@dataclass
class Slot:
    """A place where a heartbeat is or may be."""

    strip: int
    base: int
    row: int | None
    here: bool = False
    known: bool = False
    time: int = 0
    anchor: int | None = None
    places: set[int] = field(default_factory=set)
    words: list[Decision] = field(default_factory=list)


def _slots(held: Sequence[Decision]) -> list[Slot]:
    found = []
    for strip in range(2):
        for base in sorted(COMPUTED + FREE):
            row = strip * len(COMPUTED) + COMPUTED.index(base) if base in COMPUTED else None
            slot = Slot(strip, base, row, here=row is not None, known=row is not None, time=base)
            slot.places = {base} if slot.known else set()
            newest: dict[int, Decision] = {}
            for one in held:
                target = parse_target(one.target)
                if one.field == "peak" and target.name == strip_hash(strip) and 0 <= target.number - base <= 20:
                    newest[target.number] = one
            for number, one in sorted(newest.items(), key=lambda item: item[1].order):
                if one.new is None and not slot.known:
                    continue  # as computed: that is, not at all
                if one.new is None:
                    slot.here, slot.time = slot.row is not None, base if slot.row is not None else slot.time
                elif one.new == "deleted":
                    slot.here = False
                else:
                    slot.here, slot.time = True, number if one.new == "added" else int(one.new)
                slot.known = True
                slot.anchor = number if slot.anchor is None else slot.anchor
                slot.places |= {number, slot.time}
            found.append(slot)
    return found


def _verdict(words: Sequence[Decision]) -> tuple[int | None, int | None]:
    """Class and noise as said of one beat, one group or one prototype."""
    label: int | None = None
    noise: int | None = None
    for one in words:
        if one.field == "noise":
            noise = int(one.new) if one.new is not None else (None if label is None else 0)
        elif one.field == "label" and one.new is None:
            label = noise = None
        elif one.field == "label" and one.new == "Noise":
            noise = 1
        elif one.field == "label":
            label, noise = IDS[str(one.new)], 0
    return label, noise


def _last(words: Sequence[Decision], name: str) -> str | None:
    return next((one.new for one in reversed(words) if one.field == name), None)


def expected(made: Sequence[Decision]) -> tuple[dict[str, Any], list[dict[str, Any]], set[str]]:
    """What holds of the run's beats, the beats beside them, and the ids of decisions without a place."""
    held = _holds(made)
    slots, lost = _slots(held), set()
    strip_words: dict[int, list[Decision]] = {0: [], 1: []}
    words_of: dict[str, dict[int, list[Decision]]] = {
        kind: {number: [] for number in set(of) - {-1}} for kind, of in MANY.items()
    }
    for one in held:
        target = parse_target(one.target)
        strip = {strip_hash(0): 0, strip_hash(1): 1}.get(target.name)
        if target.kind in MANY:
            if target.number in words_of[target.kind]:
                words_of[target.kind][target.number].append(one)
            else:
                lost.add(one.id)
        elif strip is None:
            lost.add(one.id)
        elif target.kind == "strip":
            strip_words[strip].append(one)
        elif one.field != "peak":
            mine = [
                slot
                for slot in slots
                if slot.strip == strip and any(abs(place - target.number) <= 75 for place in slot.places)
            ]
            for slot in mine:
                slot.words.append(one)
            if not mine:
                lost.add(one.id)
    rows: dict[str, Any] = {
        name: [None] * len(FLAGS) for name in ("label", "source", "flag", "deleted", "time", "unsure", "note", "seed")
    }
    added = []
    from_noise = ""
    for slot in slots:
        label = FILE_LABELS[slot.strip]
        strip_label, accepted = _last(strip_words[slot.strip], "label"), _last(slot.words, "refined")
        label = label if strip_label is None else IDS[strip_label]
        label = label if accepted is None else IDS[accepted]
        source, noise = "strip" if accepted is None else "model", None
        levels = [
            (kind, words_of[kind].get(of[slot.row] if slot.row is not None else -1, [])) for kind, of in MANY.items()
        ]
        for kind, words in [*levels, ("beat", slot.words)]:
            said, own_noise = _verdict(words)
            label, source = (label, source) if said is None else (said, kind)
            noise, from_noise = (noise, from_noise) if own_noise is None else (own_noise, kind)
        if noise == 1 or (noise == 0 and label == NOISE):
            source = from_noise
        if noise == 1:
            label = NOISE
        elif noise == 0 and label == NOISE:
            label = UNLABELLED
        flag = FLAGS[slot.row] if slot.row is not None and noise is None else 0
        unsure, note, seed = (_last(slot.words, name) for name in ("unsure", "note", "seed"))
        if slot.row is not None:
            told = (label, source, flag, False, slot.time, unsure == "1", note, seed)
            gone = (UNLABELLED, "beat", 1, True, None, False, note, None)
            for name, value in zip(rows, told if slot.here else gone, strict=True):
                rows[name][slot.row] = value
        elif slot.here:
            added.append({"strip": slot.strip, "time": slot.time, "anchor": slot.anchor, "label": label,
                          "unsure": unsure == "1", "note": note or "", "seed": seed})  # fmt: skip
    return rows, added, lost


def told(effective: Effective) -> tuple[dict[str, Any], list[dict[str, Any]], set[str]]:
    """The same of what the app makes of it."""
    n, gone = len(effective.labels), effective.deleted
    rows = {
        "label": effective.labels.tolist(),
        "source": effective.source.tolist(),
        "flag": effective.noise_flags.tolist(),
        "deleted": gone.tolist(),
        "time": [None if gone[row] else int(effective.time_ms[row]) for row in range(n)],
        "unsure": effective.unsure.tolist(),
        "note": [effective.notes.get(row) for row in range(n)],
        "seed": [effective.seed_of.get(row) for row in range(n)],
    }
    added = [
        {"strip": one.place, "time": one.time_ms, "anchor": one.anchor_ms, "label": one.label, "unsure": one.unsure,
         "note": one.note, "seed": one.seed}
        for one in effective.added
    ]  # fmt: skip
    return rows, added, {one.decision.id for one in effective.unmatched}


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=_histories(), data=st.data())
def test_the_same_holds_in_any_order_and_number_of_sendings(
    store: Store, steps: list[tuple[tuple[str, str, str | None], int | None]], data: st.DataObject
) -> None:
    study = store.studies.create("Any order")
    made = _decisions(study.id, steps)
    sent = data.draw(st.permutations(made)) + data.draw(st.lists(st.sampled_from(made), max_size=8))
    while sent:
        size = data.draw(st.integers(1, len(sent)))
        store.decisions.add(sent[:size])
        sent = sent[size:]
    kept = store.decisions.listing(study.id)
    assert len(kept) == len(made)
    assert told(effective_labels(the_run(), kept)) == expected(made)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=_histories(), order=st.randoms(use_true_random=False))
def test_what_holds_goes_by_the_rule_whatever_the_order(
    steps: list[tuple[tuple[str, str, str | None], int | None]], order: Any
) -> None:
    made = _decisions("study", steps)
    shuffled = list(made)
    order.shuffle(shuffled)
    effective = effective_labels(the_run(), shuffled)
    assert told(effective) == expected(made)
    seeds = {row: name for row, name in enumerate(expected(made)[0]["seed"]) if name}
    assert dict(zip(effective.seeds["beat_global_id"], effective.seeds["label_name"], strict=True)) == seeds
    assert not np.any(effective.moved & effective.deleted)
