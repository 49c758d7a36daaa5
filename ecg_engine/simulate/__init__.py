"""Made-up strips of every label with known beats, seeded: for the demo study and for tests.

The strips look like real single-lead ones (P-QRS-T from Gaussians, one morphology a patient, noise of several
kinds), in the form of a technician's spreadsheet: integers at 200 units/mV and 260.4 Hz by default. They are
no substitute for real ECG: no figure about how well the machine reads may be taken from them.
"""

from __future__ import annotations

from ecg_engine.simulate.strips import (
    Simulated,
    render,
    simulate_strips,
    write_beats_csv,
    write_xlsx,
)

__all__ = ["Simulated", "render", "simulate_strips", "write_beats_csv", "write_xlsx"]
