"""
What the agent asks of whatever runs backends: Docker, plain processes, memory in tests.

A runtime carries out and tells what it sees. It decides nothing: no deadlines, no statuses, no retries of a life.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from protocol.keys import AcquiredKey
from protocol.metrics import BackendMetrics
from protocol.spawn import Executable

#: Called on the loop, at least once, for each container that ended: backend and exit code (None when unknown).
ExitListener = Callable[[str, int | None], None]


class RuntimeFailure(Exception):
    """The runtime could not do it; the message is for the operator and holds no secrets."""


class PrepareFailed(RuntimeFailure):
    """The image is not to be had."""


class StartFailed(RuntimeFailure):
    """The backend could not be started, and nothing of it was left behind."""


@dataclass(frozen=True)
class StartOrder:
    """All that a runtime must know to start one backend."""

    backend: str
    executable: Executable
    key: AcquiredKey | None
    static_token: str | None


@dataclass(frozen=True)
class Started:
    """A container (or process) that runs, and the `ip:port` at which proxies reach it."""

    backend: str
    container_id: str
    address: str


@dataclass(frozen=True)
class Absent:
    """The engine knows no such container."""


@dataclass(frozen=True)
class Alive:
    """Created, running or paused: it counts as running."""


@dataclass(frozen=True)
class Exited:
    """It has ended, and its remains are still there."""

    exit_code: int | None


Condition = Absent | Alive | Exited


class Runtime(Protocol):
    """One way to run backends. All methods are safe to repeat; "already gone" is never an error."""

    async def open(self, on_exit: ExitListener) -> None:
        """Connect and begin to watch. Raises RuntimeFailure when there is no engine to talk to."""

    async def close(self) -> None:
        """Stop watching and let go of the engine; running backends are left alone."""

    async def prepare(self, executable: Executable) -> None:
        """Make the image available. Raises PrepareFailed."""

    async def start(self, order: StartOrder) -> Started:
        """Create and start. Raises StartFailed. Cancelled in the middle, it leaves nothing behind."""

    async def wait_until_ready(self, started: Started, executable: Executable) -> None:
        """Return as soon as the backend answers HTTP. Sets no limit: the caller cancels."""

    async def terminate(self, backend: str, *, hard: bool) -> bool:
        """Send SIGTERM or SIGKILL; return as soon as it is sent. False when there was nothing to signal."""

    async def inspect(self, backend: str) -> Condition:
        """Ask the engine itself what became of a backend."""

    async def remove(self, backend: str) -> None:
        """Delete the remains of an ended backend."""

    async def list_own(self) -> list[str]:
        """Name all backends of this drone that the engine knows, running or not."""

    async def sample(self, backend: str) -> BackendMetrics | None:
        """Measure one backend; None when there is nothing to measure (yet)."""
