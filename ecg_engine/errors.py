"""Every error that the engine raises on purpose. All of them carry a sentence fit for a screen."""

from __future__ import annotations


class EngineError(ValueError):
    """Base of all errors that a person can act on; ``str(error)`` is one clear sentence or two."""


class InputError(EngineError):
    """A file, row or value that cannot be read.

    Parameters
    ----------
    what : str
        What is wrong, naming the value.
    where : str, optional
        File, row or column, as the person would look it up.
    remedy : str, optional
        What to do about it.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        head = f"{where}: {what}" if where else what
        super().__init__(f"{head.rstrip('.')}. {remedy}".strip())


class ConfigError(EngineError):
    """A setting that is unknown or impossible; the message names the value and the choices."""


class BundleError(EngineError):
    """A model file that is damaged, of another kind, or made for other beats."""


class Cancelled(Exception):
    """Raised by a progress callback to stop long work; not an error."""
