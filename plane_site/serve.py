"""
Serves one controller: Daphne's server in this process, and beside the requests heartbeat, doorbell and sweeper.

The only module of the control plane that imports Daphne or Twisted. On SIGTERM it says goodbye, closes the sockets
with 1001, lets requests finish, and is gone within five seconds.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
import uvloop
from twisted.internet import asyncioreactor

# Before Daphne, which would install the reactor on a loop of its own.
_loop = uvloop.new_event_loop()
asyncioreactor.install(_loop)  # type: ignore[no-untyped-call]

from daphne.http_protocol import WebRequest  # noqa: E402 - see above
from daphne.server import Server  # noqa: E402
from daphne.ws_protocol import WebSocketProtocol  # noqa: E402
from twisted.internet import defer  # noqa: E402

from backends.api.exchange import BODY_LIMIT  # noqa: E402
from drones.context import ControllerContext  # noqa: E402
from drones.services.controllers import say_goodbye, send_heartbeat  # noqa: E402
from plane_site.checks import StartRefused  # noqa: E402
from postgres.pool import DatabaseUnavailable  # noqa: E402

_log = structlog.get_logger(__name__)

#: Seconds for sockets and requests to end by themselves.
DRAIN_LIMIT: Final = 3.0
#: Seconds for the goodbye.
GOODBYE_LIMIT: Final = 1.0
#: Seconds of silence after which a socket's peer is asked whether it lives, and then has to answer. Daphne looks every
#: two seconds; together less than the time after which a node is unhealthy.
PING_INTERVAL: Final = 15
PING_LIMIT: Final = 20
#: Bytes of a body that are read to be refused politely, and not kept; beyond, the connection is cut.
PATIENCE_WITH_BODIES: Final = 32 * BODY_LIMIT

Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]
Loop = Callable[[ControllerContext], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Site:
    """What is to be served, and where."""

    open_context: Callable[[], Awaitable[ControllerContext]]
    make_application: Callable[[ControllerContext], Application]
    loops: Sequence[Loop]  #: run beside the requests, until cancelled
    host: str
    port: int


class _BoundedRequest(WebRequest):  # type: ignore[misc]
    """A request whose body cannot fill the disk: Daphne reads all of it before anybody can refuse it."""

    _received = 0

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        self._received += len(data)
        if self._received > PATIENCE_WITH_BODIES:
            self.channel.loseConnection()
        elif self._received - len(data) <= BODY_LIMIT:
            # What comes after the piece that is too much changes nothing: it is refused in any case.
            super().handleContentChunk(data)

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        super().gotLength(length)
        if length is not None and length > PATIENCE_WITH_BODIES:
            self.channel.loseConnection()


class _DaphneServer(Server):  # type: ignore[misc]
    """Daphne, with a clear word when it cannot listen, and an end that does not depend on what is still open."""

    refusal: str | None = None

    def __init__(self, application: Application, **settings: Any) -> None:
        super().__init__(application, **settings)
        self.ports: list[Any] = []

    def listen_success(self, port: Any) -> None:
        self.ports.append(port)
        build = port.factory.buildProtocol

        def build_bounded(address: Any) -> Any:
            protocol = build(address)
            protocol.requestFactory = _BoundedRequest
            return protocol

        port.factory.buildProtocol = build_bounded
        # Twisted would write a line for each request to nowhere; 5 % of a connect.
        port.factory.log = _write_no_access_log

    def listen_error(self, failure: Any) -> None:
        reason = getattr(failure.value, "socketError", None)
        self.refusal = f"cannot listen: {getattr(reason, 'strerror', None) or failure.getErrorMessage()}"
        self.stop()

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Pass on what an application says; close an open socket with any code of the standard, and say why."""
        is_open = getattr(protocol, "state", None) == WebSocketProtocol.STATE_OPEN
        if message.get("type") == "websocket.close" and is_open:
            # Daphne's own way takes from applications neither 1001 nor a reason.
            reason: str = message.get("reason") or ""
            protocol.sendCloseFrame(code=message.get("code", 1000), reasonUtf8=reason.encode()[:120])
            return
        await super().handle_reply(protocol, message)

    def kill_all_applications(self) -> Any:
        """Cancel what still runs; connections without an application need no killing."""
        running = self.running_applications()
        for application in running:
            application.cancel()
        return defer.Deferred.fromFuture(asyncio.gather(*running, return_exceptions=True))

    def running_applications(self) -> list[asyncio.Future[Any]]:
        """Return the requests and sockets that are being served."""
        found = [details.get("application_instance") for details in self.connections.values()]
        return [application for application in found if application is not None and not application.done()]


def _write_no_access_log(_request: WebRequest) -> None:
    """Leave it to the routes what is worth a line."""


class _Controller:
    """The life of one controller process, from the first heartbeat to the goodbye."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._started: asyncio.Future[Application] = _loop.create_future()
        self._context: ControllerContext | None = None
        self._loops: list[asyncio.Task[None]] = []
        self._ending: asyncio.Task[None] | None = None
        self.refusal: str | None = None
        interface = site.host.replace(":", "\\:")
        self.server = _DaphneServer(
            self._answer,
            endpoints=[f"tcp:port={site.port}:interface={interface}"],
            signal_handlers=False,
            ready_callable=self._ready,
            server_name="Plane",
            websocket_timeout=-1,
            ping_interval=PING_INTERVAL,
            ping_timeout=PING_LIMIT,
            application_close_timeout=5,
            verbosity=0,
        )

    async def _answer(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        application = self._started.result() if self._started.done() else await self._started
        await application(scope, receive, send)

    def _ready(self) -> None:
        """Begin what runs beside the requests; called once the port is ours, just before the reactor runs."""
        for sign in (signal.SIGTERM, signal.SIGINT):
            _loop.add_signal_handler(sign, self._end)
        self._starting = _loop.create_task(self._start())

    async def _start(self) -> None:
        try:
            context = self._context = await self._site.open_context()
            # Registered before the first socket: nodes refer to their controller's row.
            await send_heartbeat(context)
        except DatabaseUnavailable as error:
            self.refusal = f"the database was lost while starting: {error}"
            self.server.stop()
            return
        for run in self._site.loops:
            task = _loop.create_task(_keep_running(run, context))
            self._loops.append(task)
        self._started.set_result(self._site.make_application(context))
        _log.info("controller_started", controller=context.name, url=context.url, host=self._site.host)

    def _end(self) -> None:
        if self._ending is None:
            self._ending = _loop.create_task(self._close())

    async def _close(self) -> None:
        """End in order: goodbye, no new connections, sockets closed, requests finished, loops stopped."""
        context = self._context
        _log.info("controller_ending", controller=context.name if context else None)
        if context is not None:
            await _within(GOODBYE_LIMIT, say_goodbye(context))
            # Sockets and streams watch for this.
            context.closing.set()
        for port in self.server.ports:
            port.stopListening()
        if running := self.server.running_applications():
            await asyncio.wait(running, timeout=DRAIN_LIMIT)
        for task in self._loops:
            task.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        if context is not None:
            await _within(GOODBYE_LIMIT, context.pool.close())
        _log.info("controller_ended", controller=context.name if context else None)
        self.server.stop()


async def _within(seconds: float, work: Awaitable[None]) -> None:
    """Do something that may not hold up the end."""
    try:
        async with asyncio.timeout(seconds):
            await work
    except (DatabaseUnavailable, TimeoutError) as error:
        _log.warning("goodbye_failed", error=str(error) or "no answer in time")


async def _keep_running(run: Loop, context: ControllerContext) -> None:
    """Run a loop until cancelled; one that fails by a mistake of ours is logged, and begun anew."""
    while True:
        try:
            await run(context)
        except Exception:  # noqa: BLE001 - whatever it is, it is logged
            _log.exception("loop_failed", loop=getattr(run, "__qualname__", repr(run)))
        await asyncio.sleep(1.0)


def serve(site: Site) -> None:
    """
    Serve until SIGTERM or SIGINT.

    Raises:
        StartRefused: the port is taken, or the database went away.
    """
    asyncio.set_event_loop(_loop)
    controller = _Controller(site)
    controller.server.run()
    refusal = controller.server.refusal or controller.refusal
    if refusal is not None:
        raise StartRefused(f"{site.host}, port {site.port}: {refusal}")
