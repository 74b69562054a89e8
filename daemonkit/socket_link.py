"""
The sending side of one control connection: a bounded queue between who sends and the task that writes.

Nobody who sends waits. A full queue closes the connection, because what is lost from it is said again on the next one.
"""

from __future__ import annotations

import asyncio

import msgspec

from daemonkit.outbox import Outbox, OutboxLimits
from protocol.channel import Handshake
from protocol.codec import encode


class SocketLink:
    """The sending side of one connection; see `daemonkit.link.Link`."""

    def __init__(self, peer: Handshake, limits: OutboxLimits) -> None:
        self._peer = peer
        self._outbox = Outbox(limits)
        self._filled = asyncio.Event()
        self._ended = asyncio.Event()
        self.closed_because: str | None = None

    @property
    def peer(self) -> Handshake:
        return self._peer

    def send(self, message: msgspec.Struct) -> None:
        if self.closed_because is not None:
            return
        if self._outbox.put(encode(message)):
            self._filled.set()
        else:
            self.close("the controller does not read fast enough")

    def send_droppable(self, message: msgspec.Struct) -> None:
        if self.closed_because is None and self._outbox.put_droppable(encode(message)):
            self._filled.set()

    def close(self, why: str) -> None:
        if self.closed_because is None:
            self.closed_because = why
            self._outbox.clear()
            self._ended.set()

    @property
    def dropped(self) -> int:
        """How many droppable messages were dropped."""
        return self._outbox.dropped

    async def wait_closed(self) -> None:
        """Return once somebody has closed this end."""
        await self._ended.wait()

    async def take(self) -> list[bytes]:
        """Wait for something to send, and return it, oldest first."""
        while not self._outbox:
            self._filled.clear()
            await self._filled.wait()
        return self._outbox.take()
