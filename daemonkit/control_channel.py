"""
A daemon's connection to its controller: one WebSocket, made again for ever.

The reader never waits for the writer: sending only fills a bounded queue that another task empties. What is said on the
channel, and what must be said again after a reconnect, is the business of its user.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from random import Random
from typing import Generic, TypeVar

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from daemonkit.backoff import Backoff, Delays, draw_around
from daemonkit.link import ChannelUser
from daemonkit.outbox import OutboxLimits, join_batch
from daemonkit.repeats import Repeats
from daemonkit.socket_link import SocketLink
from options.types import ControllerAddress
from protocol.channel import Extension, Handshake
from protocol.codec import MalformedMessage, decode, encode
from protocol.names import Prefix

Incoming = TypeVar("Incoming", bound=msgspec.Struct)

log = structlog.get_logger(__name__)


class HandshakeRefused(Exception):
    """The peer did not say who it is, or is no controller."""


@dataclass(frozen=True)
class Tuning:
    """Times in seconds and sizes in bytes; tests make them small."""

    delays: Delays = field(default_factory=Delays)
    stable_after: float = 10.0  #: a connection that held for so long makes the backoff begin anew
    reconnect_after: float = 3600.0  #: a connection is made anew after so long, so that load evens out
    reconnect_spread: float = 600.0
    open_timeout: float = 10.0
    handshake_timeout: float = 10.0
    close_timeout: float = 1.0
    ping_interval: float = 10.0
    ping_timeout: float = 10.0
    max_frame: int = 32 * 1024 * 1024
    quiet: float = 60.0  #: like log lines are written once in so long
    outbox: OutboxLimits = field(default_factory=OutboxLimits)


class _RawBatch(msgspec.Struct, frozen=True):
    batch: list[msgspec.Raw] = msgspec.field(name="Batch")


@dataclass
class ControlChannel(Generic[Incoming]):
    """Keeps one connection to a controller, and tells its user what happens on it."""

    address: ControllerAddress
    path: str
    _: KW_ONLY
    handshake: Handshake
    incoming: type[Incoming]
    user: ChannelUser[Incoming]
    tuning: Tuning = field(default_factory=Tuning)
    dice: Random = field(default_factory=Random)

    def __post_init__(self) -> None:
        self._backoff = Backoff(self.tuning.delays, self.dice)
        self._failures = Repeats(self.tuning.quiet)
        self._unreadable = Repeats(self.tuning.quiet)
        self._log = log.bind(controller=self.address.base_url)

    async def run(self) -> None:
        """Connect, and connect again, until cancelled."""
        while True:
            try:
                await self._connect_once()
            except (OSError, InvalidHandshake, HandshakeRefused, ConnectionClosed) as failure:
                self._tell_failure(failure)
            await asyncio.sleep(self._backoff.next_delay())

    def _tell_failure(self, failure: Exception) -> None:
        left_out = self._failures.admit(_now())
        if left_out is not None:
            status = failure.response.status_code if isinstance(failure, InvalidStatus) else None
            self._log.warning("controller_not_reached", reason=_in_words(failure), status=status, left_out=left_out)

    async def _connect_once(self) -> None:
        tuning = self.tuning
        opening = connect(
            self.address.websocket_url(self.path),
            additional_headers=self.address.headers,
            user_agent_header=f"plane/{self.handshake.version.version}",
            compression=None,
            proxy=None,
            open_timeout=tuning.open_timeout,
            close_timeout=tuning.close_timeout,
            ping_interval=tuning.ping_interval,
            ping_timeout=tuning.ping_timeout,
            max_size=tuning.max_frame,
        )
        async with opening as socket:
            peer = await self._shake_hands(socket)
            await self._converse(socket, SocketLink(peer, tuning.outbox))

    async def _shake_hands(self, socket: ClientConnection) -> Handshake:
        await socket.send(encode(self.handshake), text=True)
        try:
            async with asyncio.timeout(self.tuning.handshake_timeout):
                peer = judge_handshake(await socket.recv())
        except TimeoutError:
            await socket.close(1002, "no handshake")
            raise HandshakeRefused("the controller sent no handshake") from None
        except HandshakeRefused:
            await socket.close(1002, "bad handshake")
            raise
        if peer.version != self.handshake.version:
            self._log.info("versions_differ", own=_version(self.handshake), controller_version=_version(peer))
        return peer

    async def _converse(self, socket: ClientConnection, link: SocketLink) -> None:
        """Serve one connection until either end closes it, or its time is over."""
        logger = self._log.bind(controller_name=link.peer.name)
        logger.info("controller_connected")
        lifetime = draw_around(self.tuning.reconnect_after, self.tuning.reconnect_spread, dice=self.dice)
        began = _now()
        self.user.connected(link)
        chores = (self._read(socket, link), _write(socket, link), link.wait_closed())
        tasks = {asyncio.create_task(chore) for chore in chores}
        try:
            done, _ = await asyncio.wait(tasks, timeout=lifetime, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                link.close("time to even out the load")
        finally:
            link.close(_reason(socket))
            self.user.disconnected()
            if _now() - began >= self.tuning.stable_after:
                self._backoff.reset()
            await _end(tasks)
            logger.info("controller_disconnected", reason=link.closed_because, dropped=link.dropped)

    async def _read(self, socket: ClientConnection, link: SocketLink) -> None:
        async for frame in socket:
            if isinstance(frame, bytes):
                continue  # binary frames are tolerated, and mean nothing
            for message in self._parse(frame):
                if link.closed_because is not None:
                    return
                self._hand_over(message)

    def _parse(self, frame: str | msgspec.Raw) -> Iterator[Incoming]:
        try:
            yield from unpack(decode(frame, self.incoming))
        except MalformedMessage as error:
            try:
                pieces = decode(frame, _RawBatch).batch
            except MalformedMessage:
                self._tell_unreadable(frame, error)
                return
            # One bad message must not take the others of its batch along, again and again.
            for piece in pieces:
                yield from self._parse(piece)

    def _tell_unreadable(self, frame: str | msgspec.Raw, error: MalformedMessage) -> None:
        left_out = self._unreadable.admit(_now())
        if left_out is not None:
            self._log.warning("frame_skipped", reason=str(error), kinds=_tags(frame), left_out=left_out)

    def _hand_over(self, message: Incoming) -> None:
        try:
            self.user.received(message)
        except Exception:  # noqa: BLE001 - whatever it is, the other messages are not to blame
            # It would be repeated after a restart, and we would stumble again: one loud line, and on with the next.
            self._log.exception("message_not_handled", kind=getattr(message, "tag", type(message).__name__))


def judge_handshake(frame: str | bytes) -> Handshake:
    """
    Read a controller's first frame.

    Raises:
        HandshakeRefused: it is none, or not of a controller.
    """
    try:
        peer = decode(frame, Handshake)
    except MalformedMessage as error:
        raise HandshakeRefused(f"bad handshake: {error}") from error
    if not peer.name.startswith(Prefix.CONTROLLER):
        raise HandshakeRefused(f"bad handshake: {peer.name} is not the name of a controller")
    return peer


def unpack(message: Incoming) -> Iterator[Incoming]:
    """Take batches apart, also batches in batches, in order (**ext** batch)."""
    waiting = [message]
    while waiting:
        first = waiting.pop()
        batch: list[Incoming] | msgspec.UnsetType = getattr(first, "batch", msgspec.UNSET)
        if isinstance(batch, msgspec.UnsetType):
            yield first
        else:
            waiting.extend(reversed(batch))


async def _write(socket: ClientConnection, link: SocketLink) -> None:
    batching = link.peer.lists(Extension.BATCH)
    while True:
        frames = await link.take()
        if batching and len(frames) > 1:
            frames = [join_batch(frames)]
        for frame in frames:
            await socket.send(frame, text=True)


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        failure = None if task.cancelled() else task.exception()
        if failure is not None and not isinstance(failure, ConnectionClosed):
            raise failure


def _now() -> float:
    return asyncio.get_running_loop().time()


def _reason(socket: ClientConnection) -> str:
    if socket.close_code is None:
        return "this end is stopping"
    return f"closed with {socket.close_code} {socket.close_reason or ''}".rstrip()


def _in_words(failure: Exception) -> str:
    return str(failure) or type(failure).__name__


def _version(peer: Handshake) -> str:
    return f"{peer.version.version}-{peer.version.git_hash}"


def _tags(frame: str | msgspec.Raw) -> list[str]:
    """Name what a frame seems to be, without its contents: they may hold secrets."""
    try:
        value = decode(frame, dict[str, msgspec.Raw])
    except MalformedMessage:
        return []
    return [key[:40] for key in value][:3]
