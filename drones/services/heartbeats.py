"""
Heartbeats of drones: all that arrive at one controller within some milliseconds, in one statement.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from drones.services.nodes import Connection
from postgres.gathering import Gatherer
from postgres.pool import Pool
from postgres.statements import load

NOTE_HEARTBEATS: Final = load(__file__, "note_heartbeats")


class Heartbeats:
    """Stores drones' clocks."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        # No patience: a clock that is stored late would be taken for fresher than it is.
        self._gatherer = Gatherer("heartbeats", self._store, every=0.03, patience=0.0)

    def submit(self, connection: Connection, local_time: int) -> asyncio.Future[bool]:
        """Store one; the answer is whether the connection is still the drone's current one."""
        return self._gatherer.submit(connection, (connection, local_time))

    async def _store(self, beats: Sequence[tuple[Connection, int]]) -> list[bool]:
        rows = await self._pool.fetch(
            NOTE_HEARTBEATS,
            nodes=[connection.node for connection, _ in beats],
            connections=[connection.uuid for connection, _ in beats],
            local_times=[local_time for _, local_time in beats],
        )
        current = {row["connection"] for row in rows}
        return [connection.uuid in current for connection, _ in beats]
