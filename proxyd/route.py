"""
One route: where a token leads, with everything about it that can be prepared once. Pure.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from typing import Any, Final

import msgspec
from msgspec import UNSET

from protocol.routes import RouteInfo
from protocol.tokens import is_static

_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NAME: Final = re.compile(r"[a-z0-9-]{1,45}")


class UnusableRoute(ValueError):
    """An answer that leads nowhere, or that would put control characters into a head."""


class Route(msgspec.Struct, eq=False, gc=False, weakref=False):
    """Where one token leads. Only the route table changes `refresh_at`."""

    token: bytes
    backend: str
    host: str
    port: int
    origin: str  #: backend and address: what connections are pooled by
    cluster: bytes  #: as `addressing.normal_host` has it
    subdomain: bytes | None
    request_lines: bytes  #: headers for the backend, the same in every request
    response_lines: bytes  #: headers for the client, the same in every response
    response_end: bytes  #: the same, and the end of the head
    expires_at: float  #: on the proxy's own clock, seconds; may be infinity
    refresh_at: float  #: from then on it is asked about again, behind its users' backs

    def __repr__(self) -> str:
        return f"Route(token=…, origin={self.origin!r})"


def make_route(token: bytes, info: RouteInfo, *, now: float) -> Route:
    """
    Prepare a route from a controller's answer; `now` is the proxy's own clock in seconds.

    Raises:
        UnusableRoute: the answer cannot be used.
    """
    host, port = parse_address(info.address)
    if not _NAME.fullmatch(info.backend_id):
        raise UnusableRoute("malformed backend name")
    life = math.inf if info.expires_in_ms is UNSET else info.expires_in_ms / 1000
    return Route(
        token=token,
        backend=info.backend_id,
        host=host,
        port=port,
        origin=f"{info.backend_id}@{info.address}",
        cluster=_one_line(info.cluster).lower().encode().removesuffix(b":443"),
        subdomain=info.subdomain.lower().encode() if info.subdomain else None,
        request_lines=_verified(info, static=is_static(token.decode("ascii"))),
        response_lines=f"x-plane-backend-id: {info.backend_id}\r\n".encode(),
        response_end=f"x-plane-backend-id: {info.backend_id}\r\n\r\n".encode(),
        expires_at=now + life,
        # Its life may have grown with use meanwhile, which only the controller knows.
        refresh_at=now + life * 0.8,
    )


def parse_address(address: str) -> tuple[str, int]:
    """
    Take `ip:port` or `[ip]:port` apart.

    Raises:
        UnusableRoute: it is neither.
    """
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise UnusableRoute("malformed address") from None
    if not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) < 65536:
        raise UnusableRoute("malformed port")
    return host, int(port)


def _verified(info: RouteInfo, *, static: bool) -> bytes:
    lines = [f"x-verified-backend: {info.backend_id}", f"x-verified-secret: {_one_line(info.secret_token)}"]
    if info.user is not None:
        lines.append(f"x-verified-username: {_one_line(info.user)}")
    if not static:
        lines.append(f"x-verified-user-data: {_as_json(info.user_data)}")
    lines.append("x-forwarded-proto: http")
    return ("\r\n".join(lines) + "\r\n").encode()


def _as_json(user_data: Any) -> str:
    return json.dumps(user_data if user_data is not None else {}, ensure_ascii=True, separators=(",", ":"))


def _one_line(text: str) -> str:
    if _CONTROL.search(text):
        raise UnusableRoute("control characters in a header")
    return text
