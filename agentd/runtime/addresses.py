"""
The `ip:port` of backends, as others see it and as this machine looks at it. Pure.
"""

from __future__ import annotations

from typing import Final

from agentd.runtime.settings import RuntimeSettings

_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to


def address_at(ip: str, port: int) -> str:
    """Return `ip:port`, IPv6 in brackets."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def split_address(address: str) -> tuple[str, int]:
    """Take `ip:port` (IPv6 in brackets) apart."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def probe_ip(settings: RuntimeSettings) -> str:
    """Return the address at which this machine itself reaches its backends; proxies may come through a translation."""
    return settings.ip if settings.bind_ip in _EVERYWHERE else settings.bind_ip
