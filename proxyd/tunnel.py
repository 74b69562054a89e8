"""
What a connection becomes after an upgrade: bytes both ways, as they come and no faster than they are read.

Each side may stop sending while the other goes on; the tunnel ends when both have, or when one connection is gone.
"""

from __future__ import annotations

import asyncio
import math

from proxyd.relay import Relay, entry_of
from proxyd.switchboard import Switchboard
from proxyd.upstream import Upstream


class TunnelEnd(asyncio.Protocol):
    """One side of a tunnel."""

    __slots__ = ("_tunnel", "count", "has_stopped", "other", "transport")

    other: TunnelEnd

    def __init__(self, tunnel: Tunnel, transport: asyncio.Transport) -> None:
        self._tunnel = tunnel
        self.transport = transport
        self.count = 0  #: bytes from this side
        self.has_stopped = False  #: this side sends no more

    def data_received(self, data: bytes) -> None:
        self.count += len(data)
        self.other.transport.write(data)

    def eof_received(self) -> bool:
        self.has_stopped = True
        other = self.other
        if other.has_stopped:
            self._tunnel.close()
            return True
        self._tunnel.watch()
        if not other.transport.is_closing():
            other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._tunnel.lost(self, broken=exc is not None)

    def pause_writing(self) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.resume_reading()


class Tunnel:
    """Two connections that are one from now on."""

    __slots__ = ("_board", "_client_ip", "_is_over", "_moved", "_relay", "_usage", "backend", "client", "deadline")

    client: TunnelEnd
    backend: TunnelEnd

    def __init__(self, board: Switchboard, relay: Relay, *, client_ip: str) -> None:
        self._board = board
        self._relay = relay
        self._client_ip = client_ip
        self._usage = relay.take_usage()
        self._is_over = False
        self._moved = 0
        self.deadline = math.inf

    def open(self, client: asyncio.Transport, upstream: Upstream, *, is_client_slow: bool) -> None:
        """Take both connections over."""
        self.client = TunnelEnd(self, client)
        self.backend = TunnelEnd(self, upstream.transport)
        self.client.other = self.backend
        self.backend.other = self.client
        client.set_protocol(self.client)
        upstream.transport.set_protocol(self.backend)
        upstream.speaker = None
        self._board.connections.add(self)
        if is_client_slow:
            self.client.pause_writing()

    def close(self) -> None:
        """End both connections when all that was sent has gone out."""
        self.client.transport.close()
        self.backend.transport.close()

    def lost(self, end: TunnelEnd, *, broken: bool) -> None:
        """End the other connection too, and write the log line, once."""
        if broken:
            end.other.transport.abort()
        else:
            end.other.transport.close()
        if end is self.backend:
            self._board.pools.tunnel_closed(self._relay.route.origin)
        if self._is_over:
            return
        self._is_over = True
        self._board.connections.discard(self)
        if self._usage is not None:
            self._usage.end()
        relay = self._relay
        relay.received = self.client.count
        relay.sent = self.backend.count
        self._board.log.note(
            entry_of(
                relay, self._board.loop.time(), log=self._board.log, client_ip=self._client_ip, event="tunnel_ended"
            )
        )

    # What the proxy as a whole asks

    def watch(self) -> None:
        """End it when nothing moves for a while: a side that has stopped sending may be gone, and not be listening."""
        self._moved = self.client.count + self.backend.count
        self.deadline = self._board.loop.time() + self._board.limits.half_closed

    def overdue(self) -> None:
        if self._moved == self.client.count + self.backend.count:
            self.cut()
        else:
            self.watch()

    def drain(self) -> None:
        """Go on: it is in flight."""

    def uses(self, backend: str, tokens: frozenset[bytes] | None) -> bool:
        route = self._relay.route
        return route.backend == backend and (tokens is None or route.token in tokens)

    def cut(self) -> None:
        """End both connections at once."""
        self.client.transport.abort()
        self.backend.transport.abort()
