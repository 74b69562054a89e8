"""
Waiting, and nothing else that takes time: one loop with a deadline that says what it waited for.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_STEP = 0.05


def until(look: Callable[[], T | None], what: str, *, within: float = 20.0, step: float = _STEP) -> T:
    """Look again and again until there is something to see, and return it."""
    deadline = time.monotonic() + within
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < deadline, f"waited {within} s in vain: {what} (last seen: {seen!r})"
        time.sleep(step)


def remains(look: Callable[[], T | None], what: str, *, during: float, step: float = _STEP) -> None:
    """Look again and again for a while; what is seen must not go away."""
    deadline = time.monotonic() + during
    while time.monotonic() < deadline:
        assert look(), f"did not last {during} s: {what}"
        time.sleep(step)


def free_port() -> int:
    """Return a port of the loopback interface that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
