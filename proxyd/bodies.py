"""
Bodies as they pass: how much of what arrives belongs to this message, and where it ends. Pure; nothing is gathered.
"""

from __future__ import annotations

from typing import Protocol

from proxyd.chunks import LAST_CHUNK, ChunkedReader, frame_chunk
from proxyd.http1 import CHUNKED, UNTIL_CLOSE


class BodyReader(Protocol):
    """Takes the framing off a body."""

    done: bool  #: the body has ended
    rest: bytes  #: what came behind its end

    def feed(self, data: bytes) -> bytes:
        """Return the payload in these bytes."""


class LengthReader:
    """A body of a known length."""

    __slots__ = ("_left", "done", "rest")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        left = self._left - len(data)
        if left > 0:
            self._left = left
            return data
        payload = data
        if left < 0:
            payload, self.rest = data[: self._left], data[self._left :]
        self._left = 0
        self.done = True
        return payload


class EndlessReader:
    """A body that ends with its connection; whoever sees that end says so."""

    __slots__ = ("done", "rest")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        return data


def reader_for(length: int) -> BodyReader:
    """Return the reader for a framing as http1 tells it."""
    if length == CHUNKED:
        return ChunkedReader()
    return EndlessReader() if length == UNTIL_CLOSE else LengthReader(length)


def onward(reader: BodyReader, data: bytes, *, chunked: bool) -> bytes:
    """Feed a body and return what goes on to the other side, in chunks or bare."""
    payload = reader.feed(data)
    if not chunked:
        return payload
    framed = frame_chunk(payload) if payload else b""
    return framed + LAST_CHUNK if reader.done else framed
