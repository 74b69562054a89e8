"""
What header blocks mean to the proxy, and how they go on: requests to a backend, responses to a client. Pure.

A verdict depends on the block alone, so that it can be remembered by the block's bytes. What differs between requests
(paths, who asks, where a route leads) is added by the relay.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from proxyd.addressing import normal_host
from proxyd.http1 import CHUNKED, UNTIL_CLOSE, Field, list_tokens, read_fields, read_framing
from proxyd.refusals import Refused

#: Meant for the next hop only, or for us; never passed on as they came. Framing is written anew.
_SPECIAL_IN_REQUESTS: Final = frozenset(
    {
        b"host",
        b"connection",
        b"content-length",
        b"transfer-encoding",
        b"upgrade",
        b"expect",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"http2-settings",
    }
)
_SPECIAL_IN_RESPONSES: Final = frozenset(
    {
        b"connection",
        b"content-length",
        b"transfer-encoding",
        b"upgrade",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"te",
        b"trailer",
        b"server",
        b"x-plane-backend-id",
    }
)
_REPLACED: Final = frozenset({b"x-forwarded-for", b"x-forwarded-proto"})
_CORS: Final = frozenset(
    {b"access-control-allow-origin", b"access-control-allow-methods", b"access-control-allow-headers"}
)
CORS_LINES: Final = (
    b"access-control-allow-origin: *\r\n"
    b"access-control-allow-methods: *\r\n"
    b"access-control-allow-headers: *, Authorization\r\n"
)
#: A tunnel in HTTP/2 would carry requests past us, with verified headers of the client's own making.
_NO_TUNNELS: Final = (b"h2c", b"h2")
_PROTOCOL: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:/[!#$%&'*+.^_`|~0-9A-Za-z-]+)?")

_NOTHING: Final[frozenset[bytes]] = frozenset()
#: What Connection may name that is no header, or one that is taken out anyway.
_HARMLESS: Final = frozenset({b"close", b"keep-alive", b"upgrade", b"te"})

Sorted = dict[bytes, list[bytes]]


class RequestFields(msgspec.Struct, frozen=True, gc=False):
    """The verdict on a request's header block."""

    host: bytes  #: in lower case and without `:443`; empty when there is none
    length: int  #: of the body, or CHUNKED
    says_close: bool
    says_keep_alive: bool
    upgrades: bool  #: the client asks for another protocol
    lines: bytes  #: what goes on to the backend


class ResponseFields(msgspec.Struct, frozen=True, gc=False):
    """The verdict on a response's header block."""

    length: int  #: of the body, CHUNKED or UNTIL_CLOSE
    says_close: bool
    says_keep_alive: bool
    upgrade: bytes  #: the protocol that a 101 changes to
    lines: bytes  #: what goes on to the client, without framing
    has_cors: bool  #: the backend speaks for itself about other origins


def judge_request(block: bytes) -> RequestFields:
    """
    Decide what a request's header block says, and what of it a backend is shown.

    Raises:
        Refused: it breaks a rule, or expects what we cannot do.
    """
    special, kept = _sort(read_fields(block), _fate_in_request)
    tokens = _read_connection(special)
    length = read_framing(special.get(b"content-length"), special.get(b"transfer-encoding"), otherwise=0)
    protocols = _read_upgrade(special, tokens)
    host, lines = _read_host(special.get(b"host"))
    lines += _lines(kept, without=tokens)
    if length == CHUNKED:
        lines += b"transfer-encoding: chunked\r\n"
    elif b"content-length" in special:
        lines += b"content-length: %d\r\n" % length
    if protocols:
        lines += b"connection: upgrade\r\nupgrade: " + protocols + b"\r\n"
    if b"expect" in special:
        lines += _read_expectation(special[b"expect"])
    return RequestFields(
        host=host,
        length=length,
        says_close=b"close" in tokens,
        says_keep_alive=b"keep-alive" in tokens,
        upgrades=bool(protocols),
        lines=lines,
    )


def judge_response(block: bytes) -> ResponseFields:
    """
    Decide what a response's header block says, and what of it a client is shown.

    Raises:
        Refused: it breaks a rule.
    """
    special, kept = _sort(read_fields(block), _fate_in_response)
    tokens = _read_connection(special)
    return ResponseFields(
        length=read_framing(special.get(b"content-length"), special.get(b"transfer-encoding"), otherwise=UNTIL_CLOSE),
        says_close=b"close" in tokens,
        says_keep_alive=b"keep-alive" in tokens,
        upgrade=_read_upgrade(special, tokens),
        lines=_lines(kept, without=tokens - _CORS),
        has_cors=any(name.lower() in _CORS for name, _ in kept),
    )


def is_ours(normal_name: bytes) -> bool:
    """Tell whether only we may set this header (lower case, `_` read as `-`) in a request."""
    return normal_name.startswith(b"x-verified-") or normal_name in _REPLACED


class _Fate(enum.Enum):
    """What becomes of a header by its name alone."""

    KEPT = enum.auto()
    DROPPED = enum.auto()
    SPECIAL = enum.auto()


#: Read for every header; looking a member up in its class costs ten times as much.
_KEPT, _DROPPED, _SPECIAL = _Fate


@functools.lru_cache(maxsize=4096)  # the same few names come again and again
def _fate_in_request(name: bytes) -> _Fate:
    lower = name.lower()
    if lower in _SPECIAL_IN_REQUESTS:
        return _SPECIAL
    # Some application servers cannot tell `_` from `-`: they would see a second Content-Length, or headers of ours.
    normal = lower.replace(b"_", b"-")
    return _DROPPED if is_ours(normal) or normal in _SPECIAL_IN_REQUESTS else _KEPT


@functools.lru_cache(maxsize=4096)
def _fate_in_response(name: bytes) -> _Fate:
    return _SPECIAL if name.lower() in _SPECIAL_IN_RESPONSES else _KEPT


def _sort(fields: Iterable[Field], fate_of: Callable[[bytes], _Fate]) -> tuple[Sorted, list[Field]]:
    """Part what needs a thought from what goes on as it is."""
    apart: Sorted = {}
    kept: list[Field] = []
    for field in fields:
        fate = fate_of(field[0])
        if fate is _KEPT:
            kept.append(field)
        elif fate is _SPECIAL:
            apart.setdefault(field[0].lower(), []).append(field[1].rstrip(b" \t"))
    return apart, kept


def _lines(kept: list[Field], *, without: frozenset[bytes] | set[bytes]) -> bytes:
    if without - _HARMLESS:
        kept = [field for field in kept if field[0].lower() not in without]
    return b"".join([part for name, value in kept for part in (name, b": ", value, b"\r\n")])


def _read_connection(special: Sorted) -> frozenset[bytes] | set[bytes]:
    values = special.get(b"connection")
    return _NOTHING if values is None else list_tokens(values)


def _read_host(values: list[bytes] | None) -> tuple[bytes, bytes]:
    """Return the host to compare, and the line that goes on."""
    if values is None:
        return b"", b""
    if len(values) > 1:
        raise Refused(400, "more than one Host")
    host = normal_host(values[0])
    if host is None:
        raise Refused(400, "malformed Host")
    return host, b"host: " + values[0] + b"\r\n"


def _read_upgrade(special: Sorted, tokens: frozenset[bytes] | set[bytes]) -> bytes:
    """Return the protocols that an Upgrade names, if Connection lists it, without those that we do not tunnel."""
    if b"upgrade" not in tokens:
        return b""
    words = [word.strip(b" \t") for value in special.get(b"upgrade", []) for word in value.split(b",")]
    return b", ".join(word for word in words if _PROTOCOL.fullmatch(word) and word.lower() not in _NO_TUNNELS)


def _read_expectation(values: list[bytes]) -> bytes:
    """Return the line that goes on; the backend is the one to say 100."""
    if [value.lower() for value in values] != [b"100-continue"]:
        raise Refused(417, "an expectation other than 100-continue")
    return b"expect: 100-continue\r\n"
