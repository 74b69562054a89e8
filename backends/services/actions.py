"""
Orders to drones: sent from the database to the drone's current connection, kept there until acknowledged.

Sent when the connection opens, when the drone's bell rings, and by a periodic scan. A bounded number is on its way at a
time; the next follow when these are acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from backends.keys import settle_deadlines
from backends.order_window import OrderWindow
from drones.health import scan_interval
from drones.services.nodes import Connection
from drones.terms import Terms
from postgres.gathering import Gatherer
from postgres.pool import DatabaseUnavailable, Pool
from postgres.statements import load
from protocol.actions import Action, ActionOrder
from protocol.codec import decode
from protocol.drone_messages import AckAction

PENDING_ORDERS: Final = load(__file__, "pending_orders")
ACKNOWLEDGE_ORDERS: Final = load(__file__, "acknowledge_orders")
#: Orders on their way to one drone.
WINDOW: Final = 50

_log = structlog.get_logger(__name__)


class Superseded(Exception):
    """The connection is no longer the drone's current connection."""


@dataclass(frozen=True)
class Acknowledgement:
    """A drone has an order, and said so on this connection."""

    connection: Connection
    message: AckAction


class Acknowledgements:
    """Notes which orders have arrived, for all drones of a controller."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._gatherer = Gatherer("acknowledgements", self._store, every=0.002, patience=10.0)

    def submit(self, acknowledgement: Acknowledgement) -> asyncio.Future[None]:
        """Store one; done when it is stored."""
        return self._gatherer.submit(acknowledgement, acknowledgement)

    async def _store(self, batch: Sequence[Acknowledgement]) -> list[None]:
        await self._pool.execute(
            ACKNOWLEDGE_ORDERS,
            orders=[each.message.action_id for each in batch],
            nodes=[each.connection.node for each in batch],
            connections=[each.connection.uuid for each in batch],
        )
        return [None] * len(batch)


class OrderStream:
    """Sends one drone's orders over its connection, until that is superseded."""

    def __init__(
        self, pool: Pool, terms: Terms, *, connection: Connection, send: Callable[[ActionOrder], None]
    ) -> None:
        self._pool = pool
        self._terms = terms
        self._connection = connection
        self._send = send
        self._scan_interval = scan_interval(terms)
        self._window = OrderWindow(size=WINDOW, resend_after=terms.renew.total_seconds())
        self._look = asyncio.Event()

    def look(self) -> None:
        """Look at the table soon: a bell rang, there is room again, or the drone's clock is known."""
        self._look.set()

    def settled(self, order: str) -> None:
        """Note that an order was acknowledged."""
        self._window.settled([order])
        self._look.set()

    async def run(self) -> None:
        """Send orders until cancelled. Raises: Superseded."""
        while True:
            self._look.clear()
            try:
                await self._send_next()
            except DatabaseUnavailable as error:
                _log.warning("orders_not_read", node=self._connection.node, error=str(error))
            try:
                async with asyncio.timeout(self._scan_interval):
                    await self._look.wait()
            except TimeoutError:
                continue

    async def _send_next(self) -> None:
        now = asyncio.get_running_loop().time()
        overdue, room = self._window.overdue(now), self._window.room(now)
        rows = await self._pool.fetch(
            PENDING_ORDERS,
            node=self._connection.node,
            connection=self._connection.uuid,
            in_flight=self._window.in_flight(now),
            overdue=overdue,
            room=room,
        )
        if not rows:
            raise Superseded
        orders = [row for row in rows if row["id"] is not None]
        for row in orders:
            action = settle_deadlines(decode(row["action"], Action), row["leased_at"], terms=self._terms)
            self._send(ActionOrder(row["id"], row["backend_id"], self._connection.node, action))
        ids = [row["id"] for row in orders]
        self._window.sent(ids, now)
        if len(ids) < room:
            # All that is pending was returned: what is overdue and not among it has been settled in other ways.
            self._window.settled(set(overdue) - set(ids))
        if ids:
            _log.info("orders_sent", node=self._connection.node, orders=ids)
