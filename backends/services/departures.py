"""
Backends that are ending or gone, told to the proxies of their cluster: one reader for all sockets of a process.

It reads the table when a backend's bell rings, and a window of the recent past now and then, since rings may be lost
and rows may be committed late. What was told is not told again.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import psycopg
import structlog

from postgres.doorbell import Doorbell, Ring
from postgres.pool import DatabaseUnavailable, Pool, Row
from postgres.statements import load
from protocol.backend_state import BackendStatus

DEPARTED_BY_ID: Final = load(__file__, "departed_by_id")
DEPARTED_LATELY: Final = load(__file__, "departed_lately")
#: How far back a scan looks, beyond the last one that worked: longer than any statement takes to commit.
WINDOW: Final = dt.timedelta(seconds=30)
#: How far back a proxy is told that has just connected: it may have been away for some time.
AWAY: Final = dt.timedelta(minutes=10)
AT_MOST: Final = 10_000
_GATHER: Final = 0.002

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Departure:
    """A backend whose end has begun, or is over."""

    backend: str
    cluster: str
    over: bool


Tell = Callable[[Departure], None]


class Departures:
    """Tells followers of a cluster which of its backends are leaving. Reads only while somebody follows."""

    def __init__(self, pool: Pool, doorbell: Doorbell, *, scan_interval: float) -> None:
        self._pool = pool
        self._doorbell = doorbell
        self._scan_interval = scan_interval
        self._followers: dict[str, set[Tell]] = {}
        self._told: dict[str, tuple[float, bool]] = {}  #: backend -> when, and whether it was over
        self._rung: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._scanned_at = 0.0
        self._scan_due = False
        self._task: asyncio.Task[None] | None = None

    def follow(self, cluster: str, tell: Tell) -> Callable[[], None]:
        """Tell of every departure in a cluster from now on. Returns what ends it."""
        self._followers.setdefault(cluster, set()).add(tell)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

        def leave() -> None:
            followers = self._followers.get(cluster, set())
            followers.discard(tell)
            if not followers:
                self._followers.pop(cluster, None)
            if not self._followers and self._task is not None:
                self._task.cancel()
                self._task = None

        return leave

    def is_leaving(self, backend: str) -> bool:
        """Tell whether this departure was told already, so that an older answer must not follow it."""
        return backend in self._told

    async def recent(self, cluster: str) -> list[Departure]:
        """Return the departures that a proxy of this cluster may have missed. Raises: DatabaseUnavailable."""
        rows = await self._pool.fetch(DEPARTED_LATELY, cluster=cluster, window=AWAY, at_most=AT_MOST)
        return [_departure(row) for row in rows]

    async def _run(self) -> None:
        leave = self._doorbell.subscribe("backend", None, tell=self._heard)
        self._scanned_at = _now()
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._scan_interval):
                        await self._wake.wait()
                self._wake.clear()
                try:
                    await self._look()
                except (DatabaseUnavailable, psycopg.Error) as error:
                    self._scan_due = True
                    _log.warning("departures_not_read", error=str(error))
                await asyncio.sleep(_GATHER)
        finally:
            leave()

    def _heard(self, ring: Ring) -> None:
        if ring.missed or len(self._rung) > AT_MOST:
            self._rung.clear()
            self._scan_due = True
        else:
            self._rung[ring.ident] = None
        self._wake.set()

    async def _look(self) -> None:
        now = _now()
        rung, self._rung = self._rung, {}
        if rung:
            self._announce(await self._pool.fetch(DEPARTED_BY_ID, backends=list(rung)), now)
        if self._scan_due or now - self._scanned_at >= self._scan_interval:
            window = WINDOW + dt.timedelta(seconds=now - self._scanned_at)
            rows = await self._pool.fetch(DEPARTED_LATELY, cluster=None, window=window, at_most=AT_MOST)
            self._scan_due = False
            self._scanned_at = now
            self._announce(rows, now)
            self._forget(now)

    def _announce(self, rows: list[Row], now: float) -> None:
        for row in rows:
            departure = _departure(row)
            _, was_over = self._told.get(departure.backend, (now, None))
            if was_over is None or (departure.over and not was_over):
                self._told[departure.backend] = (now, departure.over)
                for tell in list(self._followers.get(departure.cluster, ())):
                    tell(departure)

    def _forget(self, now: float) -> None:
        limit = now - 4 * WINDOW.total_seconds()
        self._told = {backend: told for backend, told in self._told.items() if told[0] > limit}


def _departure(row: Row) -> Departure:
    return Departure(row["id"], row["cluster"], row["status_rank"] == BackendStatus.TERMINATED.rank)


def _now() -> float:
    return asyncio.get_running_loop().time()
