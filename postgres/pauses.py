"""
How long to wait before a lost connection to Postgres is tried again. Pure.
"""

from __future__ import annotations

from random import Random
from typing import Final

FIRST: Final = 0.05
LONGEST: Final = 2.0


def pause_before(attempt: int, dice: Random) -> float:
    """Return seconds before the n-th attempt in a row (from 0): doubled up to a cap, at most halved by chance."""
    whole: float = min(LONGEST, FIRST * 2 ** min(attempt, 16))
    return whole * (0.5 + dice.random() / 2)
