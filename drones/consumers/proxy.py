"""
The proxy's socket: where tokens lead, which backends are in use, and which are gone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, ClassVar, Final

import msgspec

from backends.services.departures import Departure
from backends.services.routes import Pending
from drones.consumers.node import NodeConsumer
from drones.health import scan_interval
from drones.models import NodeKind
from drones.services.nodes import Arrival, Connection, register_node
from postgres.pool import DatabaseUnavailable
from protocol.channel import Extension
from protocol.names import Prefix
from protocol.proxy_messages import (
    CertLeaseResponse,
    CertManagerCommand,
    CertManagerResponse,
    FromProxy,
    InUse,
    SetTxtRecordResponse,
    ToProxy,
)
from protocol.routes import BackendRemoved, RouteInfo, RouteInfoRequest, RouteInfoResponse, RoutePending, TokensRevoked
from protocol.tagging import OneOf

#: Questions of one proxy whose answers are not there yet, or held back: as many as a proxy itself holds.
QUESTIONS_LIMIT: Final = 10_000


class ProxyConsumer(NodeConsumer):
    """One proxy's control socket."""

    kind = NodeKind.PROXY
    prefix = Prefix.PROXY
    incoming: ClassVar[type[OneOf]] = FromProxy
    extensions = (
        Extension.ROUTE_PENDING,
        Extension.ROUTE_EXPIRY,
        Extension.REVOCATIONS,
        Extension.IN_USE,
        Extension.BATCH,
    )

    _unfollow: Callable[[], None] | None = None

    def __init__(self) -> None:
        self._questions: dict[str, asyncio.Task[None]] = {}

    def silence_limit(self) -> None:
        """Return None: a proxy with nothing to ask is silent, and the server's pings find a dead one."""

    async def register(self, arrival: Arrival) -> Connection:
        """Make this connection the proxy's current one."""
        return await register_node(self.context.pool, arrival)

    async def opened(self) -> None:
        """Tell of departures from now on, and of those that the proxy may have missed."""
        # Subscribe first, then read.
        self._unfollow = self.desk.departures.follow(self.cluster, self._tell)
        self.keep(self._tell_recent())

    def left(self) -> None:
        """Tell of nothing any more."""
        if self._unfollow is not None:
            self._unfollow()

    def received(self, message: Any) -> None:
        """Act on one message."""
        match message:
            case RouteInfoRequest():
                self._ask(message.token)
            case str() if message in ("CertLeaseRequest", "ReleaseCertLease", "GetCertificate"):
                self._refuse_certificate(message)
            case CertManagerCommand():
                self._refuse_certificate(message.tag)
            case str():
                self.desk.activity.keepalive(message, cluster=self.cluster)
            case InUse():
                for each in message.backends:
                    if each.connections:
                        self.desk.activity.keepalive(each.backend, cluster=self.cluster)
            case _:
                self.complain("message_not_asked_for", message=type(message).__name__)

    # Routes.

    def _ask(self, token: str) -> None:
        if token in self._questions:
            return
        if len(self._questions) >= QUESTIONS_LIMIT:
            # The proxy asks again, or gives up; to close would cost it all the others.
            self.complain("question_dropped", waiting=len(self._questions))
            return
        task = self.keep(self._answer(token))
        self._questions[token] = task
        task.add_done_callback(lambda _: self._questions.pop(token, None))

    async def _answer(self, token: str) -> None:
        try:
            route = await self.desk.routes.ask(token, cluster=self.cluster)
            if isinstance(route, Pending):
                route = await self._hold(token, route.backend)
        except DatabaseUnavailable as error:
            # Neither yes nor no: the proxy gives up waiting by itself, and asks again when it is asked.
            self.complain("question_unanswered", error=str(error))
            return
        if route is not None and self.desk.departures.is_leaving(route.backend_id):
            # It was ready when we looked; the proxy has been told since, and must not be told otherwise.
            route = None
        if route is not None:
            self.desk.routes.used(token)
            if not self.peer.lists(Extension.ROUTE_EXPIRY):
                route = msgspec.structs.replace(route, expires_in_ms=msgspec.UNSET)
        self.send_message(ToProxy(route_info_response=RouteInfoResponse(token, route)))

    async def _hold(self, token: str, backend: str) -> RouteInfo | None:
        """Wait until a starting backend is ready, or will never be."""
        if self.peer.lists(Extension.ROUTE_PENDING):
            self.send_message(ToProxy(route_pending=RoutePending(token, backend)))
        changed = asyncio.Event()
        interval = scan_interval(self.context.terms)
        unsubscribe = self.context.doorbell.subscribe("backend", backend, tell=lambda _: changed.set())
        try:
            while True:
                # Subscribe first, then read.
                changed.clear()
                with contextlib.suppress(DatabaseUnavailable):
                    route = await self.desk.routes.ask(token, cluster=self.cluster)
                    if not isinstance(route, Pending):
                        return route
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(interval):
                        await changed.wait()
        finally:
            unsubscribe()

    # Departures.

    async def _tell_recent(self) -> None:
        try:
            for departure in await self.desk.departures.recent(self.cluster):
                self._tell(departure)
        except DatabaseUnavailable as error:
            self.complain("departures_not_read", error=str(error))

    def _tell(self, departure: Departure) -> None:
        if departure.over:
            self.send_message(ToProxy(backend_removed=BackendRemoved(departure.backend)))
        elif self.peer.lists(Extension.REVOCATIONS):
            # No new users; those inside may finish while the backend takes its leave.
            self.send_message(ToProxy(tokens_revoked=TokensRevoked(departure.backend, None)))

    # Certificates.

    def _refuse_certificate(self, request: str) -> None:
        """Say no, as no leases are granted here: proxies serve plain HTTP, or a certificate from a file."""
        self.complain("certificate_request_refused", request=request)
        if request == "CertLeaseRequest":
            answer = CertManagerResponse(cert_lease_response=CertLeaseResponse(accepted=False))
        elif request == "SetTxtRecord":
            answer = CertManagerResponse(set_txt_record_response=SetTxtRecordResponse(accepted=False))
        else:
            return
        self.send_message(ToProxy(cert_manager_response=answer))
