"""What the benchmarks share: the data, a stopwatch for wall and processor time, peak memory, and a plain table."""

from __future__ import annotations

import os
import resource
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REAL = Path(os.environ.get("ECG_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
DS1 = REAL / "mitdb_ds1.xlsx"
SMALL = REAL / "mitdb_ds1_small.xlsx"


@dataclass
class Lap:
    """Seconds of one stretch of work."""

    wall: float = 0.0
    processor: float = 0.0


@contextmanager
def lap() -> Iterator[Lap]:
    """Time a stretch of work: wall clock, and processor time of all threads and finished children."""
    result = Lap()
    wall, processor = time.perf_counter(), _processor()
    yield result
    result.wall, result.processor = time.perf_counter() - wall, _processor() - processor


def _processor() -> float:
    mine, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return mine.ru_utime + mine.ru_stime + children.ru_utime + children.ru_stime


def peak_memory_gb() -> float:
    """Largest resident memory of this process so far, in GB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table in Markdown, ready for the docs."""
    print(f"\n### {title}\n")
    print("| " + " | ".join(header) + " |")
    print("| " + " | ".join("---" if i == 0 else "---:" for i in range(len(header))) + " |")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    sys.stdout.flush()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
