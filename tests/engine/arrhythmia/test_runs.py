"""The likelihood of a strip's label against adding up all sequences of beats."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from ecg_engine.arrhythmia.runs import (
    AT_LEAST,
    STRIP_RULES,
    F,
    N,
    S,
    V,
    beats_given_label,
    log_likelihood,
    strip_log_likelihood,
)


def longest(beats: tuple[int, ...]) -> int:
    best = run = 0
    for beat in beats:
        run = run + 1 if beat == V else 0
        best = max(best, run)
    return best


def holds(label: int, beats: tuple[int, ...]) -> float:
    """How true the label is, said in another way than the automata."""
    run = longest(beats)
    if label in (0, 3, 4):
        return float(all(beat == N for beat in beats))
    if label == 1:
        return float(S in beats and not {V, F} & set(beats))
    if label == 9:
        return float(F in beats and V not in beats)
    if label == 5:
        return float(S not in beats)
    if label == 7:
        return float(run >= 3)
    if label == 12:
        return float(run >= 1)
    wanted = {2: 1, 10: 2, 11: 3}[label]
    return 1.0 if run == wanted else AT_LEAST if run > wanted else 0.0


def probabilities(strips: int, beats: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(2 * torch.randn(strips, beats, 4, generator=generator, dtype=torch.float64), -1)


@pytest.mark.parametrize("label", sorted(STRIP_RULES))
def test_equals_the_sum_over_all_sequences(label: int) -> None:
    p = probabilities(5, 6)
    lengths = torch.tensor([6, 5, 3, 1, 0])
    exact = log_likelihood(p.log(), lengths, STRIP_RULES[label]).exp()
    for row, length in enumerate(lengths.tolist()):
        total = 0.0
        for beats in product(range(4), repeat=length):
            chance = 1.0
            for t, beat in enumerate(beats):
                chance *= float(p[row, t, beat])
            total += chance * holds(label, beats)
        assert float(exact[row]) == pytest.approx(total, abs=1e-12)


def test_labels_of_a_batch_go_their_own_ways_and_some_say_nothing() -> None:
    p = probabilities(8, 5, seed=1).log()
    lengths = torch.tensor([5, 4, 5, 3, 5, 5, 2, 5])
    labels = torch.tensor([0, 3, 2, 10, -1, 8, -999, 6])
    together = strip_log_likelihood(p, lengths, labels)
    for row, label in enumerate(labels.tolist()):
        alone = 0.0
        if label in STRIP_RULES:
            alone = float(log_likelihood(p[row : row + 1], lengths[row : row + 1], STRIP_RULES[label]))
        assert float(together[row]) == pytest.approx(alone, abs=1e-12)


def test_gradient_is_that_of_small_steps() -> None:
    logits = torch.randn(3, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2), requires_grad=True)
    lengths, labels = torch.tensor([5, 4, 5]), torch.tensor([2, 1, 10])
    assert torch.autograd.gradcheck(
        lambda z: strip_log_likelihood(torch.log_softmax(z, -1), lengths, labels).sum(), (logits,)
    )


def test_a_long_strip_of_unlikely_beats_stays_finite() -> None:
    p = torch.tensor([1e-6, 1e-9, 1 - 1.0e-6, 1e-9]).log().repeat(1, 60, 1).requires_grad_(True)
    value = strip_log_likelihood(p, torch.tensor([60]), torch.tensor([0]))
    assert float(value.detach()) == pytest.approx(60 * float(torch.tensor(1e-6).log()), rel=1e-4)
    value.sum().backward()
    assert torch.isfinite(p.grad).all()


def test_beats_given_the_label_are_the_posterior() -> None:
    p = probabilities(1, 5, seed=3)
    given = beats_given_label(p.log(), torch.tensor([5]), torch.tensor([2]))
    weights = torch.zeros(5, 4, dtype=torch.float64)
    for beats in product(range(4), repeat=5):
        chance = holds(2, beats)
        for t, beat in enumerate(beats):
            chance *= float(p[0, t, beat])
        for t, beat in enumerate(beats):
            weights[t, beat] += chance
    assert torch.allclose(given[0], weights / weights.sum(1, keepdim=True), atol=1e-9)


def test_a_silent_or_impossible_label_leaves_the_prior() -> None:
    p = probabilities(2, 3, seed=4)
    given = beats_given_label(p.log(), torch.tensor([3, 1]), torch.tensor([-1, 10]))
    assert torch.allclose(given[0], p[0])
    assert torch.allclose(given[1, :1], p[1, :1])
