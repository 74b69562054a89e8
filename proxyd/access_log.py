"""
One line for each request and tunnel, never with a token. Written in gulps: one at a time costs more than a request.

The lines look as structlog's do; a terminal gets them from structlog itself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

log = structlog.get_logger(__name__)

_encoder: Final = msgspec.json.Encoder()


class Entry(msgspec.Struct, frozen=True, gc=False):
    """What was served; `ended` and `seconds` by the proxy's own clock."""

    ended: float
    event: str
    backend: str
    client: str
    method: bytes
    path: str
    status: int
    received: int
    sent: int
    seconds: float


class _Line(msgspec.Struct, frozen=True, gc=False):
    """One line as JSON."""

    backend: str
    client: str
    method: str
    path: str
    status: int
    received: int
    sent: int
    seconds: float
    event: str
    timestamp: str
    level: str = "info"
    logger: str = __name__


class AccessLog:
    """Gathers entries between two flushes."""

    def __init__(
        self, clock: Callable[[], float], wall: Callable[[], float], *, write: Callable[[bytes], object] | None
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._write = write
        self._entries: list[Entry] = []
        self.note = self._entries.append  #: takes an Entry

    def flush(self) -> None:
        """Write what was gathered."""
        if not self._entries:
            return
        entries = self._entries[:]
        self._entries.clear()
        offset = self._wall() - self._clock()
        lines = [_line(entry, offset) for entry in entries]
        if self._write is not None:
            self._write(b"\n".join([*map(_encoder.encode, lines), b""]))
            return
        for line in lines:
            fields = msgspec.structs.asdict(line)
            log.info(fields.pop("event"), **{key: fields[key] for key in _SHOWN})


_SHOWN: Final = ("backend", "client", "method", "path", "status", "received", "sent", "seconds")


def _line(entry: Entry, offset: float) -> _Line:
    ended = dt.datetime.fromtimestamp(entry.ended + offset, dt.UTC)
    return _Line(
        backend=entry.backend,
        client=entry.client,
        method=entry.method.decode("ascii"),
        path=entry.path,
        status=entry.status,
        received=entry.received,
        sent=entry.sent,
        seconds=round(entry.seconds, 6),
        event=entry.event,
        timestamp=ended.isoformat().replace("+00:00", "Z"),
    )
