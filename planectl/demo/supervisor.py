"""
Starts the parts of a demo, notices when one dies, and ends them all in order. What they are is planned elsewhere.

Each part is a session of its own, so that a Ctrl-C in the terminal reaches only us, and dies when we do, however we do.
"""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from planectl.demo.plan import Part, stop_order

T = TypeVar("T")

#: Lines of a log that are shown when its part has died.
_LAST_LINES = 20
#: Seconds for a killed process to be gone.
_KILL_PATIENCE = 0.5


class PartFailed(Exception):
    """A part ended that should not have; says what it said last."""

    def __init__(self, part: Part, code: int, *, log: Path) -> None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit status {code}"
        words = "\n".join(log.read_text(errors="replace").splitlines()[-_LAST_LINES:])
        super().__init__(f"The {part.name} {how}. Its last words, from {log}:\n{words or '(it said nothing)'}")


class StopAsked(Exception):
    """Somebody wants the demo to end."""


class Supervisor:
    """The running parts of one demo. Use it within one event loop, on the main thread."""

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        self._logs = logs
        self._environment = environment
        self._running: dict[str, tuple[Part, Process, asyncio.Task[None]]] = {}
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stopping = False
        self.killed: set[str] = set()  #: parts that did not end in time

    def log_of(self, part: Part) -> Path:
        """Return the file that holds a part's words."""
        return self._logs / f"{part.name}.log"

    def ask_to_stop(self) -> None:
        """Make whatever `until` waits for give way to StopAsked."""
        self._end(StopAsked())

    async def until(self, work: Coroutine[Any, Any, T]) -> T:
        """
        Return what some work returns, unless the demo is over first.

        Raises:
            PartFailed: a part died meanwhile.
            StopAsked: `ask_to_stop` was called.
        """
        task = asyncio.ensure_future(work)
        either: set[asyncio.Future[Any]] = {task, self._over}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if self._over.done():
                self._over.result()
            return await task
        finally:
            task.cancel()

    async def until_over(self) -> None:
        """Wait for the end, which comes as PartFailed or StopAsked."""
        await asyncio.shield(self._over)

    async def start(self, part: Part) -> None:
        """Start a part; from now on its death ends the demo."""
        await self._spawn(part, stdout=None)

    async def start_and_listen(self, part: Part) -> str:
        """Start a part and return the first line it prints, which says that it is ready."""
        process = await self._spawn(part, stdout=PIPE)
        assert process.stdout is not None
        line = await self.until(process.stdout.readline())
        if not line:
            # It is about to end, which is told from the outside.
            await self.until_over()
        return line.decode().strip()

    async def complete(self, part: Part) -> None:
        """Run a part that ends by itself. Raises PartFailed if it ends badly."""
        process = await self._launch(part, stdout=None)
        try:
            code = await self.until(process.wait())
        except BaseException:
            _kill(process)
            raise
        if code:
            raise PartFailed(part, code, log=self.log_of(part))

    async def stop(self) -> None:
        """End all parts, stage by stage; each stage's parts together."""
        self._stopping = True
        for stage in stop_order([part for part, _, _ in self._running.values()]):
            await asyncio.gather(*(self._end_part(part) for part in stage))

    async def _spawn(self, part: Part, stdout: int | None) -> Process:
        process = await self._launch(part, stdout)
        self._running[part.name] = (part, process, asyncio.create_task(self._watch(part, process)))
        return process

    async def _launch(self, part: Part, stdout: int | None) -> Process:
        with self.log_of(part).open("wb") as log:
            return await asyncio.create_subprocess_exec(
                # If we are killed, the kernel ends our parts in our place.
                *("setpriv", "--pdeathsig", "TERM", *part.argv),
                stdin=DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=log,
                env={**self._environment, **part.environment},
                start_new_session=True,
            )

    async def _watch(self, part: Part, process: Process) -> None:
        code = await process.wait()
        if not self._stopping:
            self._end(PartFailed(part, code, log=self.log_of(part)))

    async def _end_part(self, part: Part) -> None:
        _, process, watching = self._running.pop(part.name)
        with suppress(ProcessLookupError):
            process.terminate()
        done, _ = await asyncio.wait({watching}, timeout=part.patience)
        if not done:
            self.killed.add(part.name)
            _kill(process)
            await asyncio.wait({watching}, timeout=_KILL_PATIENCE)

    def _end(self, reason: Exception) -> None:
        if not self._over.done():
            self._over.set_exception(reason)
            # Perhaps nobody waits at this moment; it is not lost, `until` will find it.
            self._over.exception()


def _kill(process: Process) -> None:
    """Kill a part with all processes of its session's group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
