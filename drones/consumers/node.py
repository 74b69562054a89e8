"""
A control socket, whatever kind of node is at its other end: handshake, registration, messages in order, the end.

Reading never waits for writing, nor (after the handshake) for the database: messages are handed to services that queue
them, and their answers are sent when they come. What a message means is for the subclasses.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, ClassVar, Final

import psycopg
import structlog
from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer
from msgspec import Struct

from backends.services.desk import Desk, desk_of
from drones.consumers.complaints import Complaints
from drones.consumers.outbox import Outbox, OutboxFull
from drones.context import ControllerContext
from drones.models import NodeKind
from drones.services.nodes import Arrival, Connection, InstanceRefused, release
from postgres.pool import DatabaseUnavailable
from protocol.channel import Extension, Handshake, Version
from protocol.codec import MalformedMessage, decode, encode
from protocol.names import InvalidClusterName, InvalidName, Prefix, check_name, parse_cluster
from protocol.tagging import OneOf

#: Seconds within which a client must have said its handshake.
HANDSHAKE_LIMIT: Final = 10.0
#: Close codes (RFC 6455).
GOING_AWAY: Final = 1001
REFUSED: Final = 1008
FAILED: Final = 1011
TRY_LATER: Final = 1013

_log = structlog.get_logger(__name__)


class NodeConsumer(AsyncConsumer):  # type: ignore[misc]
    """One control socket."""

    kind: ClassVar[NodeKind]
    prefix: ClassVar[Prefix]
    incoming: ClassVar[type[OneOf]]
    extensions: ClassVar[tuple[Extension, ...]]  #: what this side knows; the peer's are in `peer`

    context: ControllerContext
    desk: Desk
    cluster: str
    peer: Handshake
    connection: Connection | None = None
    closing = False

    async def register(self, arrival: Arrival) -> Connection:
        """Make this connection the node's current one. Raises: InstanceRefused, DatabaseUnavailable."""
        raise NotImplementedError

    async def opened(self) -> None:
        """Begin: the node is registered, and our handshake is the first in the queue."""
        raise NotImplementedError

    def received(self, message: Any) -> None:
        """Act on the content of one message, without waiting."""
        raise NotImplementedError

    def left(self) -> None:
        """Let go of what `opened` took hold of. Also called when it never was."""
        raise NotImplementedError

    def silence_limit(self) -> float | None:
        """Return after how many seconds of silence the peer is dead; None leaves that to the server's pings."""
        raise NotImplementedError

    # What channels calls.

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        self.context = scope["plane"]
        self.desk = desk_of(self.context)
        self.log = _log.bind(kind=str(self.kind))
        self._clock = asyncio.get_running_loop().time
        self._heard_at = self._clock()
        self._complaints = Complaints(every=10.0)
        self._tasks: set[asyncio.Task[None]] = set()
        self._outbox: Outbox | None = None
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._leave()

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Act on an event; not the inherited way, which crosses to Django's one thread for each message."""
        match message["type"]:
            case "websocket.receive":
                await self._take_frame(message.get("text"))
            case "websocket.connect":
                await self._accept()
            case "websocket.disconnect":
                raise StopConsumer

    # For subclasses.

    def send_message(self, message: Struct) -> None:
        """Queue a message; a peer whose queue is full is disconnected."""
        if self.closing or self._outbox is None:
            return
        try:
            self._outbox.put(encode(message).decode())
        except OutboxFull:
            self.close(TRY_LATER, "peer_takes_nothing")

    def close(self, code: int, why: str, **facts: object) -> None:
        """Close the socket; nothing is sent or taken from now on."""
        if self.closing:
            return
        self.closing = True
        log = self.log.info if code == GOING_AWAY else self.log.warning
        log("node_socket_closed", why=why, code=code, **facts)
        for task in self._tasks:
            task.cancel()
        self.keep(self._send_close(code, why))

    def keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside the reading, at most as long as the socket; its failure closes the socket."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._kept_is_done)
        return task

    def complain(self, event: str, **facts: object) -> None:
        """Log something the peer did, at most once in a while."""
        quiet = self._complaints.admit(event, self._clock())
        if quiet is not None:
            self.log.warning(event, kept_quiet=quiet, **facts)

    # The life of a socket.

    async def _accept(self) -> None:
        self.cluster = self.scope["url_route"]["kwargs"].get("cluster", "")
        try:
            self.admit()
        except (InvalidClusterName, InvalidName) as error:
            self.log.warning("node_socket_refused", error=str(error))
            await self.base_send({"type": "websocket.close", "code": REFUSED})
            raise StopConsumer from error
        await self.base_send({"type": "websocket.accept"})
        self._watch = self.keep(self._watch_silence(HANDSHAKE_LIMIT))
        self.keep(self._watch_closing())

    def admit(self) -> None:
        """Refuse a path that names no cluster. Raises: InvalidClusterName, InvalidName."""
        parse_cluster(self.cluster)

    async def _take_frame(self, text: str | None) -> None:
        self._heard_at = self._clock()
        if self.closing:
            return
        if text is None:
            self.complain("binary_frame_skipped")
        elif self.connection is None:
            await self._shake_hands(text)
        else:
            self._take_message(text)

    async def _shake_hands(self, text: str) -> None:
        try:
            self.peer = decode(text, Handshake)
            check_name(self.peer.name, self.prefix)
        except (MalformedMessage, InvalidName) as error:
            self.close(REFUSED, "bad_handshake", error=str(error))
            return
        self.log = self.log.bind(name=self.peer.name, cluster=self.cluster)
        arrival = Arrival(
            kind=self.kind,
            cluster=self.cluster,
            handshake=self.peer,
            controller=self.context.name,
            connection=uuid.uuid4(),
        )
        try:
            self.connection = await self.register(arrival)
        except InstanceRefused as error:
            self.close(REFUSED, "instance_refused", error=str(error))
        except (DatabaseUnavailable, psycopg.Error) as error:
            # The latter for instance when this controller's own row was removed as dead.
            self.close(TRY_LATER, "not_registered", error=str(error))
        else:
            if not self.closing:
                await self._open()

    async def _open(self) -> None:
        version = Version(self.context.version, self.context.git_hash)
        if self.peer.version != version:
            self.log.info("node_version_differs", theirs=self.peer.version.version, ours=version.version)
        assert self.connection is not None
        self.log = self.log.bind(node=self.connection.node)
        self.log.info("node_connected", connection=str(self.connection.uuid))
        ours = Handshake(version, self.context.name, [str(extension) for extension in self.extensions])
        await self._write(encode(ours).decode())
        self._outbox = Outbox(self._write, batches=self.peer.lists(Extension.BATCH))
        self.keep(self._outbox.run())
        self._watch.cancel()
        if (limit := self.silence_limit()) is not None:
            self._watch = self.keep(self._watch_silence(limit))
        await self.opened()

    def _take_message(self, text: str) -> None:
        try:
            message = decode(text, self.incoming)
        except MalformedMessage as error:
            self.complain("message_skipped", error=str(error)[:200])
            return
        for content in self._unpacked(message):
            if not self.closing:
                self.received(content)

    def _unpacked(self, message: OneOf) -> Iterable[Any]:
        """Return the messages in a batch, in order, or the one message; batches only from peers that know them."""
        content = message.variant
        if not isinstance(content, list):
            return [content]
        if not self.peer.lists(Extension.BATCH):
            self.complain("batch_from_stranger_skipped")
            return []
        # A batch within a batch is no message of the wire.
        return [inner for each in content if not isinstance(inner := each.variant, list)]

    async def _watch_silence(self, limit: float) -> None:
        rest = limit
        while rest > 0:
            await asyncio.sleep(rest)
            rest = self._heard_at + limit - self._clock()
        self.close(REFUSED, "silent_for_too_long", seconds=limit)

    async def _watch_closing(self) -> None:
        await self.context.closing.wait()
        self.close(GOING_AWAY, "controller_ends")

    async def _write(self, text: str) -> None:
        await self.base_send({"type": "websocket.send", "text": text})

    async def _send_close(self, code: int, why: str) -> None:
        await self.base_send({"type": "websocket.close", "code": code, "reason": why})

    def _kept_is_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, OSError):
            # How servers with back-pressure say that the peer is gone.
            self.close(GOING_AWAY, "peer_gone", error=str(error))
            return
        self.log.error("node_socket_failed", exc_info=error)
        self.close(FAILED, "failed")

    async def _leave(self) -> None:
        self.closing = True
        for task in self._tasks:
            task.cancel()
        self.left()
        if self.connection is None:
            return
        try:
            # Shielded: the server cancels its applications when it ends.
            was_current = await asyncio.shield(
                release(self.context.pool, self.connection, controller=self.context.name)
            )
        except DatabaseUnavailable as error:
            # Whoever asks sees that this controller, or the drone, was not heard for long.
            self.log.warning("node_not_released", error=str(error))
        else:
            self.log.info("node_disconnected", was_current=was_current)
