"""
Deletes what nobody needs any more, in small batches: a large one would hold locks while everybody waits.

Expired tokens, released keys and dead controllers always; ended backends with all that belongs to them only when a
minimum age is configured.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any, Final

import structlog

from drones.services.retirement import DELETE_DEAD_CONTROLLERS
from postgres.exclusive import ExclusiveSession
from postgres.statements import Statement, load

DELETE_EXPIRED_TOKENS: Final = load(__file__, "delete_expired_tokens")
DELETE_RELEASED_KEYS: Final = load(__file__, "delete_released_keys")
DELETE_OLD_BACKENDS: Final = load(__file__, "delete_old_backends")

#: Rows of the leading table in one statement.
BATCH: Final = 500
#: Batches of one kind in a row; the next round goes on.
BATCHES: Final = 100
#: Seconds between batches, for others.
BREATH: Final = 0.02
#: A use that is being noted just now may still prolong a token.
TOKEN_MARGIN: Final = dt.timedelta(seconds=30)
#: How long a key without a holder, or a controller without a heartbeat, stays.
MEMORY: Final = dt.timedelta(days=1)

_log = structlog.get_logger(__name__)


async def clean_up(session: ExclusiveSession, *, min_age: dt.timedelta | None) -> None:
    """Delete what is old, as far as one round may take. Raises psycopg's errors when the session is lost."""
    await _delete(session, DELETE_EXPIRED_TOKENS, margin=TOKEN_MARGIN)
    await _delete(session, DELETE_RELEASED_KEYS, min_age=MEMORY)
    await _delete(session, DELETE_DEAD_CONTROLLERS, min_age=MEMORY)
    if min_age is not None:
        await _delete(session, DELETE_OLD_BACKENDS, min_age=min_age)


async def _delete(session: ExclusiveSession, statement: Statement, **parameters: Any) -> None:
    total = 0
    for _ in range(BATCHES):
        count = await session.execute(statement, **parameters, at_most=BATCH)
        total += count
        if count < BATCH:
            break
        await asyncio.sleep(BREATH)
    if total:
        _log.info("old_rows_deleted", statement=statement.name, count=total)
