"""
Ready-made values of the wire for tests that need one and do not care which.
"""

from __future__ import annotations

from typing import Any

from protocol.actions import Action, ActionOrder, Spawn, Terminate
from protocol.backend_state import TerminationKind, TerminationReason
from protocol.channel import Extension, Handshake, Version
from protocol.keys import AcquiredKey, Deadlines, KeyConfig
from protocol.routes import RouteInfo
from protocol.spawn import Executable

BACKEND = "k3v9x2m7q1w8e5"
CONTROLLER = "co-a1b2c3d4e5f6g7"
DRONE = "dr-a1b2c3d4e5f6g7"
PROXY = "px-a1b2c3d4e5f6g7"
ORDER = "ak-z9y8x7w6v5u4t3"
TOKEN = "BZ2nJ0cEmQGhfKqXl6tyVw8rLd1aSu3ovPi5Hj7Ne9k"
SECRET = "w1Yk4uCxRb0Ts8ZpIeDqoLm2Vn5HjF7aGg6XtQ9rK3U"
NOW = 1_700_000_000_000  #: milliseconds since the epoch


def make_handshake(name: str = DRONE, *extensions: Extension) -> Handshake:
    """Return a handshake; without extensions it is that of a published peer."""
    version = Version(version="0.5.5", git_hash="c0ffee1")
    return Handshake(version, name, list(extensions)) if extensions else Handshake(version, name)


def make_deadlines(now: int = NOW, *, renew: int = 30_000, soft: int = 40_000, hard: int = 50_000) -> Deadlines:
    """Return the deadlines of a lease granted at `now`."""
    return Deadlines(renew_at=now + renew, soft_terminate_at=now + soft, hard_terminate_at=now + hard)


def make_key(name: str = "room-1", *, token: int = NOW, deadlines: Deadlines | None = None) -> AcquiredKey:
    """Return a key as a drone holds it."""
    return AcquiredKey(KeyConfig(name), deadlines or make_deadlines(), token)


def make_spawn(
    backend: str = BACKEND, *, order: str = ORDER, executable: Executable | None = None, key: AcquiredKey | None = None
) -> ActionOrder:
    """Return the order to run a backend."""
    spawn = Spawn(executable=executable or Executable(image="app:1"), key=key or make_key(), static_token=None)
    return ActionOrder(order, backend, 3, Action(spawn=spawn))


def make_terminate(
    backend: str = BACKEND,
    *,
    order: str = ORDER,
    kind: TerminationKind = TerminationKind.SOFT,
    reason: TerminationReason = TerminationReason.EXTERNAL,
) -> ActionOrder:
    """Return the order to end a backend."""
    return ActionOrder(order, backend, 3, Action(terminate=Terminate(kind, reason)))


def make_route(backend: str = BACKEND, *, address: str = "127.0.0.1:8080", **changes: Any) -> RouteInfo:
    """Return where a token leads."""
    facts: dict[str, Any] = {
        "secret_token": SECRET,
        "cluster": "localhost:9090",
        "user": "user-123",
        "user_data": {},
        **changes,
    }
    return RouteInfo(backend_id=backend, address=address, **facts)
