"""
How a backend's answer goes on to a client: framing, persistence and the head. Pure.
"""

from __future__ import annotations

from typing import Final

import msgspec

from proxyd.headers import CORS_LINES, ResponseFields, judge_response
from proxyd.http1 import CHUNKED, UNTIL_CLOSE, StatusLine, read_status_line

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


class Audience(msgspec.Struct, frozen=True, gc=False):
    """What the client makes of an answer."""

    minor: int  #: of its HTTP version
    head_only: bool
    stays: bool  #: neither it nor we have a reason to hang up afterwards


#: Almost every client; what it gets is remembered.
ORDINARY: Final = Audience(minor=1, head_only=False, stays=True)


class ResponseHead(msgspec.Struct, frozen=True, gc=False):
    """The verdict on the head of an answer."""

    start: bytes  #: the status line as it came
    line: StatusLine
    fields: ResponseFields
    plan: Plan  #: for an ordinary client
    lines: bytes  #: for an ordinary client, but for what depends on the route


def plan_response(audience: Audience, line: StatusLine, *, fields: ResponseFields) -> Plan:
    """Decide how an answer goes on."""
    length = 0 if audience.head_only or line.status in _BODILESS else fields.length
    keeps_client = audience.stays
    chunked = False
    framing = b""
    if fields.length >= 0:
        if line.status != 204:
            framing = b"content-length: %d\r\n" % fields.length
    elif audience.minor == 0:
        # It knows no chunks: the end of the connection is the end of the body.
        keeps_client = keeps_client and length == 0
    elif length != 0:
        chunked = True
        framing = _CHUNKED_LINE
    elif fields.length == CHUNKED and line.status != 204:
        framing = _CHUNKED_LINE
    if not keeps_client:
        framing += _CLOSE
    elif audience.minor == 0:
        framing += _KEEP_ALIVE
    persistent = line.minor == 1 or fields.says_keep_alive
    return Plan(
        length=length,
        chunked=chunked,
        framing=framing,
        keeps_client=keeps_client,
        keeps_backend=persistent and not fields.says_close and length != UNTIL_CLOSE,
    )


def judge_head(head: bytes, *, server_line: bytes) -> ResponseHead:
    """
    Decide what the head of an answer says: status line and headers, without the empty line behind them.

    Raises:
        Refused: it breaks a rule.
    """
    end = head.find(b"\r\n")
    line = read_status_line(head[:end])
    fields = judge_response(head[end + 2 :])
    plan = plan_response(ORDINARY, line, fields=fields)
    return ResponseHead(
        head[:end],
        line,
        fields,
        plan,
        lines_for_client(head[:end], fields, framing=plan.framing, server_line=server_line),
    )


def lines_for_client(start: bytes, fields: ResponseFields, *, framing: bytes, server_line: bytes) -> bytes:
    """Return the head that a client sees, but for what the route adds; only the version of its first line is ours."""
    cors = b"" if fields.has_cors else CORS_LINES
    return b"".join((b"HTTP/1.1", start[8:], b"\r\n", fields.lines, framing, server_line, cors))


def interim_head(head: ResponseHead) -> bytes:
    """Return the head of a 1xx answer for its client; nothing is added to it."""
    return b"HTTP/1.1" + head.start[8:] + b"\r\n" + head.fields.lines + b"\r\n"
