"""``python -m ecg_engine``."""

import sys

from ecg_engine.cli import main

sys.exit(main())
