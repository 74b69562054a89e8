"""
Connections to backends: one request at a time on each, pooled by backend and address.

A connection goes back to the pool only when both messages on it ended where their framing said. One that speaks
unasked, or hears its backend hang up, is not used again.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from proxyd.config import Limits
from proxyd.route import Route


class Speaker(Protocol):
    """Who has a connection for the time of one request."""

    def connected(self, upstream: Upstream) -> None:
        """Take a connection into use."""

    def not_connected(self, status: int) -> None:
        """Learn that there is none to be had, and how to put that."""

    def backend_data(self, data: bytes) -> None:
        """Take what the backend sent."""

    def backend_lost(self, *, clean: bool) -> None:
        """Learn that the backend sends no more; clean unless the connection broke."""

    def pause_upload(self) -> None:
        """Send nothing for a while: the backend reads too slowly."""

    def resume_upload(self) -> None:
        """Go on sending."""


class Upstream(asyncio.Protocol):
    """One connection to one backend."""

    __slots__ = ("_pools", "idle_since", "is_counted", "is_reused", "origin", "speaker", "transport")

    transport: asyncio.Transport

    def __init__(self, pools: Pools, origin: str) -> None:
        self._pools = pools
        self.origin = origin
        self.speaker: Speaker | None = None
        self.is_reused = False
        self.is_counted = False
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.speaker is not None:
            self.speaker.backend_data(data)
        else:
            # Whatever it is, the next client must not take it for the answer to its own request.
            self._pools.take_out(self)
            self.transport.abort()

    def eof_received(self) -> bool:
        if self.speaker is not None:
            self.speaker.backend_lost(clean=True)
        else:
            self._pools.take_out(self)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._pools.closed(self)
        if self.speaker is not None:
            self.speaker.backend_lost(clean=exc is None)

    def pause_writing(self) -> None:
        if self.speaker is not None:
            self.speaker.pause_upload()

    def resume_writing(self) -> None:
        if self.speaker is not None:
            self.speaker.resume_upload()


class Pools:
    """All connections to backends, and those among them that wait for the next request."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits) -> None:
        self._loop = loop
        self._limits = limits
        self._idle: dict[str, list[Upstream]] = {}
        self._open: dict[str, int] = {}

    def take(self, origin: str, now: float, *, may_repeat: bool) -> Upstream | None:
        """Take the connection that was used last, if there is one that this request may use."""
        idle = self._idle.get(origin)
        if not idle:
            return None
        if not may_repeat and now - idle[-1].idle_since > self._limits.fresh_backend:
            return None
        return idle.pop()

    def give_back(self, upstream: Upstream, now: float) -> None:
        """Keep a connection for the next request; its speaker has let go of it."""
        idle = self._idle.get(upstream.origin)
        if idle is None:
            idle = self._idle[upstream.origin] = []
        if upstream.transport.is_closing() or len(idle) >= self._limits.idle_per_backend:
            upstream.transport.close()
            return
        upstream.is_reused = True
        upstream.idle_since = now
        idle.append(upstream)

    def connect(self, route: Route, speaker: Speaker) -> asyncio.Task[None]:
        """Make a new connection for a speaker, who is told; cancel the task to forget it."""
        return self._loop.create_task(self._connect(route, speaker))

    async def _connect(self, route: Route, speaker: Speaker) -> None:
        origin = route.origin
        if self._open.get(origin, 0) >= self._limits.open_per_backend:
            speaker.not_connected(503)
            return
        self._count(origin, 1)
        upstream = None
        try:
            async with asyncio.timeout(self._limits.connect):
                _, upstream = await self._loop.create_connection(
                    lambda: Upstream(self, origin), host=route.host, port=route.port
                )
        except TimeoutError:
            speaker.not_connected(504)
        except OSError:
            speaker.not_connected(502)
        else:
            # Only now: when this is cancelled, the loop closes what it made without telling the protocol.
            upstream.is_counted = True
            speaker.connected(upstream)
        finally:
            if upstream is None:
                self._count(origin, -1)

    def take_out(self, upstream: Upstream) -> None:
        """Do not use this connection again."""
        idle = self._idle.get(upstream.origin, [])
        if upstream in idle:
            idle.remove(upstream)

    def closed(self, upstream: Upstream) -> None:
        """Count a connection that is gone."""
        self.take_out(upstream)
        if upstream.is_counted:
            self._count(upstream.origin, -1)

    def tunnel_closed(self, origin: str) -> None:
        """Count a connection that is gone, and was a tunnel at last."""
        self._count(origin, -1)

    def drop_backend(self, backend: str) -> None:
        """Close what waits for requests to a backend that is gone."""
        for origin in [origin for origin in self._idle if origin.startswith(backend + "@")]:
            self._close(self._idle.pop(origin))

    def expire(self, now: float) -> None:
        """Close what nobody has used for long, and forget backends that nobody asks for."""
        for origin, idle in list(self._idle.items()):
            # In the order in which they came back: the oldest are first.
            stale = [upstream for upstream in idle if now - upstream.idle_since >= self._limits.idle_backend]
            self._idle[origin] = idle[len(stale) :]
            self._close(stale)
            if not self._idle[origin]:
                del self._idle[origin]

    def close(self) -> None:
        """Close everything that waits."""
        for origin in list(self._idle):
            self._close(self._idle.pop(origin))

    def _close(self, upstreams: list[Upstream]) -> None:
        for upstream in upstreams:
            upstream.transport.close()

    def _count(self, origin: str, change: int) -> None:
        count = self._open.get(origin, 0) + change
        if count:
            self._open[origin] = count
        else:
            del self._open[origin]
