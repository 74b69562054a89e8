"""
Carries out what a backend's machine commands, against a runtime: one task per backend, in order within it.

At most one activity goes on at a time. A new one begins after the one before has been cancelled and has returned, so
no engine call is in flight when the container is looked at for the last time. `Gone` is said only after such a look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from agentd import lifecycle
from agentd.lifecycle import BackendMachine, Event
from agentd.runtime.interface import Alive, Exited, Runtime, RuntimeFailure, Started, StartOrder
from daemonkit.repeats import Repeats
from protocol.backend_state import BackendState, BackendStatus
from protocol.spawn import Readiness

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class DriverPacing:
    """Times in seconds."""

    grace: float = 30.0  #: between SIGTERM and SIGKILL
    look_every: float = 10.0  #: the engine is asked, not only listened to
    look_while_ending: float = 1.0
    retry_after: float = 0.5  #: after an engine call that failed


class BackendDriver:
    """Drives one backend from its order to its end."""

    def __init__(
        self, order: StartOrder, *, runtime: Runtime, report: Callable[[str, BackendState], None], pacing: DriverPacing
    ) -> None:
        self.backend = order.backend
        self.machine = BackendMachine()
        self._order = order
        self._runtime = runtime
        self._report = report
        self._pacing = pacing
        self._events: asyncio.Queue[Event | BaseException] = asyncio.Queue()
        self._activity: asyncio.Task[None] | None = None
        self._started: Started | None = None
        self._hint = asyncio.Event()
        self._exit_code: int | None = None
        self._exit_seen = False
        self._complaints = Repeats(60)
        self._log = log.bind(backend=order.backend)

    @property
    def is_up(self) -> bool:
        """Whether its container runs, as far as is known."""
        return self.machine.status in (BackendStatus.WAITING, BackendStatus.READY)

    def tell(self, event: Event) -> None:
        """Queue an event of its life."""
        self._events.put_nowait(event)

    def exited(self, exit_code: int | None) -> None:
        """Take the engine's word that the container ended; the engine is asked before anything is made of it."""
        self._exit_seen = True
        if exit_code is not None:
            self._exit_code = exit_code
        self._hint.set()

    async def run(self) -> None:
        """Live this life to its end. A mistake of ours in an activity is raised here."""
        try:
            while self.machine.status is not BackendStatus.TERMINATED:
                event = await self._events.get()
                if isinstance(event, BaseException):
                    raise event
                for command in self.machine.handle(event):
                    if isinstance(command, lifecycle.Report):
                        self._report(self.backend, command.state)
                    else:
                        await self._begin(command)
            if self._activity is not None:
                await self._activity
        finally:
            await self._stop_activity()

    async def _begin(self, act: lifecycle.Act) -> None:
        await self._stop_activity()
        self._activity = asyncio.create_task(self._perform(act), name=f"{type(act).__name__} {self.backend}")
        self._activity.add_done_callback(self._note_mistake)

    async def _stop_activity(self) -> None:
        if self._activity is None:
            return
        activity, self._activity = self._activity, None
        activity.cancel()
        await asyncio.wait([activity])

    def _note_mistake(self, activity: asyncio.Task[None]) -> None:
        if not activity.cancelled() and (mistake := activity.exception()) is not None:
            self._events.put_nowait(mistake)

    async def _perform(self, act: lifecycle.Act) -> None:
        match act:
            case lifecycle.PrepareImage():
                await self._go_forward(self._prepare())
            case lifecycle.StartContainer():
                await self._go_forward(self._start())
            case lifecycle.AwaitAnswer():
                await self._await_answer()
            case lifecycle.Watch():
                await self._say_when_gone(self._pacing.look_every)
            case lifecycle.EndSoftly():
                await self._end_softly()
            case lifecycle.Kill():
                await self._kill()
                self.tell(lifecycle.Gone(self._exit_code))
            case lifecycle.CleanUp():
                await self._insist(lambda: self._runtime.remove(self.backend), "remove")

    async def _go_forward(self, step: Coroutine[Any, Any, Event]) -> None:
        try:
            event = await self._ask(step)
        except RuntimeFailure as failure:
            self._log.warning("backend_not_started", reason=str(failure))
            ended = self._exit_seen
            await self._kill()
            # What was started and ended at once has ended by itself; the rest never came to life.
            event = lifecycle.Gone(self._exit_code) if ended and self._is_starting else lifecycle.Failed()
        self.tell(event)

    @property
    def _is_starting(self) -> bool:
        return self.machine.status is BackendStatus.STARTING

    async def _prepare(self) -> Event:
        await self._runtime.prepare(self._order.executable)
        return lifecycle.ImageReady()

    async def _start(self) -> Event:
        self._started = await self._runtime.start(self._order)
        return lifecycle.ContainerStarted(self._started.address)

    async def _await_answer(self) -> None:
        """Ask for an answer, and look after the container meanwhile: whichever comes first is said."""
        readiness = self._order.executable.readiness or Readiness()
        watching = asyncio.create_task(self._say_when_gone(self._pacing.look_every))
        asking = asyncio.create_task(self._insist(self._answer, "wait_until_ready"))
        both = {watching, asking}
        try:
            done, _ = await asyncio.wait(both, timeout=readiness.patience, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if watching not in done:
                self.tell(lifecycle.Answered() if asking in done else lifecycle.TimedOut())
        finally:
            for task in both:
                task.cancel()
            await asyncio.wait(both)

    async def _answer(self) -> None:
        assert self._started is not None, "it waits for an answer only after its start"
        await self._runtime.wait_until_ready(self._started, self._order.executable)

    async def _end_softly(self) -> None:
        try:
            async with asyncio.timeout(self._pacing.grace):
                await self._insist(lambda: self._runtime.terminate(self.backend, hard=False), "terminate")
                await self._say_when_gone(self._pacing.look_while_ending)
        except TimeoutError:
            self.tell(lifecycle.GraceElapsed())

    async def _kill(self) -> None:
        """Kill until the engine says that it is gone."""
        while True:
            self._hint.clear()
            await self._insist(lambda: self._runtime.terminate(self.backend, hard=True), "kill")
            if await self._is_gone():
                return
            await self._await_hint(self._pacing.look_while_ending)
            if await self._is_gone():
                return

    async def _say_when_gone(self, look_every: float) -> None:
        while not await self._is_gone():
            await self._await_hint(look_every)
        self.tell(lifecycle.Gone(self._exit_code))

    async def _await_hint(self, at_most: float) -> None:
        try:
            async with asyncio.timeout(at_most):
                await self._hint.wait()
        except TimeoutError:
            return

    async def _is_gone(self) -> bool:
        self._hint.clear()
        condition = await self._insist(lambda: self._runtime.inspect(self.backend), "inspect")
        if isinstance(condition, Exited) and condition.exit_code is not None:
            self._exit_code = condition.exit_code
        return not isinstance(condition, Alive)

    async def _insist(self, call: Callable[[], Coroutine[Any, Any, T]], name: str) -> T:
        """Repeat an engine call until it works: an engine that is away comes back."""
        while True:
            try:
                return await self._ask(call())
            except RuntimeFailure as failure:
                left_out = self._complaints.admit(asyncio.get_running_loop().time())
                if left_out is not None:
                    self._log.warning("engine_call_failed", call=name, reason=str(failure), left_out=left_out)
                await asyncio.sleep(self._pacing.retry_after)

    async def _ask(self, call: Coroutine[Any, Any, T]) -> T:
        try:
            return await call
        except RuntimeFailure:
            raise
        except Exception as mistake:
            # A life must reach its end also where a runtime stumbles; loud, and treated like an engine that failed.
            self._log.exception("runtime_stumbled")
            raise RuntimeFailure(f"{type(mistake).__name__} in the runtime") from mistake
