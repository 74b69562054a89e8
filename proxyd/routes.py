"""
Where tokens lead: from memory, or asked of the controller once for all who wait. The hand of route_table and lookups.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import structlog

from daemonkit.link import Link
from daemonkit.lookups import Lookups, Patience
from protocol.channel import Extension
from protocol.proxy_messages import FromProxy
from protocol.routes import BackendRemoved, RouteInfoRequest, RouteInfoResponse, RoutePending, TokensRevoked
from protocol.tokens import may_be_token
from proxyd.config import Limits
from proxyd.holding import Holding
from proxyd.route import Route, UnusableRoute, make_route
from proxyd.route_table import RouteTable

log = structlog.get_logger(__name__)


class Waiter(Protocol):
    """Who waits for a route."""

    def routed(self, route: Route) -> None:
        """Learn where the token leads."""

    def unroutable(self, status: int) -> None:
        """Learn that it leads nowhere, or nowhere yet, and how to put that."""


class Routes:
    """The routes of one proxy."""

    def __init__(self, clock: Callable[[], float], limits: Limits) -> None:
        self._clock = clock
        self._table = RouteTable()
        # Nobody waits for an answer about a route that is only looked at again.
        self._lookups: Lookups[bytes, Waiter | None] = Lookups(Patience(limits.answer, limits.held))
        self._holding = Holding(per_backend=limits.held_per_backend, in_all=limits.held_in_all)
        self._link: Link | None = None

    def find(self, token: bytes, now: float) -> Route | None:
        """Return the route of a token if it is known."""
        route = self._table.find(token, now)
        if route is not None and now >= route.refresh_at:
            self._refresh(route, now)
        return route

    def ask(self, token: bytes, waiter: Waiter) -> int | None:
        """Have a waiter told where an unknown token leads; or return the status with which to refuse it at once."""
        now = self._clock()
        if not may_be_token(token.decode("ascii")) or self._table.is_wrong(token, now):
            return 410
        if not self._holding.admit(token):
            return 503
        self._lookups.want(token, waiter, now=now)
        self._send_due()
        return None

    def forget(self, token: bytes, waiter: Waiter) -> None:
        """Let somebody go who does not wait any more."""
        self._lookups.forget(token, waiter)
        self._holding.release(token)
        self._send_due()

    def doubt(self, route: Route) -> None:
        """Ask about a route again when it is used next: its backend did not accept a connection."""
        route.refresh_at = min(route.refresh_at, self._clock())

    def connected(self, link: Link) -> None:
        """Ask what is open, and doubt what was learned from another: removals may have been missed."""
        self._link = link
        self._table.doubt(self._clock())
        self._lookups.connected(tells_of_holding=link.peer.lists(Extension.ROUTE_PENDING))
        self._send_due()

    def disconnected(self) -> None:
        """Go on with what is known."""
        self._link = None
        self._lookups.disconnected()

    def answered(self, answer: RouteInfoResponse) -> None:
        """Take an answer, and tell all who wait for it."""
        now = self._clock()
        token = answer.token.encode()
        waiters = [waiter for waiter in self._lookups.answer(token) if waiter is not None]
        if waiters:
            self._holding.release(token, len(waiters))
        self._send_due()
        if answer.route_info is None:
            self._table.add_wrong(token, now)
            _refuse(waiters, 410)
            return
        try:
            route = make_route(token, answer.route_info, now=now)
        except UnusableRoute as error:
            log.error("route_unusable", backend=answer.route_info.backend_id, reason=str(error))  # noqa: TRY400
            _refuse(waiters, 502)
            return
        self._table.add(route)
        for waiter in waiters:
            waiter.routed(route)

    def pending(self, notice: RoutePending) -> None:
        """Learn that an answer waits for its backend: patience is longer then, and room is counted by backend."""
        token = notice.token.encode()
        waiters = [waiter for waiter in self._lookups.hold(token) if waiter is not None]
        excess = self._holding.name_backend(token, notice.backend_id)
        self._send_due()
        for waiter in waiters[len(waiters) - excess :]:
            self.forget(token, waiter)
            waiter.unroutable(503)

    def removed(self, notice: BackendRemoved) -> None:
        """Forget every route to a backend."""
        self._table.drop_backend(notice.backend)

    def revoked(self, notice: TokensRevoked) -> None:
        """Forget some routes to a backend, or all."""
        tokens = None if notice.tokens is None else [token.encode() for token in notice.tokens]
        self._table.drop_backend(notice.backend, tokens)

    def tick(self) -> None:
        """Give up on questions that were not answered; to be called a few times a second."""
        now = self._clock()
        self._table.expire(now)
        for token, waiter in self._lookups.expire(now):
            if waiter is not None:
                self._holding.release(token)
                waiter.unroutable(503)
        self._send_due()

    def _refresh(self, route: Route, now: float) -> None:
        if self._link is not None and self._table.wants_refresh(route, now):
            self._lookups.want(route.token, None, now=now)
            self._send_due()

    def _send_due(self) -> None:
        if self._link is None:
            return
        for token in self._lookups.due():
            self._link.send(FromProxy(route_info_request=RouteInfoRequest(token.decode("ascii"))))


def _refuse(waiters: list[Waiter], status: int) -> None:
    for waiter in waiters:
        waiter.unroutable(status)
