"""
Reports on their way to the controller: into the journal first, then sent in order, again until acknowledged.

At most a window of them is on its way at once. What is not acknowledged for a while is sent again, after all that
followed it, so that a report nobody thanks for holds up no other.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from agentd.clock import Clock
from agentd.journal import Journal
from daemonkit.link import Link
from protocol.backend_state import BackendState, status_of
from protocol.drone_messages import FromDrone

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ReportPacing:
    """How many reports are on their way at once, and after how many seconds without an answer they are repeated."""

    window: int = 100
    repeat_after: float = 10.0


class Reporter:
    """Journals reports, sends them, and repeats them."""

    def __init__(self, journal: Journal, clock: Clock, *, pacing: ReportPacing) -> None:
        self._journal = journal
        self._clock = clock
        self._pacing = pacing
        self._link: Link | None = None
        self._on_the_way: set[int] = set()
        self._thanked: list[int] = []
        self._last_sent = 0
        self._epoch = 0  #: counts beginnings, so that what was read before one is not sent after it
        self._work = asyncio.Event()
        self._settled = asyncio.Event()
        self._unwritten: asyncio.Queue[tuple[str, BackendState, int]] = asyncio.Queue()

    def report(self, backend: str, state: BackendState) -> None:
        """Take a report; it is timed now, journalled in order, and then sent."""
        log.info("backend_status_changed", backend=backend, status=status_of(state), **_facts(state))
        self._unwritten.put_nowait((backend, state, self._clock()))

    def connected(self, link: Link) -> None:
        """Send everything again that was not acknowledged."""
        self._link = link
        self._begin_anew()

    def disconnected(self) -> None:
        """Keep what comes for the next connection."""
        self._link = None
        self._epoch += 1

    def thanked(self, event_id: int) -> None:
        """Forget a report that the controller has stored."""
        self._on_the_way.discard(event_id)
        self._thanked.append(event_id)
        self._work.set()

    async def run(self) -> None:
        """Journal, send and forget, until cancelled. Raises JournalFailure."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write())
            tasks.create_task(self._send())
            tasks.create_task(self._repeat())

    async def journalled(self) -> None:
        """Return once every report so far is in the journal."""
        await self._unwritten.join()

    async def flush(self) -> None:
        """Return once every report was acknowledged; that may be never, so set a limit."""
        await self.journalled()
        self._settled.clear()
        self._work.set()
        await self._settled.wait()

    async def _write(self) -> None:
        while True:
            # Those that follow closely share a commit: they are handed over without waiting for each other.
            waiting = [await self._unwritten.get()]
            while not self._unwritten.empty():
                waiting.append(self._unwritten.get_nowait())
            await asyncio.gather(
                *(self._journal.record(backend, state, timestamp=moment) for backend, state, moment in waiting)
            )
            self._work.set()
            for _ in waiting:
                self._unwritten.task_done()

    async def _send(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            if self._thanked:
                thanked, self._thanked = self._thanked, []
                await self._journal.forget(thanked)
            await self._fill_window()
            if not self._on_the_way and not await self._journal.unthanked(after=0, limit=1):
                self._settled.set()

    async def _fill_window(self) -> None:
        link, epoch = self._link, self._epoch
        room = self._pacing.window - len(self._on_the_way)
        if link is None or room <= 0:
            return
        events = await self._journal.unthanked(after=self._last_sent, limit=room)
        if epoch != self._epoch:
            return
        for event in events:
            self._on_the_way.add(event.event_id)
            self._last_sent = event.event_id
            link.send(FromDrone(backend_event=event))

    async def _repeat(self) -> None:
        while True:
            before = set(self._on_the_way)
            await asyncio.sleep(self._pacing.repeat_after)
            if before & self._on_the_way:
                later = await self._journal.unthanked(after=self._last_sent, limit=1)
                if later:
                    self._on_the_way.clear()
                    self._work.set()
                else:
                    self._begin_anew()

    def _begin_anew(self) -> None:
        self._epoch += 1
        self._on_the_way.clear()
        self._last_sent = 0
        self._work.set()


def _facts(state: BackendState) -> dict[str, object]:
    return {name: str(value) for name in state.__struct_fields__ if (value := getattr(state, name)) is not None}
