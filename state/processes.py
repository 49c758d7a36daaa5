"""Whether a process that was started earlier, perhaps by an app that is long gone, still lives."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path


def host_name() -> str:
    """Name of this machine (or container): process ids mean something on one host only."""
    return socket.gethostname()


def process_token(pid: int) -> str | None:
    """What tells a process from a later one with the same id: its start time. None if there is no such process.

    A zombie counts as gone. On systems without ``/proc`` and ``ps`` the token is "" for any living process.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except (PermissionError, OSError):
        pass
    if Path("/proc/self/stat").exists():
        return _linux_token(pid)
    return _ps_token(pid)


def is_alive(pid: int, token: str | None) -> bool:
    """Whether the process of this id is the one that the token was taken from."""
    found = process_token(pid)
    return found is not None and (not token or not found or found == token)


def _linux_token(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    # The name, in brackets, may itself hold blanks and brackets.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else f"{boot}:{fields[19]}"


def _ps_token(pid: int) -> str | None:
    try:
        result = subprocess.run(
            ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    state, _, started = result.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()
