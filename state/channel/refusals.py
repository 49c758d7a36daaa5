"""Why a message of a browser is turned away: status, code and a sentence for the screen."""

from __future__ import annotations


class Refusal(Exception):
    """A message that is not answered.

    Attributes
    ----------
    status : int
        HTTP status: 400 not understood, 403 may not, 413 too large, 503 the database does not answer.
    code : str
        What the browser's script goes by.
    sentence : str
        For the screen.
    """

    def __init__(self, status: int, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.code, self.sentence = status, code, sentence


def unclear(sentence: str) -> Refusal:
    """400: the message itself is not understood."""
    return Refusal(400, "message", sentence)
