"""
The status of a backend as server-sent events: what it was, what it becomes, and the end.

A stream subscribes first and reads then, so nothing falls in between. What the server writes to a client that does not
read stays in memory, so each stream has a budget of bytes and of time; a client that reconnects goes on where it was.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import structlog

from backends.api.exchange import Headers, Receive, Scope, Send, context_of, header
from backends.services.statuses import read_history
from backends.services.terminate import NoSuchBackend
from drones.context import ControllerContext
from postgres.pool import DatabaseUnavailable
from protocol.backend_state import BackendStatus
from protocol.codec import encode
from protocol.views import BackendStatusView

_log = structlog.get_logger(__name__)

EVENT_STREAM: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


@dataclass(frozen=True, kw_only=True)
class StreamLimits:
    """A comment line each `keepalive` seconds, and at most so many bytes and seconds for one stream."""

    keepalive: float = 15.0
    bytes: int = 64 * 1024
    seconds: float = 3600.0


LIMITS: Final = StreamLimits()


class _Ended(Exception):
    """The stream is over: all is said, the client left, or a limit was reached."""


class _Stream:
    """One stream: what its client has seen, and what it may still cost."""

    def __init__(self, send: Send, *, seen: int, budget: int) -> None:
        self._send = send
        self._seen = seen
        self._budget = budget

    async def begin(self, headers: Headers) -> None:
        await self._send({"type": "http.response.start", "status": 200, "headers": [*EVENT_STREAM, *headers]})

    async def tell(self, history: list[BackendStatusView]) -> None:
        """Write what the client has not seen yet. Raises: _Ended, when there will be nothing more."""
        for view in history:
            if view.status.rank > self._seen:
                await self._write(frame(view))
                self._seen = view.status.rank
        if self._seen >= BackendStatus.TERMINATED.rank:
            raise _Ended

    async def keep_alive(self) -> None:
        """Write a comment, which clients ignore. Raises: _Ended."""
        await self._write(b":\n\n")

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})

    async def _write(self, data: bytes) -> None:
        self._budget -= len(data)
        if self._budget < 0:
            raise _Ended
        await self._send({"type": "http.response.body", "body": data, "more_body": True})


async def stream_statuses(scope: Scope, receive: Receive, send: Send, *, headers: Headers) -> None:
    """
    Answer a request for a backend's statuses.

    Raises:
        NoSuchBackend, DatabaseUnavailable: nothing has been sent.
    """
    seen = rank_of(header(scope, b"last-event-id"))
    if seen >= BackendStatus.TERMINATED.rank:
        await send({"type": "http.response.start", "status": 204, "headers": [*headers]})
        await send({"type": "http.response.body", "body": b""})
        return
    context, backend, limits = context_of(scope), scope["plane.backend"], LIMITS
    changed = asyncio.Event()
    unsubscribe = context.doorbell.subscribe("backend", backend, tell=lambda _: changed.set())
    ends = [asyncio.ensure_future(end) for end in (_client_left(receive), context.closing.wait())]
    for end in ends:
        end.add_done_callback(lambda _: changed.set())
    stream = _Stream(send, seen=seen, budget=limits.bytes)
    try:
        history = await read_history(context, backend)
        await stream.begin(headers)
        async with asyncio.timeout(limits.seconds):
            while not any(end.done() for end in ends):
                await stream.tell(history)
                if not await _rung(changed, limits.keepalive):
                    await stream.keep_alive()
                history = await _read_again(context, backend)
    except (_Ended, TimeoutError):
        pass
    finally:
        unsubscribe()
        for end in ends:
            end.cancel()
    await stream.end()


async def _rung(changed: asyncio.Event, patience: float) -> bool:
    """Wait for a ring; tell whether one came. A lost one costs no more than this patience."""
    try:
        async with asyncio.timeout(patience):
            await changed.wait()
    except TimeoutError:
        return False
    changed.clear()
    return True


async def _read_again(context: ControllerContext, backend: str) -> list[BackendStatusView]:
    try:
        return await read_history(context, backend)
    except DatabaseUnavailable:
        return []  # it is asked again with the next ring, or the next comment
    except NoSuchBackend:
        raise _Ended from None  # ended long ago, and cleaned up


async def _client_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def frame(view: BackendStatusView) -> bytes:
    """Return one event."""
    return b"id: %s\ndata: %s\n\n" % (str(view.status).encode(), encode(view))


def rank_of(last_event_id: str | None) -> int:
    """Return how far a client has come that names its last event; 0 for one that names none, or none of ours."""
    known: dict[Any, BackendStatus] = {str(status): status for status in BackendStatus}
    return known[last_event_id].rank if last_event_id in known else 0
