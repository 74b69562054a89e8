"""
The course of a demo: what is started when, what is said meanwhile, and that everything ends in the end.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from planectl.demo.engine import Engine
from planectl.demo.keepsakes import Keepsakes
from planectl.demo.plan import DemoPlan
from planectl.demo.readiness import DemoReadiness
from planectl.demo.settings import ADMIN_USER, IMAGE, DemoSettings
from planectl.demo.supervisor import Supervisor
from protocol.connect import ConnectResponse

A = TypeVar("A")
B = TypeVar("B")


class Demonstration:
    """One run of the demo, under a supervisor that ends what it starts."""

    def __init__(
        self,
        settings: DemoSettings,
        keepsakes: Keepsakes,
        *,
        plan: DemoPlan,
        supervisor: Supervisor,
        engine: Engine | None,
    ) -> None:
        self._settings = settings
        self._keepsakes = keepsakes
        self._plan = plan
        self._supervisor = supervisor
        self._engine = engine

    async def run(self, say: Callable[[str], None]) -> None:
        """Start everything, say where it is, and go on until the supervisor says that it is over."""
        readiness = DemoReadiness(self._settings)
        clock = Stopwatch(say)
        try:
            answer = await self._supervisor.until(self._begin(readiness, clock))
        finally:
            await readiness.close()
        for line in closing_lines(self._settings, answer, password=self._keepsakes.password):
            say(line)
        await self._supervisor.until_over()

    async def _begin(self, readiness: DemoReadiness, clock: "Stopwatch") -> ConnectResponse:
        # The image has nothing to do with the database.
        dsn, _ = await together(self._begin_database(clock), self._ensure_image(clock))
        await self._supervisor.start(self._plan.controller(dsn))
        await readiness.controller()
        clock.tell(f"the controller answers on port {self._settings.controller_port}")
        await together(self._begin_nodes(readiness, clock), self._supervisor.complete(self._plan.admin_account(dsn)))
        answer = await readiness.backend()
        clock.tell("the backend answers")
        return answer

    async def _begin_database(self, clock: "Stopwatch") -> str:
        dsn = await self._supervisor.start_and_listen(self._plan.database())
        clock.tell("the database answers")
        await self._supervisor.complete(self._plan.migration(dsn))
        clock.tell("its tables are up to date")
        return dsn

    async def _ensure_image(self, clock: "Stopwatch") -> None:
        if self._engine is not None and await aside(self._engine.ensure_image):
            clock.tell(f"the image {IMAGE} is built, from the Python on this machine")

    async def _begin_nodes(self, readiness: DemoReadiness, clock: "Stopwatch") -> None:
        await self._supervisor.start(self._plan.drone(with_docker=self._engine is not None))
        await self._supervisor.start(self._plan.proxy())
        await together(readiness.drone(self._keepsakes.drone), readiness.proxy())
        clock.tell(f"the drone and the proxy are ready, on port {self._settings.proxy_port}")

    async def end(self) -> None:
        """End every part, and what a part that had to be killed could not end itself."""
        await self._supervisor.stop()
        if self._engine is not None:
            if "drone" in self._supervisor.killed:
                await aside(partial(self._engine.remove_containers, self._keepsakes.drone))
            self._engine.close()


class Stopwatch:
    """Says what has happened, and after how many seconds."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._begin = clock()

    def tell(self, what: str) -> None:
        """Say one thing."""
        self._say(f"{self._clock() - self._begin:6.1f} s  {what}")


async def aside(work: Callable[[], A]) -> A:
    """Do what blocks in a thread, which ends with it: see `command` for why no thread may stay."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return await asyncio.get_running_loop().run_in_executor(thread, work)


async def together(first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """Do two things at the same time; if one fails, the other is given up."""
    tasks = asyncio.ensure_future(first), asyncio.ensure_future(second)
    try:
        one, other = await asyncio.gather(*tasks)
        return one, other
    finally:
        for task in tasks:
            task.cancel()


def closing_lines(settings: DemoSettings, answer: ConnectResponse, *, password: str) -> list[str]:
    """Return the last lines that a demo says, which scripts look for."""
    return [
        "",
        f"Backend: {answer.backend_id}",
        f"URL: {answer.url}",
        f"Status URL: {answer.status_url}",
        f"Admin: {settings.admin_url} ({ADMIN_USER} / {password})",
        "Press Ctrl-C to stop.",
    ]
