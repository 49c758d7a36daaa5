"""Who decided how much, and how fast: counts by reader and hour. Pure functions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from state.telling import DECISION, UNDONE, local

PAUSE_MIN = 5.0
"""Minutes without a decision after which a reader counts as away."""
DECISIONS, ITEMS = "Decisions", "Items"


def counts_per_hour(table: pd.DataFrame, zone: str | None = None, what: str = DECISIONS) -> pd.DataFrame:
    """Decisions per hour (rows, newest first) and reader (columns).

    Parameters
    ----------
    table : DataFrame
        From :func:`~state.telling.history_table`; undos are not counted.
    zone : str, optional
        Name of the time zone that hours go by; UTC by default.
    what : str
        ``DECISIONS``, or ``ITEMS``: what was decided about, each once an hour.
    """
    made = table[table["action"] == DECISION]
    hours = pd.DataFrame(
        {"hour": local(made["at"], zone).dt.floor("h"), "reader": made["reader"], "target": made["target"]}
    )
    if what == ITEMS:
        hours = hours.drop_duplicates()
    counts = hours.groupby(["hour", "reader"]).size().unstack("reader", fill_value=0)
    return counts.sort_index(ascending=False)


def reader_totals(table: pd.DataFrame) -> pd.DataFrame:
    """For each reader: decisions, of which undone, undos, items, minutes at work, items an hour.

    At work is the time between decisions that follow each other within ``PAUSE_MIN``; the pace is missing where that
    is under a minute.
    """
    columns = ["reader", "decisions", "of which undone", "undos", "items", "minutes", "items an hour"]
    rows = []
    for reader, mine in table.groupby("reader"):
        made = mine[mine["action"] == DECISION]
        gaps = np.diff(np.sort(mine["at"].to_numpy(dtype="datetime64[us]"))) / np.timedelta64(60, "s")
        minutes = float(gaps[gaps <= PAUSE_MIN].sum())
        items = made["target"].nunique()
        undone = int((made["state"] == UNDONE).sum())
        pace = 60 * items / minutes if minutes >= 1 else float("nan")
        rows.append((reader, len(made), undone, len(mine) - len(made), items, minutes, pace))
    return pd.DataFrame(rows, columns=columns)


def counts_by_doing(table: pd.DataFrame) -> pd.DataFrame:
    """What was done (rows, most frequent first) by each reader (columns), undos left out."""
    made = table[table["action"] == DECISION]
    counts = made.groupby(["doing", "reader"]).size().unstack("reader", fill_value=0)
    return counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
