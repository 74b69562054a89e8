"""
Runs backends as plain processes of this machine, for development and demonstrations. There is no isolation.

Each backend is kept by a small program of its own (`process_child`), so that it takes its children along when it ends,
and ends when the agent does, however that happens. So nothing is ever found from an earlier life.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import structlog

from agentd.runtime import process_child
from agentd.runtime.addresses import address_at, probe_ip, split_address
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
from agentd.runtime.process_order import choose_port, left_out_of, process_environment
from agentd.runtime.process_output import OutputLog
from agentd.runtime.process_stats import TreeReading, measure_tree, metrics_between
from agentd.runtime.readiness import wait_for_answer
from agentd.runtime.settings import RuntimeSettings
from protocol.metrics import BackendMetrics
from protocol.spawn import Executable, Readiness

_log = structlog.get_logger(__name__)

_PROC: Final = Path("/proc")
_SOFT: Final = b"T"
_HARD: Final = b"K"


@dataclass
class _Child:
    """One backend's process, the line to its keeper, and how it ended."""

    keeper: subprocess.Popen[bytes]
    reader: asyncio.StreamReader
    line: asyncio.StreamWriter
    port: int
    has_ended: bool = False
    exit_code: int | None = None
    reading: TreeReading | None = None
    following: asyncio.Task[None] | None = field(default=None, repr=False)

    async def wait(self) -> None:
        """Return when the keeper, and so all that it kept, is gone; and take down how it ended."""
        # The keeper says nothing more; its end is the end of the line.
        await self.reader.read()
        code = await asyncio.to_thread(self.keeper.wait)
        self.exit_code = code if code >= 0 else 128 - code
        self.has_ended = True
        self.line.close()


class ProcessRuntime:
    """The Runtime of `agentd.runtime.interface`, by plain processes. An image is a name in the settings' table."""

    def __init__(self, settings: RuntimeSettings, *, environment: Mapping[str, str], dice: Random) -> None:
        self._settings = settings
        self._environment = environment
        self._dice = dice
        self._children: dict[str, _Child] = {}
        self._starting: set[str] = set()
        self._ports: set[int] = set()
        self._on_exit: ExitListener | None = None

    async def open(self, on_exit: ExitListener) -> None:
        """Begin to tell of ends."""
        self._on_exit = on_exit

    async def close(self) -> None:
        """Stop telling. Processes run on until this process ends."""
        self._on_exit = None

    async def prepare(self, executable: Executable) -> None:
        """Look the image up in the table. Raises PrepareFailed."""
        self._command_of(executable)

    async def start(self, order: StartOrder) -> Started:
        """Start a process. Raises StartFailed. Cancelled in the middle, it leaves nothing behind."""
        if order.backend in self._children or order.backend in self._starting:
            raise StartFailed(f"there is a process of backend {order.backend} already")
        for what in left_out_of(order.executable):
            _log.warning("process_setting_left_out", backend=order.backend, setting=what)
        port = choose_port(self._dice, is_free=self._is_free)
        self._starting.add(order.backend)
        self._ports.add(port)
        try:
            child = await self._launch(order, port)
        except BaseException:
            self._ports.discard(port)
            raise
        finally:
            self._starting.discard(order.backend)
        self._children[order.backend] = child
        child.following = asyncio.create_task(self._follow(order.backend, child))
        return Started(order.backend, str(child.keeper.pid), address_at(self._settings.ip, port))

    async def wait_until_ready(self, started: Started, executable: Executable) -> None:
        """Return as soon as the backend answers HTTP. Sets no limit: the caller cancels."""
        _, port = split_address(started.address)
        await wait_for_answer(address_at(probe_ip(self._settings), port), (executable.readiness or Readiness()).target)

    async def terminate(self, backend: str, *, hard: bool) -> bool:
        """Send SIGTERM or SIGKILL to the process and its children. False when there was nothing to signal."""
        child = self._children.get(backend)
        if child is None or child.has_ended or child.line.is_closing():
            return False
        child.line.write(_HARD if hard else _SOFT)
        return True

    async def inspect(self, backend: str) -> Condition:
        """Say what became of a backend's process."""
        child = self._children.get(backend)
        if child is None:
            return Absent()
        return Exited(child.exit_code) if child.has_ended else Alive()

    async def remove(self, backend: str) -> None:
        """Forget an ended backend. Raises RuntimeFailure if it still runs."""
        child = self._children.get(backend)
        if child is not None and not child.has_ended:
            raise RuntimeFailure(f"the process of backend {backend} has not ended")
        self._children.pop(backend, None)

    async def list_own(self) -> list[str]:
        """Name all backends of this life of the agent; there are none of an earlier one."""
        return list(self._children)

    async def sample(self, backend: str) -> BackendMetrics | None:
        """Measure a backend's processes since the sample before; None for the first, and for one that does not run."""
        child = self._children.get(backend)
        if child is None or child.has_ended:
            return None
        units = {"ticks_per_second": os.sysconf("SC_CLK_TCK"), "page_size": os.sysconf("SC_PAGE_SIZE")}
        now = await asyncio.to_thread(partial(measure_tree, child.keeper.pid, _PROC, **units))
        before, child.reading = child.reading, now
        return metrics_between(backend, now, before=before) if before is not None and now is not None else None

    def _command_of(self, executable: Executable) -> list[str]:
        command = self._settings.process_images.get(executable.image)
        if not command:
            raise PrepareFailed(f"this drone has no process image {executable.image!r}")
        # Found by the agent's own path: a request's environment must not choose the program.
        program = shutil.which(command[0], path=self._environment.get("PATH", os.defpath))
        if program is None:
            raise PrepareFailed(f"the program of process image {executable.image!r} cannot be found: {command[0]}")
        return [program, *command[1:]]

    async def _launch(self, order: StartOrder, port: int) -> _Child:
        try:
            child = await self._spawn(order, port)
        except (OSError, PrepareFailed) as error:
            raise StartFailed(str(error)) from error
        try:
            answer = (await child.reader.readline()).decode(errors="replace").strip()
        except asyncio.CancelledError:
            await _end(child)
            raise
        if answer != "started":
            await _end(child)
            raise StartFailed(answer or f"its keeper ended with exit code {child.exit_code}")
        return child

    async def _spawn(self, order: StartOrder, port: int) -> _Child:
        """Start the keeper; from here on the backend lives as long as the line to it."""
        command = self._command_of(order.executable)
        ours, theirs = socket.socketpair()
        limits = order.executable.resource_limits
        cpu_seconds = limits.cpu_time_limit if limits is not None else None
        arguments = [str(theirs.fileno()), "-" if cpu_seconds is None else str(cpu_seconds)]
        with theirs:
            keeper = subprocess.Popen(  # noqa: ASYNC220 - a few milliseconds; it must not fork in a thread
                [sys.executable, "-I", "-S", process_child.__file__, *arguments, *command],
                env=process_environment(order, port=port, agent=self._environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        try:
            reader, line = await asyncio.open_unix_connection(sock=ours)
            await asyncio.get_running_loop().connect_read_pipe(lambda: OutputLog(order.backend), keeper.stdout)
        except BaseException:
            ours.close()
            await asyncio.to_thread(keeper.wait)
            raise
        return _Child(keeper, reader, line, port)

    def _is_free(self, port: int) -> bool:
        if port in self._ports:
            return False
        with socket.socket() as trial:
            try:
                trial.bind(("", port))
            except OSError:
                return False
        return True

    async def _follow(self, backend: str, child: _Child) -> None:
        await child.wait()
        self._ports.discard(child.port)
        if self._on_exit is not None:
            self._on_exit(backend, child.exit_code)


async def _end(child: _Child) -> None:
    """Let go of a child and wait until nothing of it is left."""
    child.line.write_eof()
    await child.wait()
