"""Tokens: a reader's pass to one study, signed, and good for a day.

The secret lies in the data folder, so that a token outlives a server that was killed, and several servers on one folder
know each other's.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer
from itsdangerous.timed import TimestampSigner

from state.channel.refusals import Refusal

SECRET_FILE = "channel.key"
SECRET_BYTES = 32
MAX_AGE = 24 * 3600
"""Seconds that a token is good for."""
_SALT = "ecg-strip-review channel"


class Pass(NamedTuple):
    """Who speaks: a reader, of one study, in one session of the app."""

    study: str
    reader: str
    session: str


def secret(folder: Path) -> bytes:
    """The secret that tokens are signed with: made once per data folder, readable by its owner alone.

    Several processes may ask at once; all get the same.

    Raises
    ------
    OSError
        If the folder cannot be written or the file not be read.
    """
    path = Path(folder) / SECRET_FILE
    try:
        kept = path.read_bytes()
    except FileNotFoundError:
        kept = b""
    if len(kept) == SECRET_BYTES:
        return kept
    part = path.with_name(f"{SECRET_FILE}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(SECRET_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        if kept or (path.exists() and path.stat().st_size != SECRET_BYTES):
            part.replace(path)  # cut short by a full disk: nobody can have used it
        else:
            os.link(part, path)  # fails where another process was quicker: then its secret holds
    except FileExistsError:
        pass
    except OSError:  # a file system without links: then the last of several processes that ask at once wins
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path.read_bytes()


class Tokens:
    """Makes tokens and reads them.

    Parameters
    ----------
    key : bytes
        From :func:`secret`.
    clock : callable
        Seconds since 1970; tests give another.
    """

    def __init__(self, key: bytes, *, clock: Callable[[], float] = time.time) -> None:
        class Signer(TimestampSigner):
            def get_timestamp(self) -> int:
                return int(clock())

        self._serializer = URLSafeTimedSerializer(
            key, salt=_SALT, signer=Signer, signer_kwargs={"digest_method": sha256}
        )

    def make(self, study: str, reader: str, session: str) -> str:
        """A token for a reader in a study."""
        return str(self._serializer.dumps([study, reader, session]))

    def read(self, token: str, *, max_age: float = MAX_AGE) -> Pass:
        """Who a token was made for.

        Raises
        ------
        Refusal
            403 with code ``stale`` if it is too old, ``token`` if there is none or it was not made here.
        """
        try:
            study, reader, session = self._serializer.loads(token, max_age=int(max_age))
            return Pass(str(study), str(reader), str(session))
        except SignatureExpired:
            raise Refusal(403, "stale", "The page has been open for long; it asks for a new pass.") from None
        except (BadSignature, ValueError, TypeError):
            raise Refusal(403, "token", "The page's pass to the store is not known here. Reload the page.") from None
