"""Every connection gives up on a server that is gone without a word."""

from __future__ import annotations

import psycopg
import pytest

from postgres import doorbell
from postgres.exclusive import exclusive_session
from postgres.pool import open_pool
from postgres.silence import SILENCE_LIMITS

pytestmark = pytest.mark.postgres


async def test_every_connection_gives_up_on_a_server_that_is_gone_without_a_word(database: str) -> None:
    """A network cannot be cut off here; what the kernel is told can be seen."""
    pool = await open_pool(database)
    async with (
        pool._pool.connection() as pooled,
        exclusive_session(database, 4, name="test", every=0.1, idle_limit=30) as session,
        await doorbell._connect(database) as rings,
    ):
        for connection in (pooled, session._connection, rings):
            assert told(connection).items() >= {name: str(value) for name, value in SILENCE_LIMITS.items()}.items()
    await pool.close()


def told(connection: psycopg.AsyncConnection[object]) -> dict[str, str]:
    """Return what the client library was told."""
    return connection.info.get_parameters()
