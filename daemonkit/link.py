"""
One live connection to a controller, as the daemon that uses it sees it. Written to without waiting.

`Link` and `ChannelUser` are what both sides of that border promise; `MemoryLink` stands in for a socket in unit tests.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import msgspec

from protocol.channel import Handshake, Version

Incoming_contra = TypeVar("Incoming_contra", contravariant=True)


class Link(Protocol):
    """A connection whose handshakes are done."""

    @property
    def peer(self) -> Handshake:
        """Who the controller said it is."""

    def send(self, message: msgspec.Struct) -> None:
        """Queue a message. A full queue closes the connection; after the close it does nothing."""

    def send_droppable(self, message: msgspec.Struct) -> None:
        """Queue a message that may be lost when half of the queue is taken, such as metrics."""

    def close(self, why: str) -> None:
        """End this connection; a new one follows by itself."""


class ChannelUser(Protocol[Incoming_contra]):
    """Who is told what happens on a control channel. Everything is called on the loop and must not block."""

    def connected(self, link: Link) -> None:
        """Begin to use a connection; handshakes are done."""

    def received(self, message: Incoming_contra) -> None:
        """Take one message, in the order of arrival; batches come apart."""

    def disconnected(self) -> None:
        """Stop using the connection; called once for each `connected`."""


class MemoryLink:
    """A link for unit tests: keeps what was sent."""

    def __init__(self, peer: Handshake | None = None) -> None:
        self.peer = peer if peer is not None else Handshake(Version("0", "test"), "co-memory", extensions=[])
        self.sent: list[msgspec.Struct] = []
        self.closed_because: str | None = None
        self.is_slow = False  #: whether droppable messages are dropped

    def send(self, message: msgspec.Struct) -> None:
        if self.closed_because is None:
            self.sent.append(message)

    def send_droppable(self, message: msgspec.Struct) -> None:
        if not self.is_slow:
            self.send(message)

    def close(self, why: str) -> None:
        if self.closed_because is None:
            self.closed_because = why

    def take(self) -> list[msgspec.Struct]:
        """Return what was sent since the last time, and forget it."""
        sent, self.sent = self.sent, []
        return sent
