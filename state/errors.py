"""Errors of the store; like the engine's, each carries one clear sentence for the screen."""

from __future__ import annotations

from ecg_engine.errors import EngineError


class StoreError(EngineError):
    """Something asked of the store that it cannot do."""


class NotFoundError(StoreError):
    """An id that the store does not know."""


class DecisionError(StoreError):
    """A decision that makes no sense: unknown field, target or value."""
