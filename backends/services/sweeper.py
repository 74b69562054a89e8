"""
Ends what is idle, overdue or lost, and cleans up. One of all controllers does it, on the session that holds the lock.

It decides nothing in memory: each round is a few statements that say themselves whom they concern.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Final

import structlog

from backends.services.cleanup import clean_up
from drones.context import ControllerContext
from drones.health import scan_interval
from postgres.exclusive import SESSION_LOST, ExclusiveSession, exclusive_session
from postgres.pauses import pause_before
from postgres.statements import Statement, load
from protocol.actions import Action, Terminate
from protocol.backend_state import TerminationKind, TerminationReason
from protocol.codec import encode
from protocol.names import Prefix, draw_name

SWEEP_OVERDUE: Final = load(__file__, "sweep_overdue")
SWEEP_LOST: Final = load(__file__, "sweep_lost")
READ_CLOCK: Final = Statement("read_clock", "select clock_timestamp() as now")

SWEEPER_LOCK: Final = 1
#: Backends in one statement, and statements in one round.
PAGE: Final = 200
PAGES: Final = 50
#: Heartbeat intervals that proxies get to come back and say what is in use, before anything older is taken for idle.
GRACE: Final = 3
#: Heartbeat intervals for which one keepalive counts at least.
IN_USE_FOR: Final = 2
#: Seconds between clean-ups.
CLEANUP_INTERVAL: Final = 60.0

_TERMINATE: Final = encode(Action(terminate=Terminate(TerminationKind.SOFT, TerminationReason.SWEPT))).decode()
_log = structlog.get_logger(__name__)


class Sweeper:
    """Sweeps, whenever this controller is the one to do it."""

    def __init__(self, context: ControllerContext, *, every: float | None = None) -> None:
        self._context = context
        self._every = every or scan_interval(context.terms)
        self.sweeping = False  #: whether this controller is the one

    async def run(self) -> None:
        """Wait for the lock, sweep while it is held, and begin again when it is lost; until cancelled."""
        attempt = 0
        while True:
            try:
                await self._hold_and_sweep()
            except SESSION_LOST as error:
                _log.warning("sweeper_session_lost", sweeping=self.sweeping, error=str(error))
                attempt = 0 if self.sweeping else attempt + 1
            finally:
                self.sweeping = False
            await asyncio.sleep(pause_before(attempt, self._context.dice))

    async def _hold_and_sweep(self) -> None:
        idle_limit = max(30.0, 6 * self._every)
        dsn, name = self._context.pool.dsn, self._context.name
        async with exclusive_session(dsn, SWEEPER_LOCK, name=name, every=self._every, idle_limit=idle_limit) as session:
            self.sweeping = True
            [row] = await session.fetch(READ_CLOCK)
            _log.info("sweeper_began", controller=self._context.name)
            clock = asyncio.get_running_loop().time
            cleaned_at = clock() - CLEANUP_INTERVAL
            while True:
                await self._sweep(session, row["now"])
                if clock() - cleaned_at >= CLEANUP_INTERVAL:
                    cleaned_at = clock()
                    await clean_up(session, min_age=self._context.cleanup_min_age)
                await asyncio.sleep(self._every)

    async def _sweep(self, session: ExclusiveSession, since: dt.datetime) -> None:
        for _ in range(PAGES):
            if await self._end_overdue(session, since) < PAGE:
                break
        for _ in range(PAGES):
            if await self._give_up_lost(session, since) < PAGE:
                break

    async def _end_overdue(self, session: ExclusiveSession, since: dt.datetime) -> int:
        context = self._context
        rows = await session.fetch(
            SWEEP_OVERDUE,
            orders=[draw_name(Prefix.ACTION, context.dice) for _ in range(PAGE)],
            action=_TERMINATE,
            since=since,
            grace=GRACE * context.terms.heartbeat,
            in_use_for=IN_USE_FOR * context.terms.heartbeat,
        )
        for node in {row["drone_id"] for row in rows}:
            context.bell.ring("drone", str(node))
        if rows:
            _log.info("backends_swept", backends=[row["backend_id"] for row in rows])
        return len(rows)

    async def _give_up_lost(self, session: ExclusiveSession, since: dt.datetime) -> int:
        context = self._context
        rows = await session.fetch(
            SWEEP_LOST, lost=context.terms.lost, since=since, grace=GRACE * context.terms.heartbeat, at_most=PAGE
        )
        for row in rows:
            context.bell.ring("backend", row["id"])
        if rows:
            _log.warning("backends_lost", backends=[row["id"] for row in rows])
        return len(rows)
