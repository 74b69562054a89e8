"""
The names of nodes, backends, keys, actions and clusters: how they look and how new ones are drawn.

Names are plain strings on the wire; the types here carry the pattern that msgspec checks on reading.
"""

from __future__ import annotations

import enum
import re
import string
from random import Random
from typing import Annotated, Final

import msgspec

ALPHABET: Final = string.ascii_lowercase + string.digits
RANDOM_LENGTH: Final = 14
MAX_NAME_LENGTH: Final = 45

BackendName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,45}\Z")]
NodeName = Annotated[str, msgspec.Meta(pattern=r"^(co|dr|px|ns)-[a-z0-9-]{1,42}\Z")]
ActionName = Annotated[str, msgspec.Meta(pattern=r"^ak-[a-z0-9-]{1,42}\Z")]
#: One RFC 1123 label.
Subdomain = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")]

_NAME = re.compile(r"[a-z0-9-]{1,45}\Z")
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*\Z")


class Prefix(enum.StrEnum):
    """The first letters of a generated name, which tell what it names."""

    CONTROLLER = "co-"
    DRONE = "dr-"
    PROXY = "px-"
    DNS = "ns-"
    ACTION = "ak-"
    KEY = "lk-"
    BACKEND = ""


class InvalidName(ValueError):
    """A name that breaks the rules of the wire."""


class InvalidClusterName(ValueError):
    """A cluster name that is not `host` or `host:port`."""


def draw_name(prefix: Prefix, dice: Random) -> str:
    """Draw a new name: the prefix and 14 random characters of `[a-z0-9]`."""
    return prefix + "".join(dice.choices(ALPHABET, k=RANDOM_LENGTH))


def check_name(name: str, prefix: Prefix) -> str:
    """
    Return the name if it may be used for this kind of thing.

    Raises:
        InvalidName: wrong prefix, wrong characters, or more than 45 of them.
    """
    if not _NAME.match(name) or not name.startswith(prefix) or name == prefix:
        wanted = f"at most {MAX_NAME_LENGTH} of [a-z0-9-], starting with {str(prefix)!r}"
        raise InvalidName(f"{name[:60]!r} is not a name: expected {wanted}")
    return name


class Cluster(msgspec.Struct, frozen=True):
    """A cluster's name, taken apart. The host is in the case it was given in."""

    host: str
    port: int | None

    @property
    def is_secure(self) -> bool:
        """Whether its backends are reached by HTTPS: without a port, or with 443."""
        return self.port in (None, 443)

    def __str__(self) -> str:
        return self.host if self.port is None else f"{self.host}:{self.port}"

    def url(self, token: str, subdomain: str | None = None) -> str:
        """Return the address under which a token's backend is reached."""
        scheme = "https" if self.is_secure else "http"
        host = f"{subdomain}.{self}" if subdomain else str(self)
        return f"{scheme}://{host}/{token}/"


def parse_cluster(name: str) -> Cluster:
    """
    Take `host` or `host:port` apart.

    Raises:
        InvalidClusterName: the name is neither.
    """
    host, colon, port = name.partition(":")
    if not _HOST.match(host):
        raise InvalidClusterName(f"{name[:80]!r} is not a cluster name: expected host or host:port")
    if not colon:
        return Cluster(host, None)
    if not port.isascii() or not port.isdigit() or len(port) > 5 or not 0 < int(port) < 65536:
        raise InvalidClusterName(f"{name[:80]!r} is not a cluster name: the port must be 1 to 65535")
    return Cluster(host, int(port))
