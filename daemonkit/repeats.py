"""
Which of many alike log lines to write: the first, then one per interval with the number left out. Pure.
"""

from __future__ import annotations


class Repeats:
    """Keeps one kind of log line from flooding the log."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._next = float("-inf")
        self._left_out = 0

    def admit(self, now: float) -> int | None:
        """Return None when a line at `now` (seconds) is to be left out, else how many were since the last one."""
        if now < self._next:
            self._left_out += 1
            return None
        self._next = now + self._interval
        left_out, self._left_out = self._left_out, 0
        return left_out
