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


class _Ended(Exception):
    """The stream is over: all is said, the client left, or a limit was reached."""


class _Writer:
    """Writes to one stream within its budget."""

    def __init__(self, send: Send, budget: int) -> None:
        self._send = send
        self._budget = budget

    async def write(self, data: bytes) -> None:
        self._budget -= len(data)
        if self._budget < 0:
            raise _Ended
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})


async def stream_statuses(
    scope: Scope, receive: Receive, send: Send, *, headers: Headers, limits: StreamLimits | None = None
) -> None:
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
    context, backend, chosen = context_of(scope), scope["plane.backend"], limits or StreamLimits()
    changed = asyncio.Event()
    unsubscribe = context.doorbell.subscribe("backend", backend, lambda *_: changed.set())
    leaving = asyncio.ensure_future(_client_left(receive))
    closing = asyncio.ensure_future(context.closing.wait())
    for end in (leaving, closing):
        end.add_done_callback(lambda _: changed.set())
    writer = _Writer(send, chosen.bytes)
    try:
        history = await read_history(context, backend)
        await send({"type": "http.response.start", "status": 200, "headers": [*EVENT_STREAM, *headers]})
        async with asyncio.timeout(chosen.seconds):
            while not (leaving.done() or closing.done()):
                seen = await _tell(writer, history, seen)
                history = await _next_history(scope, changed, writer, chosen.keepalive)
    except (_Ended, TimeoutError):
        pass
    finally:
        unsubscribe()
        leaving.cancel()
        closing.cancel()
    await writer.end()


async def _tell(writer: _Writer, history: list[BackendStatusView], seen: int) -> int:
    """Write what was not seen yet; return the rank that is seen then. Raises: _Ended."""
    for view in history:
        if view.status.rank > seen:
            await writer.write(frame(view))
            seen = view.status.rank
    if seen >= BackendStatus.TERMINATED.rank:
        raise _Ended
    return seen


async def _next_history(
    scope: Scope, changed: asyncio.Event, writer: _Writer, keepalive: float
) -> list[BackendStatusView]:
    """Wait for a ring, or for the time to show that we are still here, and read again."""
    try:
        await asyncio.wait_for(changed.wait(), keepalive)
    except TimeoutError:
        await writer.write(b":\n\n")
    changed.clear()
    try:
        return await read_history(context_of(scope), scope["plane.backend"])
    except DatabaseUnavailable:
        return []
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
