"""
How often one may complain about the same thing in the log: once in a while, with how many were kept quiet. Pure.
"""

from __future__ import annotations


class Complaints:
    """Limits log lines of one connection, by kind."""

    def __init__(self, *, every: float) -> None:
        self._every = every
        self._last: dict[str, float] = {}
        self._quiet: dict[str, int] = {}

    def admit(self, kind: str, now: float) -> int | None:
        """Return how many were kept quiet since the last line of this kind, or None when this one is too."""
        last = self._last.get(kind)
        if last is not None and now - last < self._every:
            self._quiet[kind] = self._quiet.get(kind, 0) + 1
            return None
        self._last[kind] = now
        return self._quiet.pop(kind, 0)
