"""The keeper of leases, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from agentd.lease_keeper import LeaseKeeper
from agentd.leases import LeaseCommand
from daemonkit.link import MemoryLink
from protocol.drone_messages import FromDrone, RenewKey, RenewKeyResponse
from protocol.keys import Deadlines
from tests.virtual_time import run_in_virtual_time

DEADLINES = Deadlines(30_000, 40_000, 50_000)


class SuspendableClock:
    """A clock that goes on while the loop's stands still, as CLOCK_BOOTTIME does."""

    def __init__(self) -> None:
        self.suspended_ms = 0

    def __call__(self) -> int:
        return int(asyncio.get_running_loop().time() * 1000) + self.suspended_ms


@contextlib.asynccontextmanager
async def keeping(clock: SuspendableClock) -> AsyncIterator[LeaseKeeper]:
    """Run a keeper."""
    keeper = LeaseKeeper(clock)
    task = asyncio.create_task(keeper.run())
    yield keeper
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def renewals(link: MemoryLink) -> list[RenewKey]:
    """Return the renewals that were asked for since the last time."""
    return [m.renew_key for m in link.take() if isinstance(m, FromDrone) and m.renew_key]


def test_it_asks_in_time_and_with_the_clock_as_it_is() -> None:
    """At the renewal time, and again after the answer's."""

    async def play() -> None:
        async with keeping(SuspendableClock()) as keeper:
            link, told = MemoryLink(), list[LeaseCommand]()
            keeper.connected(link)
            keeper.hold("b1", DEADLINES, obey=told.append)
            assert told == [LeaseCommand.LET_START]
            await asyncio.sleep(29.9)
            assert renewals(link) == []
            await asyncio.sleep(0.2)
            (asked,) = renewals(link)
            assert 30_000 <= asked.local_time <= 30_010
            keeper.answered(RenewKeyResponse("b1", Deadlines(60_000, 70_000, 80_000)))
            await asyncio.sleep(29.8)
            assert renewals(link) == []
            await asyncio.sleep(0.2)
            assert len(renewals(link)) == 1
            assert told == [LeaseCommand.LET_START]

    run_in_virtual_time(play())


def test_without_a_controller_time_runs_out() -> None:
    """The end comes at its deadlines, with nobody to ask."""

    async def play() -> None:
        loop = asyncio.get_running_loop()
        async with keeping(SuspendableClock()) as keeper:
            told: list[tuple[float, LeaseCommand]] = []
            keeper.hold("b1", DEADLINES, obey=lambda command: told.append((round(loop.time(), 1), command)))
            await asyncio.sleep(100)
            assert told == [
                (0, LeaseCommand.LET_START),
                (40, LeaseCommand.END_SOFTLY),
                (50, LeaseCommand.KILL),
            ]

    run_in_virtual_time(play())


def test_a_machine_that_was_suspended_is_noticed_within_a_second() -> None:
    """The loop's timers stood still meanwhile; the drone's clock did not."""

    async def play() -> None:
        clock = SuspendableClock()
        async with keeping(clock) as keeper:
            told: list[LeaseCommand] = []
            keeper.hold("b1", DEADLINES, obey=told.append)
            await asyncio.sleep(10)
            clock.suspended_ms = 3_600_000
            await asyncio.sleep(1)
            assert told[-1] is LeaseCommand.KILL

    run_in_virtual_time(play())


def test_after_a_reconnect_it_asks_again_for_what_is_due() -> None:
    """A question that was sent into a dying connection."""

    async def play() -> None:
        async with keeping(SuspendableClock()) as keeper:
            first, second = MemoryLink(), MemoryLink()
            keeper.connected(first)
            keeper.hold("b1", DEADLINES, obey=lambda _: None)
            keeper.hold("b2", Deadlines(90_000, 91_000, 92_000), obey=lambda _: None)
            await asyncio.sleep(30.1)
            keeper.disconnected()
            await asyncio.sleep(1)
            keeper.connected(second)
            assert [asked.backend for asked in renewals(first) + renewals(second)] == ["b1", "b1"]

    run_in_virtual_time(play())


def test_a_lease_that_was_released_says_nothing_more() -> None:
    """Its backend is gone; late answers mean nothing."""

    async def play() -> None:
        async with keeping(SuspendableClock()) as keeper:
            told: list[LeaseCommand] = []
            keeper.hold("b1", DEADLINES, obey=told.append)
            keeper.release("b1")
            keeper.release("b1")
            keeper.answered(RenewKeyResponse("b1", None))
            await asyncio.sleep(100)
            assert told == [LeaseCommand.LET_START]

    run_in_virtual_time(play())


def test_which_orders_may_be_taken_up() -> None:
    """Judged by the drone's clock."""

    async def play() -> None:
        clock = SuspendableClock()
        async with keeping(clock) as keeper:
            assert keeper.may_take_up(DEADLINES)
            clock.suspended_ms = 50_000
            assert not keeper.may_take_up(DEADLINES)

    run_in_virtual_time(play())
