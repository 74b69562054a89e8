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
    """What was served, as the line shows it."""

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


def whole_millis(seconds: float) -> float:
    """Return seconds to the millisecond, which is all that the loop's clock tells; round() takes ten times as long."""
    return int(seconds * 1000 + 0.5) / 1000


class AccessLog:
    """Gathers entries between two flushes."""

    def __init__(
        self, clock: Callable[[], float], wall: Callable[[], float], *, write: Callable[[bytes], object] | None
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._write = write
        self._entries: list[Entry] = []
        self._stamped = -1.0
        self._stamp = ""
        self.note = self._entries.append  #: takes an Entry

    def stamp(self, now: float) -> str:
        """Return the time of day for a moment of the proxy's clock; many entries share one turn of the loop."""
        if now != self._stamped:
            self._stamped = now
            moment = dt.datetime.fromtimestamp(self._wall() - self._clock() + now, dt.UTC)
            self._stamp = moment.isoformat().replace("+00:00", "Z")
        return self._stamp

    def flush(self) -> None:
        """Write what was gathered."""
        if not self._entries:
            return
        entries = self._entries[:]
        self._entries.clear()
        if self._write is not None:
            self._write(b"\n".join([*map(_encoder.encode, entries), b""]))
            return
        for entry in entries:
            fields = msgspec.structs.asdict(entry)
            log.info(fields.pop("event"), **{key: fields[key] for key in _SHOWN})


_SHOWN: Final = ("backend", "client", "method", "path", "status", "received", "sent", "seconds")
