"""
The asynchronous connections of the hot paths: one statement, one round trip, one commit.

Connections are in autocommit and prepare every statement at its first use. Whoever needs several statements in one
transaction writes them as one. What cannot be had within its limit is `DatabaseUnavailable`; the pool mends itself when
the database is back. Django's own connections are not these.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

import psycopg
import structlog
from psycopg import AsyncConnection, AsyncCursor, AsyncRawCursor
from psycopg.rows import DictRow, dict_row
from psycopg.types.numeric import Int8Dumper
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from postgres.silence import SILENCE_LIMITS
from postgres.statements import Statement

Row: TypeAlias = DictRow
Cursor: TypeAlias = AsyncCursor[DictRow]
T = TypeVar("T")

_log = structlog.get_logger(__name__)

#: Classes of SQLSTATE that blame the statement or a neighbour, not the database's health: 23 constraints, 40 rollbacks.
_NOT_ABOUT_HEALTH: Final = ("23", "40")


class DatabaseUnavailable(Exception):
    """No connection within the limit, or it broke on the way: whether the statement took effect is then unknown."""


@dataclass(frozen=True, kw_only=True)
class PoolLimits:
    """How many connections, and how long (seconds) to wait for one, for an answer, for a new connection."""

    connections: int = 10
    waiting: int = 1000
    acquire: float = 3.0
    statement: float = 10.0
    connect: float = 5.0


class Pool:
    """Runs named statements on pooled connections."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[DictRow]], limits: PoolLimits) -> None:
        self._pool = pool
        # Longer than the server's own limit: this is for a server that does not answer at all.
        self._patience = limits.acquire + limits.statement + 1.0
        self._checking: asyncio.Task[None] | None = None

    async def fetch(self, statement: Statement, /, **parameters: Any) -> list[Row]:
        """Run a statement and return its rows. Raises: DatabaseUnavailable."""
        return await self._run(statement, parameters, take=_all_rows)

    async def fetch_one(self, statement: Statement, /, **parameters: Any) -> Row | None:
        """Run a statement and return its first row, or None. Raises: DatabaseUnavailable."""
        return await self._run(statement, parameters, take=_first_row)

    async def execute(self, statement: Statement, /, **parameters: Any) -> int:
        """Run a statement and return how many rows it changed. Raises: DatabaseUnavailable."""
        return await self._run(statement, parameters, take=_row_count)

    async def _run(
        self, statement: Statement, parameters: dict[str, Any], *, take: Callable[[Cursor], Awaitable[T]]
    ) -> T:
        values = statement.arrange(parameters)
        try:
            async with asyncio.timeout(self._patience), self._pool.connection() as connection:
                cursor = connection.cursor()
                await cursor.execute(statement.query, values)
                return await take(cursor)
        except TimeoutError as error:
            raise DatabaseUnavailable(f"no answer to {statement.name}") from error
        except (PoolTimeout, TooManyRequests, PoolClosed) as error:
            raise DatabaseUnavailable(f"no connection for {statement.name}: {error}") from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            if (error.sqlstate or "").startswith(_NOT_ABOUT_HEALTH):
                raise
            self._drop_broken()
            raise DatabaseUnavailable(f"{statement.name} failed: {error}") from error

    def _drop_broken(self) -> None:
        """Look at all idle connections: when one broke, most others did too, and each would cost a request."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._pool.check())

    @property
    def dsn(self) -> str:
        """The address of the database, for a session of one's own."""
        assert isinstance(self._pool.conninfo, str), "opened with a fixed address"
        return self._pool.conninfo

    async def close(self) -> None:
        """Close all connections."""
        if self._checking is not None:
            self._checking.cancel()
        await self._pool.close(timeout=1.0)


async def _all_rows(cursor: Cursor) -> list[Row]:
    return await cursor.fetchall()


async def _first_row(cursor: Cursor) -> Row | None:
    return await cursor.fetchone()


async def _row_count(cursor: Cursor) -> int:
    return cursor.rowcount


def _configured(limits: PoolLimits) -> Callable[[AsyncConnection[DictRow]], Any]:
    """Return what every new connection gets before its first use."""
    milliseconds = int(limits.statement * 1000)

    async def configure(connection: AsyncConnection[DictRow]) -> None:
        # One type for all integers: else each size of a value would be another prepared statement.
        connection.adapters.register_dumper(int, Int8Dumper)
        # Every statement here finds its rows by index. So planning it anew for each value costs more than it wins, and
        # so does compiling it; and a plan made while a table was still empty must not read all of it later.
        await connection.execute(
            "select set_config('statement_timeout', $1, false), set_config('jit', 'off', false),"
            " set_config('plan_cache_mode', 'force_generic_plan', false), set_config('enable_seqscan', 'off', false)",
            [str(milliseconds)],
        )

    return configure


async def open_pool(dsn: str, *, name: str = "plane", limits: PoolLimits | None = None) -> Pool:
    """Open a pool. It does not wait for the database: the first statement does. `name` shows in pg_stat_activity."""
    chosen = limits or PoolLimits()
    pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
        dsn,
        kwargs={
            "autocommit": True,
            "prepare_threshold": 0,
            "cursor_factory": AsyncRawCursor,
            "row_factory": dict_row,
            "connect_timeout": max(1, int(chosen.connect)),
            "application_name": name,
            **SILENCE_LIMITS,
        },
        configure=_configured(chosen),
        min_size=min(2, chosen.connections),
        max_size=chosen.connections,
        max_waiting=chosen.waiting,
        timeout=chosen.acquire,
        # Short, so that a database that is back is found by the next request, not after a long backoff.
        reconnect_timeout=1.0,
        open=False,
    )
    await pool.open(wait=False)
    return Pool(pool, chosen)
