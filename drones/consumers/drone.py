"""
The drone's socket: its clock, its reports, its leases, and the orders to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs

from backends.services.actions import Acknowledgement, OrderStream, Superseded
from backends.services.renewals import Renewal
from backends.services.reports import Fate, Report
from drones.consumers.node import REFUSED, TRY_LATER, NodeConsumer
from drones.health import silence_limit
from drones.models import NodeKind
from drones.services.nodes import Arrival, Connection, register_drone
from postgres.doorbell import Ring
from postgres.pool import DatabaseUnavailable
from protocol.actions import ActionOrder
from protocol.channel import Extension
from protocol.drone_messages import AckAction, AckEvent, BackendEvent, FromDrone, RenewKey, RenewKeyResponse, ToDrone
from protocol.heartbeats import Heartbeat
from protocol.keys import Deadlines
from protocol.metrics import BackendMetrics
from protocol.names import InvalidName, Prefix
from protocol.tagging import OneOf

#: Messages of one drone that the database has not answered yet.
UNANSWERED_LIMIT: Final = 10_000
LABEL_LIMIT: Final = 256


class DroneConsumer(NodeConsumer):
    """One drone's control socket."""

    kind = NodeKind.DRONE
    prefix = Prefix.DRONE
    incoming: ClassVar[type[OneOf]] = FromDrone
    extensions = (Extension.BATCH, Extension.INSTANCE)

    _label = ""
    _unanswered = 0
    _is_clock_known = False
    _orders: OrderStream | None = None
    _unsubscribe: Callable[[], None] | None = None

    def admit(self) -> None:
        """Refuse a path without a cluster, or with a pool that is no label. Raises: InvalidClusterName, InvalidName."""
        super().admit()
        query = parse_qs(self.scope["query_string"].decode("ascii", "replace"))
        self._label = query.get("pool", [""])[0]
        if len(self._label) > LABEL_LIMIT or not self._label.isprintable():
            raise InvalidName(f"{self._label[:60]!r} is not a pool")

    def silence_limit(self) -> float:
        """Return how long: drones send heartbeats."""
        return silence_limit(self.context.terms)

    async def register(self, arrival: Arrival) -> Connection:
        """Forget the drone's clock, and make this connection its current one."""
        return await register_drone(self.context.pool, arrival, label=self._label, lost=self.context.terms.lost)

    async def opened(self) -> None:
        """Begin to send orders; a former connection of this drone hears the bell and ends."""
        assert self.connection is not None
        node = str(self.connection.node)
        self._orders = OrderStream(
            self.context.pool, self.context.terms, connection=self.connection, send=self._send_order
        )
        # Subscribe first, then read.
        self._unsubscribe = self.context.doorbell.subscribe("drone", node, tell=self._heard)
        self.context.bell.ring("drone", node)
        self.keep(self._send_orders(self._orders))

    def left(self) -> None:
        """Listen to no bell any more."""
        if self._unsubscribe is not None:
            self._unsubscribe()

    def received(self, message: Any) -> None:
        """Hand one message to its service; the answer is sent when it comes."""
        assert self.connection is not None
        match message:
            case Heartbeat():
                self._await(self.desk.heartbeats.submit(self.connection, message.local_time), self._beat_stored)
            case BackendEvent():
                report = Report(self.connection.node, message)
                self._await(
                    self.desk.reports.submit(report), partial(self._report_stored, message), otherwise=self._unstored
                )
            case RenewKey():
                renewal = Renewal(self.connection.node, message)
                self._await(self.desk.renewals.submit(renewal), partial(self._renewed, message))
            case AckAction():
                acknowledgement = Acknowledgement(self.connection, message)
                self._await(self.desk.acknowledgements.submit(acknowledgement), partial(self._order_settled, message))
            case BackendMetrics():
                # Samples are for whoever watches usage; nobody does here, and they may be dropped.
                return
            case _:
                self.complain("message_not_asked_for", message=type(message).__name__)

    def _await(
        self, future: asyncio.Future[Any], then: Callable[[Any], None], *, otherwise: Callable[[], None] | None = None
    ) -> None:
        """Go on with an answer when it is there, if the socket still is; without a database, otherwise."""
        self._unanswered += 1
        future.add_done_callback(partial(self._answered, then=then, otherwise=otherwise))
        if self._unanswered > UNANSWERED_LIMIT:
            self.close(TRY_LATER, "too_many_unanswered")

    def _answered(
        self, future: asyncio.Future[Any], *, then: Callable[[Any], None], otherwise: Callable[[], None] | None
    ) -> None:
        self._unanswered -= 1
        error = future.exception()
        if self.closing:
            return
        if error is None:
            then(future.result())
        elif isinstance(error, DatabaseUnavailable):
            self.complain("message_not_stored", error=str(error))
            if otherwise is not None:
                otherwise()

    def _unstored(self) -> None:
        # On the next socket the drone repeats what was not acknowledged on this one.
        self.close(TRY_LATER, "database_unavailable")

    def _beat_stored(self, current: bool) -> None:  # noqa: FBT001 - an answer
        if not current:
            self.close(REFUSED, "superseded")
        elif not self._is_clock_known and self._orders is not None:
            self._is_clock_known = True
            self._orders.look()

    def _report_stored(self, event: BackendEvent, _fate: Fate) -> None:
        # Whatever its fate: the drone need not say it again.
        self.send_message(ToDrone(ack_event=AckEvent(event.event_id)))

    def _renewed(self, wish: RenewKey, deadlines: Deadlines | None) -> None:
        self.send_message(ToDrone(renew_key_response=RenewKeyResponse(wish.backend, deadlines)))

    def _order_settled(self, message: AckAction, _: None) -> None:
        if self._orders is not None:
            self._orders.settled(message.action_id)

    def _heard(self, _ring: Ring) -> None:
        if self._orders is not None:
            self._orders.look()

    def _send_order(self, order: ActionOrder) -> None:
        self.send_message(ToDrone(action=order))

    async def _send_orders(self, orders: OrderStream) -> None:
        try:
            await orders.run()
        except Superseded:
            self.close(REFUSED, "superseded")
