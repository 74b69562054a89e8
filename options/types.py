"""
The kinds of values that flags take, each refused with a sentence that says what was expected.

No message repeats what may hold a secret: tokens and passwords stand in URLs.
"""

import ipaddress
import math
import shlex
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

import click

from protocol.names import InvalidClusterName, InvalidName, Prefix, check_name, parse_cluster

_WEB_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class InvalidAddress(ValueError):
    """A URL that does not lead to a controller."""


@dataclass(frozen=True)
class ControllerAddress:
    """Where a controller is, and the bearer token that proves who asks. The token is never part of a URL."""

    base_url: str  #: http or https, without user part and without a slash at the end
    bearer_token: str | None = field(default=None, repr=False)

    def http_url(self, path: str) -> str:
        """Return the URL of a route; the path begins with a slash."""
        return self.base_url + path

    def websocket_url(self, path: str) -> str:
        """Return the URL of a socket; the path begins with a slash."""
        return "ws" + self.base_url.removeprefix("http") + path

    @property
    def headers(self) -> dict[str, str]:
        """The headers that every request to this controller carries."""
        return {} if self.bearer_token is None else {"Authorization": f"Bearer {self.bearer_token}"}


def parse_controller_address(text: str) -> ControllerAddress:
    """
    Take a controller's URL apart.

    Raises:
        InvalidAddress: another scheme, no host, or a part that has no meaning here. Says nothing of the token.
    """
    parts = _split(text)
    if parts.scheme not in _WEB_SCHEMES:
        raise InvalidAddress("expected a URL that starts with http://, https://, ws:// or wss://")
    if not parts.hostname:
        raise InvalidAddress("the URL names no host")
    if not _is_host(parts.hostname):
        raise InvalidAddress("the URL names a host that cannot be: a label of it is empty or too long")
    if parts.password:
        raise InvalidAddress("a bearer token stands alone before the @, without a colon")
    if parts.query or parts.fragment:
        raise InvalidAddress("the URL of a controller has neither ? nor #")
    token = unquote(parts.username) if parts.username else None
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise InvalidAddress("the bearer token holds characters that no header can carry")
    place = parts.netloc.rpartition("@")[2]
    return ControllerAddress(urlunsplit((_WEB_SCHEMES[parts.scheme], place, parts.path.rstrip("/"), "", "")), token)


def _split(text: str) -> SplitResult:
    if any(character.isspace() or not character.isprintable() for character in text):
        raise InvalidAddress("a URL holds no spaces or control characters")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise InvalidAddress("the host or port of the URL is malformed") from error
    return parts


def _is_host(host: str) -> bool:
    """Tell whether a resolver can be asked for a host at all; Python raises no OSError when it cannot."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


class ControllerUrl(click.ParamType[Any]):
    """A controller's URL; gives a ControllerAddress. Declare such a flag with `secret=True`."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ControllerAddress:
        if isinstance(value, ControllerAddress):
            return value
        try:
            return parse_controller_address(value)
        except InvalidAddress as error:
            self.fail(f"{error}.", param, ctx)


class UrlType(click.ParamType[Any]):
    """Any URL with one of the given schemes and, for the web, a host; gives it as it is. May hold a password."""

    name = "url"

    def __init__(self, *schemes: str) -> None:
        self.schemes = schemes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            parts = _split(value)
        except InvalidAddress as error:
            self.fail(f"{error}.", param, ctx)
        if parts.scheme not in self.schemes:
            self.fail(
                f"expected a URL that starts with {' or '.join(f'{name}://' for name in self.schemes)}.", param, ctx
            )
        if parts.scheme in _WEB_SCHEMES and not parts.hostname:
            self.fail("the URL names no host.", param, ctx)
        return str(value)


#: A page or service on the web.
WEB_URL: Final = UrlType("http", "https")
#: A database.
POSTGRES_URL: Final = UrlType("postgres", "postgresql")


class NodeNameType(click.ParamType[Any]):
    """The name of a node, with the prefix of its kind."""

    name = "name"

    def __init__(self, prefix: Prefix) -> None:
        self.prefix = prefix

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return check_name(value, self.prefix)
        except InvalidName as error:
            self.fail(f"{error}.", param, ctx)


class ClusterNameType(click.ParamType[Any]):
    """A cluster: `host` or `host:port`."""

    name = "cluster"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return str(parse_cluster(value))
        except InvalidClusterName as error:
            self.fail(f"{error}.", param, ctx)


class SecondsType(click.ParamType[Any]):
    """A length of time in seconds, fractions allowed; more than nothing unless `or_none`."""

    name = "seconds"

    def __init__(self, *, or_none: bool = False) -> None:
        self.or_none = or_none

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not (math.isfinite(seconds) and (seconds > 0 or (self.or_none and seconds == 0))):
            self.fail(f"{value!r} is not a number of seconds{'' if self.or_none else ' above 0'}.", param, ctx)
        return seconds


class PortType(click.IntRange):
    """A TCP or UDP port."""

    name = "port"

    def __init__(self) -> None:
        super().__init__(1, 65535)


class IpAddressType(click.ParamType[Any]):
    """An IP address of either family, as text."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            self.fail(f"{value!r} is not an IP address.", param, ctx)


class Ipv4OrNameType(click.ParamType[Any]):
    """An IPv4 address, or a host name that is resolved to one, once."""

    name = "address"

    def __init__(self, resolve: Callable[[str], str] = socket.gethostbyname) -> None:
        self.resolve = resolve

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return str(ipaddress.IPv4Address(value))
        except ValueError:
            pass
        try:
            ipaddress.IPv6Address(value)
        except ValueError:
            pass
        else:
            self.fail(f"{value!r} is an IPv6 address; IPv4 is needed here.", param, ctx)
        try:
            return self.resolve(value)
        except (OSError, UnicodeError):
            self.fail(f"{value!r} is neither an IPv4 address nor a name that leads to one.", param, ctx)


class ImageCommandType(click.ParamType[Any]):
    """NAME=COMMAND: which program stands for an image in the process runtime; gives the name and the words."""

    name = "image=command"
    #: In the environment, one to a line: commands hold spaces.
    envvar_list_splitter = "\n"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[str, ...]]:
        if isinstance(value, tuple):
            return value
        image, equals, command = value.partition("=")
        try:
            words = tuple(shlex.split(command))
        except ValueError as error:
            self.fail(f"the command of {image!r} cannot be read: {error}.", param, ctx)
        if not image or not equals or not words:
            self.fail(f"{value!r} is not NAME=COMMAND.", param, ctx)
        return image, words
