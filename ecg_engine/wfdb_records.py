"""WFDB records (PhysioNet's .hea and .dat): one lead, cut into strips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg_engine.errors import InputError

PREFERRED_LEAD = "MLII"
_PER_MV = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "v": 1e3}


@dataclass(frozen=True)
class RecordLead:
    """One lead of a record.

    Attributes
    ----------
    name : str
        Name of the record.
    lead : str
        Name of the lead read.
    leads : tuple of str
        All leads of the record.
    fs : float
        Hz.
    millivolts : float32 (n,)
    """

    name: str
    lead: str
    leads: tuple[str, ...]
    fs: float
    millivolts: NDArray[np.float32]


def read_record(header: Path) -> RecordLead:
    """Read lead MLII of a record if it has one, else its first lead.

    Parameters
    ----------
    header : Path
        The .hea file; the signal file that it names must lie beside it.

    Raises
    ------
    InputError
        If the header or its signal file is missing or damaged, or holds no lead.
    """
    import wfdb  # slow to import, and only needed here

    base = str(header.with_suffix(""))
    try:
        names = tuple(wfdb.rdheader(base, rd_segments=True).sig_name or ())
        if not names:
            raise InputError("this record has no signals", where=header.name)
        lead = PREFERRED_LEAD if PREFERRED_LEAD in names else names[0]
        record = wfdb.rdrecord(base, channel_names=[lead])
        signal, fs, unit = record.p_signal[:, 0], float(record.fs), str(record.units[0])
    except InputError:
        raise
    except FileNotFoundError as error:
        missing = Path(str(error.filename)).name if error.filename else "a file of this record"
        raise InputError(
            f"{missing} is missing",
            where=header.name,
            remedy="Give the .hea and the .dat file together, in one folder.",
        ) from error
    except Exception as error:  # wfdb raises many kinds for a damaged file
        raise InputError(f"this record cannot be read ({error})", where=header.name) from error
    millivolts = (signal * _PER_MV.get(unit.casefold(), 1.0)).astype(np.float32)
    return RecordLead(header.stem, lead, names, fs, millivolts)


def cut_record(record: RecordLead, duration_sec: float) -> list[NDArray[np.float32]]:
    """Strips of `duration_sec` from the start of the record on, in millivolts.

    A record shorter than one strip is one strip. Else what remains at the end is the last, shorter item of the list.
    """
    length = max(1, round(duration_sec * record.fs))
    starts = range(0, max(len(record.millivolts), 1), length)
    return [record.millivolts[start : start + length] for start in starts]
