"""
How a backend's answer goes on to a client: framing, persistence and the head. Pure.
"""

from __future__ import annotations

from typing import Final

import msgspec

from proxyd.headers import CORS_LINES, ResponseFields
from proxyd.http1 import CHUNKED, UNTIL_CLOSE, StatusLine
from proxyd.request import Request
from proxyd.route import Route

_BODILESS: Final = (204, 304)
_CLOSE: Final = b"connection: close\r\n"
_KEEP_ALIVE: Final = b"connection: keep-alive\r\n"
_CHUNKED_LINE: Final = b"transfer-encoding: chunked\r\n"


class Plan(msgspec.Struct, frozen=True, gc=False):
    """What to do with an answer."""

    length: int  #: how its body ends on the backend's side; 0 when it has none
    chunked: bool  #: whether the body goes on in chunks
    framing: bytes  #: header lines that say how the body ends on the client's side
    keeps_client: bool
    keeps_backend: bool


def plan_response(request: Request, line: StatusLine, *, fields: ResponseFields, may_keep: bool) -> Plan:
    """Decide how an answer goes on; `may_keep` tells whether there is a reason to hang up on the client anyway."""
    length = 0 if request.method == b"HEAD" or line.status in _BODILESS else fields.length
    keeps_client = may_keep and request.is_persistent
    chunked = False
    framing = b""
    if fields.length >= 0:
        if line.status != 204:
            framing = b"content-length: %d\r\n" % fields.length
    elif request.minor == 0:
        # It knows no chunks: the end of the connection is the end of the body.
        keeps_client = keeps_client and length == 0
    elif length != 0:
        chunked = True
        framing = _CHUNKED_LINE
    elif fields.length == CHUNKED and line.status != 204:
        framing = _CHUNKED_LINE
    if not keeps_client:
        framing += _CLOSE
    elif request.minor == 0:
        framing += _KEEP_ALIVE
    persistent = line.minor == 1 or fields.says_keep_alive
    return Plan(
        length=length,
        chunked=chunked,
        framing=framing,
        keeps_client=keeps_client,
        keeps_backend=persistent and not fields.says_close and length != UNTIL_CLOSE,
    )


def head_for_client(
    status_line: bytes, fields: ResponseFields, *, framing: bytes, route: Route, server_line: bytes
) -> bytes:
    """Return the head that a client sees; the status line as the backend sent it, but for its version."""
    return b"".join(
        (
            b"HTTP/1.1",
            status_line[8:],
            b"\r\n",
            fields.lines,
            framing,
            server_line,
            b"" if fields.has_cors else CORS_LINES,
            route.response_lines,
            b"\r\n",
        )
    )


def interim_head(status_line: bytes, fields: ResponseFields) -> bytes:
    """Return the head of a 1xx answer; nothing is added to it."""
    return b"HTTP/1.1" + status_line[8:] + b"\r\n" + fields.lines + b"\r\n"
