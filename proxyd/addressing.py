"""
Where a request wants to go: host, token, and the path that its backend sees. Pure.
"""

from __future__ import annotations

import enum
import re
from typing import Final

import msgspec

_HOST: Final = re.compile(rb"[A-Za-z0-9._-]{1,253}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?")
_STATIC: Final = b"s."


class Place(enum.Enum):
    """Where a path leads that names no backend."""

    READY = "ready"  #: the proxy's own health
    ROOT = "root"
    NOWHERE = "nowhere"  #: an empty first segment


class Address(msgspec.Struct, frozen=True, gc=False):
    """A path that names a backend by its token."""

    token: bytes
    onward: bytes  #: the target that the backend sees, query included
    path: bytes  #: the path that the client asked for, token included, query not

    @property
    def path_after_token(self) -> str:
        """The path as a log may show it."""
        return (self.path[len(self.token) + 1 :] if self.token else self.path).decode("ascii") or "/"


def locate(target: bytes) -> Address | Place:
    """Take the path and query of a request apart; it begins with a slash."""
    path, _, _ = target.partition(b"?")
    slash = path.find(b"/", 1)
    token = path[1:] if slash < 0 else path[1:slash]
    if not token:
        return Place.ROOT if path == b"/" else Place.NOWHERE
    if path == b"/ready":
        return Place.READY
    if token.startswith(_STATIC):
        return Address(token, target, path)  # a static token stays in the path
    rest = target[len(token) + 1 :]
    return Address(token, rest if slash > 0 else b"/" + rest, path)


def normal_host(value: bytes) -> bytes | None:
    """Return a Host header in the form in which hosts are compared; None when it is malformed. Empty stays empty."""
    if not value:
        return b""
    return value.lower().removesuffix(b":443") if _HOST.fullmatch(value) else None


def is_at_home(host: bytes, cluster: bytes, *, subdomain: bytes | None) -> bool:
    """Tell whether a route of this cluster may be used under this host; both in their normal form."""
    if subdomain is not None:
        return host == subdomain + b"." + cluster
    return host == cluster or host.endswith(b"." + cluster)
