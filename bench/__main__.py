"""Run all benchmarks, each in a process of its own: ``python -m bench [name ...]``."""

from __future__ import annotations

import subprocess
import sys

from bench.common import REAL

NAMES = (
    "preprocessing",
    "training",
    "batching",
    "acknowledgement",
    "review_latency",
    "profiles",
    "arrhythmia_af",
    "arrhythmia_flutter",
    "arrhythmia_elsewhere",
    "arrhythmia_unknown",
    "suspects",
    "arrhythmia_rpeaks",
    "quality",
    "arrhythmia_time",
)


def main() -> int:
    names = sys.argv[1:] or list(NAMES)
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"There is no benchmark {unknown[0]!r}; there are: {', '.join(NAMES)}.", file=sys.stderr)
        return 2
    if not REAL.is_dir():
        print(
            f"The benchmarks need the real ECG in {REAL.parent.name}/{REAL.name} beside the project.", file=sys.stderr
        )
        return 2
    failed = [name for name in names if subprocess.run([sys.executable, "-m", f"bench.{name}"]).returncode]
    if failed:
        print(f"Failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
