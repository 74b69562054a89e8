"""
The chunked transfer coding: taken off as bytes arrive, wherever the network cut them, and put on again. Pure.

What goes on is framed anew, so that extensions, trailers and odd spellings end here and cannot be read in two ways.
"""

from __future__ import annotations

import re
from typing import Final

from proxyd.http1 import read_fields
from proxyd.refusals import Refused

MAX_SIZE_LINE: Final = 1024
MAX_TRAILERS: Final = 8 * 1024
LAST_CHUNK: Final = b"0\r\n\r\n"

_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t -~\x80-\xff]*)?")


class ChunkedReader:
    """A chunked body: bytes in, payload out. `rest` is what follows its end."""

    __slots__ = ("_in_trailers", "_left", "_partial", "done", "rest")

    def __init__(self) -> None:
        self._left = 0  #: of the current chunk: payload and the line end after it
        self._partial = b""  #: a line that is not complete yet
        self._in_trailers = False
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """
        Return the payload in these bytes.

        Raises:
            Refused: bad framing.
        """
        if self._partial:
            data, self._partial = self._partial + data, b""
        pieces: list[bytes] = []
        at = 0
        while at < len(data) and not self.done:
            if self._left:
                at = self._take_payload(data, at, pieces=pieces)
            elif self._in_trailers:
                at = self._take_trailers(data, at)
            else:
                at = self._take_size(data, at)
        if self.done:
            self.rest = data[at:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _take_payload(self, data: bytes, at: int, *, pieces: list[bytes]) -> int:
        """Take payload up to the line end behind the chunk, which counts as two bytes of it."""
        stop = min(at + self._left - 2, len(data))
        if stop > at:
            pieces.append(data[at:stop])
            self._left -= stop - at
        stop = max(stop, at)
        if self._left > 2:
            return stop
        end = data[stop : stop + self._left]
        if end != b"\r\n"[-self._left :][: len(end)]:
            raise Refused(400, "a chunk without its line end")
        self._left -= len(end)
        return stop + len(end)

    def _take_size(self, data: bytes, at: int) -> int:
        end = data.find(b"\r\n", at)
        if end < 0:
            return self._keep(data, at, limit=MAX_SIZE_LINE)
        match = _SIZE_LINE.fullmatch(data, at, end)
        if match is None or end - at > MAX_SIZE_LINE:
            raise Refused(400, "bad chunk size")
        size = int(match[1], 16)
        self._in_trailers = size == 0
        self._left = size + 2 if size else 0
        return end + 2

    def _take_trailers(self, data: bytes, at: int) -> int:
        if data.startswith(b"\r\n", at):
            self.done = True
            return at + 2
        end = data.find(b"\r\n\r\n", at)
        if end < 0:
            return self._keep(data, at, limit=MAX_TRAILERS)
        if end - at > MAX_TRAILERS:
            raise Refused(431, "trailers too long")
        read_fields(data[at : end + 2])
        self.done = True
        return end + 4

    def _keep(self, data: bytes, at: int, *, limit: int) -> int:
        partial = data[at:]
        if len(partial) > limit or partial.count(b"\n") != partial.count(b"\r\n"):
            raise Refused(400, "bad chunk framing")
        self._partial = partial
        return len(data)


def frame_chunk(payload: bytes) -> bytes:
    """Return one chunk; the payload must not be empty, since that would end the body."""
    assert payload, "an empty chunk ends the body"
    return b"%x\r\n%b\r\n" % (len(payload), payload)
