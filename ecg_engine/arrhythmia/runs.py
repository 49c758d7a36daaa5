"""What a strip's label says about its beats: the exact likelihood of the label, over runs of beats (issue 4, item 3).

"PVC" on a strip does not say that all its beats are PVCs; it says that the longest run of ventricular beats is one
beat long. Given a probability of N, S, V and F for each beat, and beats independent of each other given the signal, the
chance that such a statement is true is found exactly by going through the beats once with a small automaton, whose
states remember the longest run so far and the present one. The result is differentiable: beats are learned from labels
of strips.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

SYMBOLS = ("N", "S", "V", "F")
"""What a beat can be here; all other classes act as one of these."""

N, S, V, F = range(4)

AT_LEAST = 0.3
"""Weight of a longer run than the label says, relative to the run that it says: labels are filed in haste, and a beat
that the detector missed or doubled changes the length of a run."""

_LEAST = 1e-30


class StripRule(NamedTuple):
    """A statement about a strip's beats as an automaton.

    Attributes
    ----------
    step : Tensor (4, S, S)
        ``step[k, s, t]`` is 1 if symbol ``k`` leads from state ``s`` to ``t``; a symbol that contradicts the
        statement leads nowhere. State 0 is the start.
    accept : Tensor (S,)
        How well the statement holds in each state at the end, 0 to 1.
    """

    step: Tensor
    accept: Tensor

    @property
    def reachable(self) -> Tensor:
        """1 where a state can be reached from another, (S, S)."""
        onward = self.step.amax(0) + torch.eye(len(self.accept), dtype=self.step.dtype)
        return (torch.linalg.matrix_power(onward, len(self.accept)) > 0).to(self.step.dtype)


def _automaton(
    start: tuple[int, ...],
    move: Callable[[tuple[int, ...], int], tuple[int, ...] | None],
    worth: Callable[[tuple[int, ...]], float],
) -> StripRule:
    """Number the states that can be reached from `start`."""
    states, edges = [start], []
    for state in states:  # grows while it is gone through
        for symbol in range(len(SYMBOLS)):
            then = move(state, symbol)
            if then is None:
                continue
            if then not in states:
                states.append(then)
            edges.append((symbol, states.index(state), states.index(then)))
    step = torch.zeros(len(SYMBOLS), len(states), len(states), dtype=torch.float64)
    step[tuple(zip(*edges, strict=True))] = 1.0
    return StripRule(step, torch.tensor([worth(state) for state in states], dtype=torch.float64))


def only_normal() -> StripRule:
    """No ectopic beat at all."""
    return _automaton((0,), lambda state, symbol: state if symbol == N else None, lambda state: 1.0)


def never(symbol_forbidden: int) -> StripRule:
    """No beat of this symbol; the others are free."""
    return _automaton((0,), lambda state, symbol: None if symbol == symbol_forbidden else state, lambda state: 1.0)


def some(wanted: tuple[int, ...], free: tuple[int, ...]) -> StripRule:
    """At least one beat of a wanted symbol, none that is neither wanted nor free."""

    def move(state: tuple[int, ...], symbol: int) -> tuple[int, ...] | None:
        if symbol in wanted:
            return (1,)
        return state if symbol in free else None

    return _automaton((0,), move, lambda state: float(state[0]))


def longest_run(length: int, at_least: float = AT_LEAST) -> StripRule:
    """The longest run of V is `length` beats; a longer one counts `at_least`, all else is free."""

    def move(state: tuple[int, ...], symbol: int) -> tuple[int, ...]:
        longest, present = state
        present = min(present + 1, length + 1) if symbol == V else 0
        return max(longest, present), present

    def worth(state: tuple[int, ...]) -> float:
        return 1.0 if state[0] == length else at_least if state[0] > length else 0.0

    return _automaton((0, 0), move, worth)


_NOTHING_BUT_NORMAL = only_normal()

STRIP_RULES: Mapping[int, StripRule] = MappingProxyType(
    {
        0: _NOTHING_BUT_NORMAL,
        3: _NOTHING_BUT_NORMAL,
        4: _NOTHING_BUT_NORMAL,
        1: some((S,), free=(N,)),
        2: longest_run(1),
        12: longest_run(1, at_least=1.0),
        10: longest_run(2),
        11: longest_run(3),
        7: longest_run(3, at_least=1.0),
        9: some((F,), free=(N, S)),
        5: never(S),
    }
)
"""Strip label to what it says. Noise, flutter, VFib and unlabelled strips say nothing about beats."""


class _AllRules(NamedTuple):
    """The rules of all labels as one automaton of parts that do not touch: a batch goes through it at once."""

    rule: StripRule
    start: Mapping[int, int]  # label to its first state
    silent: int  # the state of labels that say nothing


def _join_rules() -> _AllRules:
    rules = [
        *{id(rule): rule for rule in STRIP_RULES.values()}.values(),
        _automaton((0,), lambda state, symbol: state, lambda state: 1.0),
    ]
    first = [0]
    for rule in rules:
        first.append(first[-1] + len(rule.accept))
    step = torch.stack([torch.block_diag(*(rule.step[k] for rule in rules)) for k in range(len(SYMBOLS))])
    joined = StripRule(step, torch.cat([rule.accept for rule in rules]))
    start = {label: first[next(i for i, one in enumerate(rules) if one is rule)] for label, rule in STRIP_RULES.items()}
    return _AllRules(joined, MappingProxyType(start), first[-2])


_ALL = _join_rules()


def log_likelihood(log_p: Tensor, lengths: Tensor, rule: StripRule) -> Tensor:
    """Log of the chance that a statement holds on each strip.

    Parameters
    ----------
    log_p : Tensor (B, T, 4)
        Log-probabilities of the symbols N, S, V, F of each beat in order; beyond a strip's length anything finite.
    lengths : Tensor of int (B,)
        Beats of each strip; 0 is allowed.
    rule : StripRule

    Returns
    -------
    Tensor (B,)
        At most 0; differentiable. A statement that no beats of this number can fulfil gets log(1e-30).

    Examples
    --------
    >>> half = torch.log(torch.tensor([[[0.5, 0.0 + 1e-9, 0.5, 0.0 + 1e-9]] * 2]))
    >>> round(float(log_likelihood(half, torch.tensor([2]), longest_run(1, at_least=0.0)).exp()), 3)  # NV or VN
    0.5
    """
    return _through(log_p, lengths, rule, torch.zeros(len(log_p), dtype=torch.int64))


def _through(log_p: Tensor, lengths: Tensor, rule: StripRule, start: Tensor) -> Tensor:
    """Log-likelihood of each strip when its automaton begins in state ``start``."""
    p = log_p.exp()
    count, beats, _ = p.shape
    step, accept = rule.step.to(p), rule.accept.to(p)
    states = len(accept)
    # (S, 4 S): all symbols' moves in one product
    moves = step.permute(1, 0, 2).reshape(states, -1)
    reached = p.new_zeros(count, states)
    reached[torch.arange(count), start] = 1.0
    # states of other rules hold nothing, but their gradients would grow without end
    own = rule.reachable.to(p)[start]
    total = p.new_zeros(count)
    for t in range(min(beats, int(lengths.max()) if count else 0)):
        then = ((reached @ moves).view(count, -1, states) * p[:, t, :, None]).sum(1)
        mass = then.detach().sum(1).clamp_min(_LEAST)
        going = t < lengths
        # Scaled at every beat, so that a long strip of unlikely beats does not underflow. The scale cancels out, so
        # it is a constant to the gradient, which would lose all digits on its way through the quotients.
        total = total + torch.where(going, mass.log(), torch.zeros_like(mass))
        reached = torch.where(going[:, None], own * then / mass[:, None], reached)
    return total + (reached @ accept).clamp_min(_LEAST).log()


def strip_log_likelihood(log_p: Tensor, lengths: Tensor, labels: Tensor) -> Tensor:
    """Log-likelihood of each strip's label; strips whose label says nothing about beats get 0.

    Parameters
    ----------
    log_p : Tensor (B, T, 4)
    lengths : Tensor of int (B,)
    labels : Tensor of int (B,)
        Label ids of :mod:`ecg_engine.labels`.

    Returns
    -------
    Tensor (B,)
    """
    start = torch.tensor([_ALL.start.get(label, _ALL.silent) for label in labels.tolist()], dtype=torch.int64)
    return _through(log_p, lengths, _ALL.rule, start)


def beats_given_label(log_p: Tensor, lengths: Tensor, labels: Tensor) -> Tensor:
    """Probabilities of each beat once its strip's label is taken as true: the posterior under the label's rule.

    The derivative of the log-likelihood by the log-probability of a symbol at a beat is just this posterior.

    Returns
    -------
    Tensor (B, T, 4)
        Sums to 1 within a strip's length. Where a label says nothing or cannot be true, the prior is kept.
    """
    with torch.enable_grad():
        leaf = log_p.detach().double().requires_grad_(True)
        (grad,) = torch.autograd.grad(strip_log_likelihood(leaf, lengths, labels).sum(), leaf, allow_unused=True)
    prior = leaf.detach().exp()
    if grad is None:
        return prior.to(log_p)
    said = grad.sum(2, keepdim=True)
    return torch.where(said > 0.5, grad / said.clamp_min(0.5), prior).to(log_p)
