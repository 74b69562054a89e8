"""
One running proxy: listens, keeps its channel to the controller, does its chores, and ends well.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator, Callable
from typing import Final

import structlog

from daemonkit.control_channel import ControlChannel
from daemonkit.link import Link
from daemonkit.service import CannotServe
from protocol.channel import Extension, Handshake, Version
from protocol.proxy_messages import ToProxy
from protocol.routes import BackendRemoved, RouteInfoResponse, RoutePending, TokensRevoked
from proxyd.access_log import AccessLog
from proxyd.activity import Activity
from proxyd.answers import Answers
from proxyd.config import Settings
from proxyd.frontend import Frontend
from proxyd.keepalive import Keepalive
from proxyd.routes import Routes
from proxyd.switchboard import Switchboard
from proxyd.upstream import Pools

log = structlog.get_logger(__name__)

EXTENSIONS: Final = [
    Extension.ROUTE_PENDING,
    Extension.ROUTE_EXPIRY,
    Extension.REVOCATIONS,
    Extension.IN_USE,
    Extension.BATCH,
]
BACKLOG: Final = 4096


class Proxy:
    """The parts of one proxy put together; the user of its control channel."""

    def __init__(
        self, settings: Settings, version: Version, *, log_to: AccessLog, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._settings = settings
        self._handshake = Handshake(version, settings.name, extensions=[str(name) for name in EXTENSIONS])
        limits = settings.limits
        activity = Activity()
        self.board = Switchboard(
            loop=loop,
            limits=limits,
            answers=Answers(version),
            routes=Routes(loop.time, limits),
            pools=Pools(loop, limits),
            activity=activity,
            keepalive=Keepalive(loop.time, activity),
            log=log_to,
            root_redirect_url=settings.root_redirect_url,
        )

    # The control channel's user

    def connected(self, link: Link) -> None:
        self.board.is_ready = True
        self.board.routes.connected(link)
        self.board.keepalive.connected(link)

    def disconnected(self) -> None:
        self.board.routes.disconnected()
        self.board.keepalive.disconnected()

    def received(self, message: ToProxy) -> None:
        routes = self.board.routes
        match message.variant:
            case RouteInfoResponse() as answer:
                routes.answered(answer)
            case RoutePending() as notice:
                routes.pending(notice)
            case BackendRemoved() as notice:
                routes.removed(notice)
                self.board.pools.drop_backend(notice.backend)
                # A side that is gone may look like one that only listens, and would count as use.
                self._cut(notice.backend, None)
            case TokensRevoked() as notice:
                routes.revoked(notice)
                if notice.close is True:
                    self._cut(notice.backend, notice.tokens)
            case _:
                log.info("message_ignored", kind=message.tag)

    def _cut(self, backend: str, names: list[str] | None) -> None:
        tokens = None if names is None else frozenset(name.encode() for name in names)
        doomed = [connection for connection in self.board.connections if connection.uses(backend, tokens)]
        for connection in doomed:
            connection.cut()
        if doomed:
            log.info("connections_cut", backend=backend, count=len(doomed))

    # The life of the process

    def channel(self) -> ControlChannel[ToProxy]:
        """Return the channel that tells this proxy what leads where."""
        path = f"/ctrl/c/{self._settings.cluster}/proxy-socket"
        return ControlChannel(self._settings.controller, path, handshake=self._handshake, incoming=ToProxy, user=self)

    async def listen(self) -> asyncio.Server:
        """
        Begin to accept clients.

        Raises:
            CannotServe: the port is taken, or may not be had.
        """
        port = self._settings.http_port
        try:
            server = await self.board.loop.create_server(
                lambda: Frontend(self.board), host=self._settings.bind_hosts, port=port, backlog=BACKLOG
            )
        except OSError as error:
            raise CannotServe(_sentence(port, error)) from error
        for listener in server.sockets:
            _notice_dead_peers(listener)
        return server

    async def drain(self) -> None:
        """Let requests in flight end, for a while; then end them."""
        board = self.board
        board.is_draining = True
        for connection in list(board.connections):
            connection.drain()
        until = board.loop.time() + board.limits.stop
        while board.connections and board.loop.time() < until:  # noqa: ASYNC110 - the next comment says why
            await asyncio.sleep(0.02)  # looked at now and then, so that no request has to tell
        for connection in list(board.connections):
            connection.cut()
        board.pools.close()
        await asyncio.sleep(0)

    def sweep(self) -> None:
        """End what is overdue; once a second."""
        now = self.board.loop.time()
        overdue = [connection for connection in self.board.connections if connection.deadline <= now]
        for connection in overdue:
            connection.overdue()
        self.board.pools.expire(now)

    def forget(self) -> None:
        """Keep no client's headers for longer than they are of use; twice a minute."""
        self.board.targets.age()
        self.board.requests.age()
        self.board.responses.age()

    @contextlib.asynccontextmanager
    async def chores(self) -> AsyncIterator[None]:
        """Do what must be done from time to time."""
        board = self.board
        chores = (
            (0.25, board.routes.tick),
            (0.5, board.log.flush),
            (1.0, self.sweep),
            (30.0, self.forget),
            (self._settings.heartbeat, board.keepalive.tick),
        )
        tasks = [asyncio.create_task(_every(interval, chore)) for interval, chore in chores]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            board.log.flush()


async def serve(proxy: Proxy, stopping: asyncio.Event) -> None:
    """
    Run a proxy until it is told to stop, and its requests have ended.

    Raises:
        CannotServe: it cannot listen.
    """
    server = await proxy.listen()
    log.info("proxy_listening", port=server.sockets[0].getsockname()[1])
    channel = asyncio.create_task(proxy.channel().run())
    try:
        async with proxy.chores():
            stopped = asyncio.create_task(stopping.wait())
            await asyncio.wait({stopped, channel}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            server.close()
            await proxy.drain()
    finally:
        server.close()
        channel.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await channel


async def _every(interval: float, chore: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(interval)
        try:
            chore()
        except Exception:
            # One bad moment must not end the chore for ever.
            log.exception("chore_failed", chore=getattr(chore, "__qualname__", ""))


def _notice_dead_peers(listener: socket.socket) -> None:
    """Have the kernel find clients that are gone without a word; accepted connections inherit it."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)


def _sentence(port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is already in use: another program listens there. Choose another with --http-port."
    if error.errno == errno.EACCES:
        return f"port {port} may not be used by this user. Choose one above 1023 with --http-port."
    return f"cannot listen on port {port}: {os.strerror(error.errno) if error.errno else error}"
