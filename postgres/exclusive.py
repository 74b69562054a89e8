"""
One among all processes: whoever holds a session lock of Postgres, for as long as its session lives.

What may be done by one only is done on the session that holds the lock, so it ends with the lock. The server ends the
session when its process dies, when its machine is gone, and when it has said nothing for too long (a frozen process).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.rows import DictRow, dict_row
from psycopg.types.numeric import Int8Dumper

from postgres.silence import SILENCE_LIMITS
from postgres.statements import Statement

#: "plane" on a telephone: keeps our locks apart from others' in a shared database.
_NAMESPACE: Final = 75263

_SETTINGS: Final = (
    "select set_config('statement_timeout', $1, false), set_config('idle_session_timeout', $2, false),"
    " set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),"
    " set_config('tcp_keepalives_count', '3', false), set_config('jit', 'off', false)"
)


class ExclusiveSession:
    """A session that holds a lock. Fails with psycopg's errors when it is over."""

    def __init__(self, connection: AsyncConnection[DictRow]) -> None:
        self._connection = connection

    async def fetch(self, statement: Statement, /, **parameters: Any) -> list[DictRow]:
        """Run a statement and return its rows."""
        cursor = await self._connection.execute(statement.query, statement.arrange(parameters))
        return await cursor.fetchall()

    async def execute(self, statement: Statement, /, **parameters: Any) -> int:
        """Run a statement and return how many rows it changed."""
        cursor = await self._connection.execute(statement.query, statement.arrange(parameters))
        return cursor.rowcount


@asynccontextmanager
async def exclusive_session(
    dsn: str, lock: int, *, name: str, every: float, idle_limit: float
) -> AsyncIterator[ExclusiveSession]:
    """
    Wait, asking every so many seconds, until this process holds the lock, and give it back afterwards.

    `name` shows in pg_stat_activity.

    Who says nothing for `idle_limit` seconds loses it. Raises psycopg's errors when the database goes away.
    """
    connection = await AsyncConnection.connect(
        dsn,
        autocommit=True,
        cursor_factory=AsyncRawCursor,
        row_factory=dict_row,
        application_name=name,
        connect_timeout=5,
        **SILENCE_LIMITS,
    )
    async with connection:
        connection.adapters.register_dumper(int, Int8Dumper)
        await connection.execute(_SETTINGS, ["30000", str(int(idle_limit * 1000))])
        await _await_lock(connection, lock, every=every)
        yield ExclusiveSession(connection)


async def _await_lock(connection: AsyncConnection[DictRow], lock: int, *, every: float) -> None:
    # Asked for again and again, not waited for: a session that waits looks busy, and is never ended for its silence.
    while True:
        cursor = await connection.execute(
            "select pg_try_advisory_lock($1::integer, $2::integer) as locked", [_NAMESPACE, lock]
        )
        row = await cursor.fetchone()
        if row and row["locked"]:
            return
        await asyncio.sleep(every)


#: What may go wrong with a session: the server is away, or has ended it.
SESSION_LOST: Final = (psycopg.OperationalError, psycopg.InterfaceError, OSError, TimeoutError)
