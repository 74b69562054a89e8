"""
Who may use the control routes, the control sockets and the admin. Pure: judges names and headers.

A browser has no business on the control routes: whatever carries an Origin is refused. Host is checked because a page
of a name that resolves to this machine (DNS rebinding) would send no Origin when it reads from "its own" host.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

#: Ends of names that no stranger can own.
_PRIVATE_SUFFIXES: Final = (".localhost", ".local", ".internal", ".svc")
_NAME = re.compile(r"[a-z0-9._:-]+")


def judge_control_request(headers: Iterable[tuple[bytes, bytes]], allowed_hosts: frozenset[str]) -> str | None:
    """Return why a request or socket to the control routes is refused, or None when it is not."""
    if any(name == b"origin" for name, _ in headers):
        return "control routes are not for browsers: the request carries an Origin"
    return judge_host(headers, allowed_hosts)


def judge_host(headers: Iterable[tuple[bytes, bytes]], allowed_hosts: frozenset[str]) -> str | None:
    """Return why the Host of a request is refused, or None when it is not."""
    hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
    if len(hosts) != 1:
        return "expected one Host header"
    name = host_of(f"//{hosts[0]}")
    if name is None:
        return "the Host header is malformed"
    if is_own_name(name) or name in allowed_hosts:
        return None
    return "the Host is none of this controller's names: set PLANE_ALLOWED_HOSTS to allow it"


def is_own_name(name: str) -> bool:
    """Tell whether a host name can only be meant for us: an address, or a name that no stranger can own."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(_PRIVATE_SUFFIXES)
    return True


def host_of(url: str) -> str | None:
    """Return the host of a URL in lower case, or None when it has none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    if parts.path not in ("", "/") or parts.username is not None:
        return None
    name = (parts.hostname or "").rstrip(".")
    return name if _NAME.fullmatch(name) else None
