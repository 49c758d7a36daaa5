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
from typing import Any, NamedTuple, cast

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
        if longest > length:
            return state
        present = present + 1 if symbol == V else 0
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


class _Moves(NamedTuple):
    """An automaton made ready to go through."""

    onward: Tensor  # (S, 4 S): all symbols' moves in one product
    back: Tensor  # (S, 4 S): the same from the end
    accept: Tensor  # (S,)
    reachable: Tensor  # (S, S)


def _moves(rule: StripRule, like: Tensor) -> _Moves:
    states = len(rule.accept)
    parts = (rule.step.permute(1, 0, 2).reshape(states, -1), rule.step.permute(2, 0, 1).reshape(states, -1))
    return _Moves(*(part.to(like) for part in (*parts, rule.accept, rule.reachable)))


class _AllRules(NamedTuple):
    """The rules of all labels as one automaton of parts that do not touch: a batch goes through it at once."""

    rule: StripRule
    start: Mapping[int, int]  # label to its first state
    allowed: Mapping[int, Tensor]  # label to the symbols allowed, float64 (4,), where that is all the label says


def _join_rules() -> _AllRules:
    rules = [*{id(rule): rule for rule in STRIP_RULES.values() if len(rule.accept) > 1}.values()]
    first = [0]
    for rule in rules:
        first.append(first[-1] + len(rule.accept))
    step = torch.stack([torch.block_diag(*(rule.step[k] for rule in rules)) for k in range(len(SYMBOLS))])
    joined = StripRule(step, torch.cat([rule.accept for rule in rules]))
    start = {
        label: first[next(i for i, one in enumerate(rules) if one is rule)]
        for label, rule in STRIP_RULES.items()
        if len(rule.accept) > 1
    }
    allowed = {label: rule.step[:, 0, 0] for label, rule in STRIP_RULES.items() if len(rule.accept) == 1}
    return _AllRules(joined, MappingProxyType(start), MappingProxyType(allowed))


_ALL = _join_rules()
_MOVES: dict[tuple[torch.dtype, torch.device], _Moves] = {}


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
    start = torch.zeros(len(log_p), dtype=torch.int64, device=log_p.device)
    return _through(log_p, lengths, _moves(rule, log_p), start)


class _Through(torch.autograd.Function):
    """Log-likelihood of strips; the posterior of each beat, which is its gradient, is found on the way.

    Forwards and backwards through the beats by hand: left to automatic differentiation, a training would spend most
    of its time on the graph of these small steps.
    """

    @staticmethod
    def forward(ctx: Any, log_p: Tensor, lengths: Tensor, moves: _Moves, start: Tensor) -> Tensor:
        p = log_p.exp()
        count, beats = p.shape[0], int(lengths.max()) if len(lengths) else 0
        states = len(moves.accept)
        # states of other rules hold nothing, but on the way back they would grow without end
        own = moves.reachable[start]
        reached = p.new_zeros(count, states)
        reached[torch.arange(count, device=p.device), start] = 1.0
        total, steps = p.new_zeros(count), []
        for t in range(beats):
            by_symbol = (reached @ moves.onward).view(count, -1, states)
            then = (by_symbol * p[:, t, :, None]).sum(1)
            mass = then.sum(1).clamp_min(_LEAST)
            going = t < lengths
            # scaled at every beat, so that a long strip of unlikely beats does not underflow
            total = total + torch.where(going, mass.log(), 0.0)
            reached = torch.where(going[:, None], then / mass[:, None], reached)
            steps.append(by_symbol)
        at_end = reached @ moves.accept
        posterior = torch.zeros_like(p)
        onward = moves.accept * own
        for t in reversed(range(beats)):
            going = t < lengths
            joint = p[:, t] * (steps[t] * onward[:, None]).sum(2)
            posterior[:, t] = torch.where(going[:, None], joint / joint.sum(1, keepdim=True).clamp_min(_LEAST), 0.0)
            before = ((onward @ moves.back).view(count, -1, states) * p[:, t, :, None]).sum(1) * own
            before = before / before.amax(1, keepdim=True).clamp_min(_LEAST)
            onward = torch.where(going[:, None], before, onward)
        posterior[at_end <= _LEAST] = 0.0  # what cannot be true teaches nothing
        ctx.save_for_backward(posterior)
        return total + at_end.clamp_min(_LEAST).log()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        (posterior,) = ctx.saved_tensors
        return posterior * grads[0][:, None, None], None, None, None


def _through(log_p: Tensor, lengths: Tensor, moves: _Moves, start: Tensor) -> Tensor:
    """Log-likelihood of each strip when its automaton begins in state ``start``; differentiable once."""
    return cast(Tensor, _Through.apply(log_p, lengths, moves, start))


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
    out = log_p.new_zeros(len(log_p))
    inside = torch.arange(log_p.shape[1], device=log_p.device) < lengths[:, None]
    told = labels.tolist()
    for label, allowed in _ALL.allowed.items():
        # the label only forbids symbols, so the beats need not be gone through in order
        rows = (labels == label).nonzero()[:, 0].to(log_p.device)
        if len(rows):
            each = torch.logsumexp(log_p[rows].masked_fill(allowed.to(log_p.device) == 0, -torch.inf), 2)
            out = out.index_add(0, rows, (each * inside[rows]).sum(1))
    rows = torch.tensor([row for row, label in enumerate(told) if label in _ALL.start], dtype=torch.int64)
    if len(rows):
        start = torch.tensor([_ALL.start[told[row]] for row in rows.tolist()], dtype=torch.int64)
        rows, start = rows.to(log_p.device), start.to(log_p.device)
        kind = (log_p.dtype, log_p.device)
        if kind not in _MOVES:
            _MOVES[kind] = _moves(_ALL.rule, log_p)
        out = out.index_add(0, rows, _through(log_p[rows], lengths[rows], _MOVES[kind], start))
    return out


def symbol_log_p(log_p: Tensor, acts_as: tuple[int, ...]) -> Tensor:
    """Log-probabilities of N, S, V, F when every class counts as the symbol it acts as; (n, K) to (n, 4)."""
    if len(acts_as) == len(SYMBOLS):
        return log_p
    as_symbol = torch.tensor(acts_as, device=log_p.device)
    return torch.stack([torch.logsumexp(log_p[:, as_symbol == k], 1) for k in range(len(SYMBOLS))], dim=1)


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
