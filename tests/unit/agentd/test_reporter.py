"""Reports on their way, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agentd.reporter import Reporter, ReportPacing
from daemonkit.link import MemoryLink
from protocol.backend_state import Loading, Starting
from protocol.drone_messages import FromDrone
from tests.unit.agentd.journals import inline_journal
from tests.virtual_time import run_in_virtual_time

PACING = ReportPacing(window=3, repeat_after=10)


@contextlib.asynccontextmanager
async def reporting() -> AsyncIterator[Reporter]:
    """Run a reporter; its clock is the loop's."""
    loop = asyncio.get_running_loop()
    reporter = Reporter(inline_journal(), lambda: int(loop.time() * 1000), pacing=PACING)
    task = asyncio.create_task(reporter.run())
    yield reporter
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def in_virtual_time(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Let a test run without waiting."""

    def run() -> None:
        run_in_virtual_time(test())

    run.__doc__ = test.__doc__
    return run


def sent(link: MemoryLink) -> list[int]:
    """Return the event ids that were sent since the last time."""
    return [m.backend_event.event_id for m in link.take() if isinstance(m, FromDrone) and m.backend_event]


@in_virtual_time
async def test_reports_are_timed_and_sent_in_order() -> None:
    """The time is that of the report, not of the sending."""
    async with reporting() as reporter:
        link = MemoryLink()
        await asyncio.sleep(1)
        reporter.report("b1", Loading())
        await asyncio.sleep(1)
        reporter.report("b1", Starting())
        reporter.connected(link)
        await asyncio.sleep(0.1)
        events = [m.backend_event for m in link.take() if isinstance(m, FromDrone) and m.backend_event]
    assert [(event.timestamp, event.state) for event in events] == [(1000, Loading()), (2000, Starting())]


@in_virtual_time
async def test_a_window_is_sent_and_the_next_when_acknowledged() -> None:
    """Not everything at once."""
    async with reporting() as reporter:
        link = MemoryLink()
        reporter.connected(link)
        for _ in range(5):
            reporter.report("b1", Loading())
        await asyncio.sleep(0.1)
        assert sent(link) == [1, 2, 3]
        reporter.thanked(2)
        await asyncio.sleep(0.1)
        assert sent(link) == [4]


@in_virtual_time
async def test_what_is_not_acknowledged_is_repeated_after_what_followed() -> None:
    """So that one report that nobody thanks for holds up no other."""
    async with reporting() as reporter:
        link = MemoryLink()
        reporter.connected(link)
        for _ in range(5):
            reporter.report("b1", Loading())
        await asyncio.sleep(0.1)
        assert sent(link) == [1, 2, 3]
        await asyncio.sleep(20)
        assert sent(link) == [4, 5]
        await asyncio.sleep(20)
        assert sent(link) == [1, 2, 3]


@in_virtual_time
async def test_what_was_acknowledged_is_not_repeated() -> None:
    """Neither after a while nor on the next connection."""
    async with reporting() as reporter:
        first, second = MemoryLink(), MemoryLink()
        reporter.connected(first)
        for _ in range(3):
            reporter.report("b1", Loading())
        await asyncio.sleep(0.1)
        reporter.thanked(1)
        reporter.disconnected()
        await asyncio.sleep(60)
        assert sent(first) == [1, 2, 3]
        reporter.connected(second)
        await asyncio.sleep(0.1)
        assert sent(second) == [2, 3]
        reporter.thanked(2)
        reporter.thanked(3)
        await asyncio.sleep(60)
        assert sent(second) == []


@in_virtual_time
async def test_flush_returns_when_all_are_acknowledged() -> None:
    """And at once when there is nothing to say."""
    async with reporting() as reporter:
        await reporter.flush()
        reporter.connected(MemoryLink())
        reporter.report("b1", Loading())
        flushing = asyncio.create_task(reporter.flush())
        await asyncio.sleep(30)
        assert not flushing.done()
        reporter.thanked(1)
        await asyncio.sleep(0.1)
        assert flushing.done()


class Controller:
    """Hears reports on one connection after the other, and thanks for some."""

    def __init__(self, reporter: Reporter, dice: Random) -> None:
        self.reporter = reporter
        self.dice = dice
        self.link = MemoryLink()
        self.heard: set[int] = set()

    def connect(self) -> None:
        """Come back with a new connection."""
        self.link = MemoryLink()
        self.reporter.disconnected()
        self.reporter.connected(self.link)

    def thank(self, share: float) -> None:
        """Store and acknowledge a share of what was sent; the rest is lost."""
        for event_id in sent(self.link):
            if self.dice.random() < share:
                self.heard.add(event_id)
                self.reporter.thanked(event_id)


@given(st.lists(st.sampled_from(["report", "thank", "drop", "connect", "wait"]), max_size=40), st.integers())
def test_every_report_arrives_whatever_the_connections_do(story: list[str], seed: int) -> None:
    """Acknowledged at random, cut and connected at random: in the end each one has arrived, and none is left."""

    async def play() -> None:
        async with reporting() as reporter:
            controller = Controller(reporter, Random(seed))
            steps: dict[str, Callable[[], None]] = {
                "report": lambda: reporter.report("b1", Loading()),
                "thank": lambda: controller.thank(0.5),
                "drop": reporter.disconnected,
                "connect": controller.connect,
                "wait": lambda: None,
            }
            for step in story:
                steps[step]()
                await asyncio.sleep(5 if step == "wait" else 0)
            controller.connect()
            for _ in range(100):
                await asyncio.sleep(0.1)
                controller.thank(1)
            assert controller.heard == set(range(1, story.count("report") + 1))
            async with asyncio.timeout(1):
                await reporter.flush()

    run_in_virtual_time(play())
