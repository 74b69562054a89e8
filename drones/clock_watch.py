"""
Whether the database's clock runs as steadily as ours. Pure: both readings are parameters.

Leases run out by the database's clock. When that jumps ahead, keys look expired whose backends still live, so no
expired key is taken over for one full lease after a jump.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from typing import Final

#: How far the two clocks may move against each other within one lease.
TOLERANCE: Final = dt.timedelta(seconds=2)


class ClockWatch:
    """Compares readings of the database's clock with readings of a steady one (seconds), over one lease."""

    def __init__(self, lease: dt.timedelta) -> None:
        self._lease = lease.total_seconds()
        self._readings: deque[tuple[float, dt.datetime]] = deque()

    def note(self, database: dt.datetime, steady: float) -> bool:
        """Take a reading of both clocks at one moment; tell whether the database's has jumped. Then starts anew."""
        while self._readings and self._readings[0][0] < steady - self._lease:
            self._readings.popleft()
        jumped = any(abs(database - self._expected(reading, steady)) > TOLERANCE for reading in self._readings)
        if jumped:
            self._readings.clear()
        self._readings.append((steady, database))
        return jumped

    def latest_plausible(self, steady: float) -> dt.datetime | None:
        """Return the latest that the database's clock may show now, or None before the first reading."""
        if not self._readings:
            return None
        return self._expected(self._readings[-1], steady) + TOLERANCE

    @staticmethod
    def _expected(reading: tuple[float, dt.datetime], steady: float) -> dt.datetime:
        then, database = reading
        return database + dt.timedelta(seconds=steady - then)
