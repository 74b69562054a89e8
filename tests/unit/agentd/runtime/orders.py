"""
Orders for tests of what is made of them.
"""

from __future__ import annotations

from agentd.runtime.interface import StartOrder
from agentd.runtime.settings import RuntimeSettings
from protocol.keys import AcquiredKey, Deadlines, KeyConfig
from protocol.spawn import Executable

IMAGE = "registry.example/app:1"
SETTINGS = RuntimeSettings(drone="dr-one", cluster="localhost:9090", ip="10.0.0.7", bind_ip="127.0.0.1")


def acquired(name: str = "room-1", namespace: str = "", token: int = 17) -> AcquiredKey:
    """A key with a lease."""
    return AcquiredKey(KeyConfig(name, namespace), Deadlines(1, 2, 3), token)


def order(
    executable: Executable | None = None, *, key: AcquiredKey | None = None, static_token: str | None = None
) -> StartOrder:
    """An order to start the backend `be1`."""
    return StartOrder("be1", executable or Executable(image=IMAGE), key, static_token)
