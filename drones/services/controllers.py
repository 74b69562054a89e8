"""
Controllers among themselves: each registers, sends heartbeats and says goodbye.

A heartbeat also keeps watch over the database's identity and clock, on which the leases of keys rest.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from drones.context import ControllerContext
from postgres.pool import DatabaseUnavailable
from postgres.statements import Statement, load

HEARTBEAT: Final = load(__file__, "heartbeat_controller")
GOODBYE: Final = load(__file__, "say_goodbye")
CHECK: Final = Statement("check_database", "select 1 as alive")
#: Seconds between heartbeats, at most; shorter with short terms.
INTERVAL: Final = 1.0
#: Seconds that a reading of the database's clock may take.
READING_LIMIT: Final = 1.0

_log = structlog.get_logger(__name__)


async def send_heartbeat(context: ControllerContext, *, jumped: bool = False) -> bool:
    """
    Register, or say that this controller lives; tell whether the database's clock has jumped.

    Raises:
        DatabaseUnavailable: nobody was told.
    """
    before = context.steady_clock()
    row = await context.pool.fetch_one(
        HEARTBEAT,
        name=context.name,
        version=context.version,
        git_hash=context.git_hash,
        url=context.url,
        lease=context.terms.expiry,
        jumped=jumped,
    )
    assert row is not None, "the statement always returns a row"
    if row["takeover_after"] is not None:
        _log.warning("takeovers_suspended", until=row["takeover_after"].isoformat(), clock_jumped=jumped)
    after = context.steady_clock()
    if after - before > READING_LIMIT:
        return False  # too slow an answer to say when the clock was read
    return context.clock_watch.note(row["now"], (before + after) / 2)


async def heartbeat_forever(context: ControllerContext) -> None:
    """Send heartbeats until cancelled, also through times without a database."""
    interval = min(INTERVAL, context.terms.heartbeat.total_seconds(), context.terms.renew.total_seconds())
    silent = jumped = False
    while True:
        try:
            # A jump is told to all controllers at once, not with the next beat.
            while jumped := await send_heartbeat(context, jumped=jumped):
                _log.error("database_clock_jumped")
            if silent:
                _log.info("database_found_again", controller=context.name)
            silent = False
        except DatabaseUnavailable as error:
            if not silent:
                _log.error("database_lost", controller=context.name, error=str(error))
            silent = True
        await asyncio.sleep(interval)


async def say_goodbye(context: ControllerContext) -> None:
    """Tell the others that this controller ends. Raises: DatabaseUnavailable."""
    await context.pool.execute(GOODBYE, name=context.name)
    _log.info("controller_said_goodbye", controller=context.name)


async def check_database(context: ControllerContext) -> None:
    """Make sure that the database answers. Raises: DatabaseUnavailable."""
    await context.pool.fetch_one(CHECK)
