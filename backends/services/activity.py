"""
Which backends are in use: keepalives of all proxies of a controller, in few statements however many they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from postgres.gathering import Notes
from postgres.pool import Pool
from postgres.statements import load

NOTE_KEEPALIVES: Final = load(__file__, "note_keepalives")


class Activity:
    """Notes that backends are in use."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._notes = Notes("keepalives", self._write, every=0.1)

    def keepalive(self, backend: str, *, cluster: str) -> None:
        """Note that a backend is in use now, if it is one of this cluster."""
        self._notes.note((backend, cluster), None)

    async def _write(self, notes: Mapping[tuple[str, str], None]) -> int:
        return await self._pool.execute(
            NOTE_KEEPALIVES,
            backends=[backend for backend, _ in notes],
            clusters=[cluster for _, cluster in notes],
        )
