"""
A runtime that runs nothing: a scripted engine in memory, for tests. Keeps the promises of the interface, or breaks
those that an engine breaks: it is slow, it fails, it forgets to say that something ended.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from agentd.runtime.interface import (
    Absent,
    Alive,
    Condition,
    Exited,
    ExitListener,
    PrepareFailed,
    RuntimeFailure,
    Started,
    StartFailed,
    StartOrder,
)
from protocol.metrics import BackendMetrics
from protocol.spawn import Executable


@dataclass
class Script:
    """How the engine behaves towards one backend. Delays are in seconds."""

    prepare_delay: float = 0.0
    prepare_fails: bool = False
    start_delay: float = 0.0
    start_fails: bool = False
    answer_delay: float | None = 0.0  #: None: it never answers
    ignores_sigterm: bool = False
    exit_delay: float = 0.0  #: between the signal and the end
    exit_by_itself_after: float | None = None  #: counted from its start
    exit_code: int = 0
    loses_exit_event: bool = False
    failing_calls: Counter[str] = field(default_factory=Counter)  #: how often each call fails before it works


class MemoryRuntime:
    """The Runtime of `agentd.runtime.interface`, by nothing but a dictionary."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.containers: dict[str, Condition] = {}
        self.starts: Counter[str] = Counter()  #: how often each backend was started
        self.calls: list[tuple[str, str]] = []
        self.cannot_open: str | None = None
        self.is_open = False
        self._on_exit: ExitListener = lambda _backend, _code: None

    def script(self, backend: str) -> Script:
        """Return how the engine behaves towards a backend; to be changed by tests."""
        return self.scripts.setdefault(backend, Script())

    @property
    def alive(self) -> set[str]:
        """Every backend that runs now."""
        return {name for name, condition in self.containers.items() if isinstance(condition, Alive)}

    async def open(self, on_exit: ExitListener) -> None:
        if self.cannot_open is not None:
            raise RuntimeFailure(self.cannot_open)
        self._on_exit = on_exit
        self.is_open = True

    async def close(self) -> None:
        self.is_open = False

    async def prepare(self, executable: Executable) -> None:
        script = self.script(executable.image)
        await asyncio.sleep(script.prepare_delay)
        if script.prepare_fails:
            raise PrepareFailed("there is no such image")

    async def start(self, order: StartOrder) -> Started:
        backend = order.backend
        script = self._called("start", backend)
        assert not isinstance(self.containers.get(backend), Alive), "started twice"
        self.starts[backend] += 1
        self.containers[backend] = Alive()
        try:
            await asyncio.sleep(script.start_delay)
        except asyncio.CancelledError:
            del self.containers[backend]
            raise
        if script.start_fails:
            del self.containers[backend]
            raise StartFailed("the engine refused")
        if script.exit_by_itself_after is not None:
            self._end_in(script.exit_by_itself_after, backend)
        return Started(backend, f"container-of-{backend}", "127.0.0.1:4000")

    async def wait_until_ready(self, started: Started, executable: Executable) -> None:  # noqa: ARG002 - the interface
        delay = self._called("wait_until_ready", started.backend).answer_delay
        if delay is None:
            await asyncio.get_running_loop().create_future()
        else:
            await asyncio.sleep(delay)

    async def terminate(self, backend: str, *, hard: bool) -> bool:
        script = self._called("kill" if hard else "terminate", backend)
        if backend not in self.alive:
            return False
        if hard or not script.ignores_sigterm:
            self._end_in(script.exit_delay, backend, exit_code=137 if hard else script.exit_code)
        return True

    async def inspect(self, backend: str) -> Condition:
        self._called("inspect", backend)
        return self.containers.get(backend, Absent())

    async def remove(self, backend: str) -> None:
        self._called("remove", backend)
        if backend in self.alive:
            raise RuntimeFailure("it still runs")
        self.containers.pop(backend, None)

    async def list_own(self) -> list[str]:
        return list(self.containers)

    async def sample(self, backend: str) -> BackendMetrics | None:
        return BackendMetrics(backend, 1, 1, 1, 1, 0, 1, 1, 1) if backend in self.alive else None

    def end(self, backend: str, exit_code: int | None = None) -> None:
        """Let a backend end by itself, now."""
        if backend not in self.alive:
            return
        script = self.script(backend)
        code = script.exit_code if exit_code is None else exit_code
        self.containers[backend] = Exited(code)
        if not script.loses_exit_event and self.is_open:
            self._on_exit(backend, code)

    def _end_in(self, delay: float, backend: str, *, exit_code: int | None = None) -> None:
        if delay == 0:
            self.end(backend, exit_code)
        else:
            asyncio.get_running_loop().call_later(delay, self.end, backend, exit_code)

    def _called(self, call: str, backend: str) -> Script:
        self.calls.append((call, backend))
        script = self.script(backend)
        if script.failing_calls[call] > 0:
            script.failing_calls[call] -= 1
            raise RuntimeFailure(f"the engine does not answer to {call}")
        return script
