"""
One request as the proxy understood it, and the checks that need more than its header block. Pure.
"""

from __future__ import annotations

from typing import Final

import msgspec

from proxyd.addressing import Address, Place, is_at_home, locate, normal_host
from proxyd.headers import RequestFields
from proxyd.http1 import CHUNKED, RequestLine, read_request_line
from proxyd.refusals import Refused
from proxyd.route import Route

#: May be sent twice without harm (RFC 9110, 9.2.2).
IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})


class Target(msgspec.Struct, frozen=True, gc=False):
    """The verdict on a request line."""

    line: RequestLine
    address: Address | Place


def judge_line(line: bytes) -> Target:
    """
    Decide where a request line leads.

    Raises:
        Refused: nowhere, by its form.
    """
    parsed = read_request_line(line)
    return Target(parsed, locate(parsed.target))


class Request(msgspec.Struct, frozen=True, gc=False):
    """A request that is to be passed on."""

    method: bytes
    minor: int  #: of the client's HTTP version, 1.0 or 1.1
    fields: RequestFields
    address: Address
    began: float

    @property
    def is_persistent(self) -> bool:
        """Whether the client means to go on using its connection."""
        fields = self.fields
        return (self.minor == 1 or fields.says_keep_alive) and not fields.says_close

    @property
    def is_ordinary(self) -> bool:
        """Whether its client is `response.ORDINARY`."""
        return self.minor == 1 and self.method != b"HEAD" and not self.fields.says_close

    @property
    def may_be_repeated(self) -> bool:
        """Whether it can be sent again when a connection turned out to be dead."""
        return self.fields.length == 0 and self.method in IDEMPOTENT


def check_head(line: RequestLine, fields: RequestFields) -> None:
    """
    Check what request line and headers say together.

    Raises:
        Refused: no Host, two hosts, or chunks from a client that cannot know them.
    """
    if not fields.host and line.minor == 1:
        raise Refused(400, "no Host")
    if fields.length == CHUNKED and line.minor == 0:
        raise Refused(400, "chunks in HTTP/1.0")
    if line.authority and normal_host(line.authority) != fields.host:
        raise Refused(400, "the target and Host differ")


def judge_admission(route: Route, host: bytes) -> int | None:
    """Return the status with which a host may not use a route, or None when it may."""
    if not host:
        return 400
    return None if is_at_home(host, route.cluster, subdomain=route.subdomain) else 403


def head_for_backend(request: Request, route: Route, *, forwarded_line: bytes) -> bytes:
    """Return the head that a backend sees."""
    address = request.address
    return b"".join(
        (
            request.method,
            b" ",
            address.onward,
            b" HTTP/1.1\r\n",
            request.fields.lines,
            route.request_lines,
            b"x-verified-path: ",
            address.path,
            b"\r\n",
            forwarded_line,
            b"\r\n",
        )
    )
