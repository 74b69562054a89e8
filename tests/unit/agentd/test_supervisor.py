"""The supervisor with all its parts but the socket and the disk, in virtual time, under any faults."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import partial
from itertools import count
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from agentd.clock import Clock
from agentd.driver import DriverPacing
from agentd.lease_keeper import LeaseKeeper
from agentd.reporter import Reporter, ReportPacing
from agentd.runtime.memory import MemoryRuntime, Script
from agentd.supervisor import Supervisor
from daemonkit.link import MemoryLink
from protocol.actions import Action, ActionOrder, Prepare, Spawn, Terminate
from protocol.backend_state import BackendState, Terminated, TerminationKind, TerminationReason, status_of
from protocol.drone_messages import AckAction, BackendEvent, FromDrone, RenewKey, RenewKeyResponse
from protocol.keys import AcquiredKey, Deadlines, KeyConfig
from protocol.spawn import Executable, Readiness
from tests.unit.agentd.journals import inline_journal
from tests.unit.agentd.test_driver import scripts
from tests.virtual_time import run_in_virtual_time

PACING = DriverPacing(grace=5, look_every=10, look_while_ending=1, retry_after=0.5)


class Site:
    """A drone without socket and disk, and the controller's view of it."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.clock: Clock = lambda: int(loop.time() * 1000)
        self.numbers = count()
        self.runtime = MemoryRuntime()
        journal = inline_journal()
        self.reporter = Reporter(journal, self.clock, pacing=ReportPacing(window=5, repeat_after=2))
        self.keeper = LeaseKeeper(self.clock)
        self.supervisor = Supervisor(self.runtime, journal, reporter=self.reporter, keeper=self.keeper, pacing=PACING)
        self.link = MemoryLink()
        self.states: dict[int, tuple[str, BackendState]] = {}
        self.acknowledged: list[str] = []
        self.asked: list[RenewKey] = []

    def connect(self) -> None:
        """Replace the connection by a new one."""
        self.cut()
        self.link = MemoryLink()
        for part in (self.supervisor, self.keeper, self.reporter):
            part.connected(self.link)

    def cut(self) -> None:
        """Lose the connection."""
        for part in (self.supervisor, self.keeper, self.reporter):
            part.disconnected()

    def listen(self, dice: Random | None = None) -> None:
        """Be the controller: store reports, and acknowledge them, or only some."""
        for message in self.link.take():
            assert isinstance(message, FromDrone)
            match message.variant:
                case BackendEvent() as event:
                    if dice is None or dice.random() < 0.5:
                        self.states[event.event_id] = event.backend_id, event.state
                        self.reporter.thanked(event.event_id)
                case AckAction(action):
                    self.acknowledged.append(action)
                case RenewKey() as asked:
                    self.asked.append(asked)

    def story_of(self, backend: str) -> list[BackendState]:
        """Return the states of one backend in the order of their ids."""
        return [state for _, (name, state) in sorted(self.states.items()) if name == backend]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Site]:
        """Run it."""
        await self.runtime.open(self.supervisor.exited)
        chores = (self.supervisor.run(), self.reporter.run(), self.keeper.run())
        tasks = [asyncio.create_task(chore) for chore in chores]
        yield self
        for task in tasks:
            assert not task.done(), task.exception()
            task.cancel()
        await asyncio.wait(tasks)


def spawn(backend: str, *, action: str | None = None, deadlines: Deadlines | None = None) -> ActionOrder:
    """Return a spawn order."""
    key = None if deadlines is None else AcquiredKey(KeyConfig("k"), deadlines, 1)
    order = Spawn(Executable(image=backend, readiness=Readiness(timeout_seconds=60)), key, None)
    return ActionOrder(action or f"ak-spawn-{backend}", backend, 1, Action(spawn=order))


def terminate(backend: str, kind: TerminationKind = TerminationKind.SOFT, action: str | None = None) -> ActionOrder:
    """Return an order to end a backend."""
    order = Terminate(kind, TerminationReason.SWEPT)
    return ActionOrder(action or f"ak-end-{backend}", backend, 1, Action(terminate=order))


def test_a_backend_is_looked_after_from_order_to_end() -> None:
    """Counted, named among those that run, and forgotten."""

    async def play() -> None:
        async with Site().running() as site:
            site.connect()
            site.supervisor.deliver(spawn("b1"))
            await asyncio.sleep(1)
            assert site.supervisor.running == ["b1"]
            assert site.supervisor.count == 1
            site.supervisor.deliver(terminate("b1"))
            for _ in range(2):  # more reports than one window
                await asyncio.sleep(1)
                site.listen()
            assert site.supervisor.count == 0
            assert site.acknowledged == ["ak-spawn-b1", "ak-end-b1"]
            assert isinstance(site.story_of("b1")[-1], Terminated)

    run_in_virtual_time(play())


def test_an_order_that_was_journalled_before_is_only_acknowledged() -> None:
    """On whatever connection it comes again."""

    async def play() -> None:
        async with Site().running() as site:
            site.supervisor.deliver(spawn("b1"))
            await asyncio.sleep(1)
            site.listen()
            assert site.acknowledged == []  # there was nobody to acknowledge it to
            site.connect()
            site.supervisor.deliver(spawn("b1"))
            await asyncio.sleep(1)
            site.listen()
            assert site.acknowledged == ["ak-spawn-b1"]
            assert site.runtime.starts == {"b1": 1}

    run_in_virtual_time(play())


def test_an_end_that_was_told_is_told_again_to_who_asks_again() -> None:
    """A controller that lost its memory hears how it really ended; one that only crossed the report hears it once."""

    async def play() -> None:
        async with Site().running() as site:
            site.connect()
            site.supervisor.deliver(spawn("b1"))
            await asyncio.sleep(1)
            site.runtime.end("b1", 7)
            await asyncio.sleep(0.1)
            site.supervisor.deliver(terminate("b1", action="ak-crossing"))
            await asyncio.sleep(1)
            site.listen()
            assert [type(state) for state in site.story_of("b1")].count(Terminated) == 1
            site.supervisor.deliver(terminate("b1", action="ak-later"))
            await asyncio.sleep(1)
            site.listen()
            last, again = site.story_of("b1")[-2:]
            assert last == again
            assert isinstance(again, Terminated)
            assert again.exit_code == 7

    run_in_virtual_time(play())


def test_orders_that_make_no_sense_are_not_carried_out() -> None:
    """Without a backend: refused. Of a kind that we never said we know: acknowledged, so that it does not come back."""

    async def play() -> None:
        async with Site().running() as site:
            site.connect()
            nameless = ActionOrder("ak-1", None, 1, spawn("b1").action)
            prepare = ActionOrder("ak-2", None, 1, Action(prepare=Prepare(Executable(image="x"))))
            site.supervisor.deliver(nameless)
            site.supervisor.deliver(prepare)
            await asyncio.sleep(1)
            site.listen()
            assert site.acknowledged == ["ak-2"]
            assert not site.runtime.starts

    run_in_virtual_time(play())


def test_a_lease_ends_with_its_backend() -> None:
    """What is gone asks for no renewals, and a backend whose removal takes a while neither."""

    async def play() -> None:
        async with Site().running() as site:
            site.connect()
            site.runtime.script("b1").failing_calls["remove"] = 100
            site.supervisor.deliver(spawn("b1", deadlines=Deadlines(10_000, 20_000, 30_000)))
            await asyncio.sleep(1)
            site.runtime.end("b1")
            await asyncio.sleep(60)
            site.listen()
            assert site.asked == []

    run_in_virtual_time(play())


def test_closing_takes_no_more_orders() -> None:
    """They are not even acknowledged: another run will have them."""

    async def play() -> None:
        async with Site().running() as site:
            site.connect()
            await site.supervisor.end_all(soft_seconds=1, hard_seconds=1)
            site.supervisor.deliver(spawn("b1"))
            await asyncio.sleep(1)
            site.listen()
            assert site.acknowledged == []
            assert not site.runtime.starts

    run_in_virtual_time(play())


def test_closing_sets_a_limit_to_what_does_not_end() -> None:
    """An engine that never answers holds up nobody for ever."""

    async def play() -> None:
        loop = asyncio.get_running_loop()
        async with Site().running() as site:
            site.supervisor.deliver(spawn("b1"))
            await asyncio.sleep(1)
            site.runtime.script("b1").failing_calls.update(terminate=10**6, kill=10**6, inspect=10**6)
            began = loop.time()
            assert await site.supervisor.end_all(soft_seconds=3, hard_seconds=2) == ["b1"]
            assert loop.time() - began == 5

    run_in_virtual_time(play())


names = st.sampled_from(["b1", "b2", "b3"])
steps = st.one_of(
    st.tuples(st.sampled_from(["spawn", "spawn with key", "spawn again", "soft", "hard", "exit"]), names),
    st.tuples(st.sampled_from(["connect", "cut", "listen", "renew", "refuse", "wait"]), st.just("")),
)


def order(site: Site, what: str, backend: str) -> ActionOrder | None:
    """Return the order that a step stands for, if it stands for one; repetitions have an id of their own."""
    now = site.clock()
    match what:
        case "spawn":
            return spawn(backend)
        case "spawn with key":
            return spawn(backend, deadlines=Deadlines(now + 3000, now + 6000, now + 9000))
        case "spawn again":
            return spawn(backend, action=f"ak-{next(site.numbers)}")
        case "soft" | "hard":
            return terminate(backend, TerminationKind(what), f"ak-{next(site.numbers)}")
        case _:
            return None


def answer(site: Site, *, renews: bool) -> None:
    """Answer every renewal that was ever asked for, once more."""
    now = site.clock()
    fresh = Deadlines(now + 3000, now + 6000, now + 9000) if renews else None
    for asked in site.asked:
        site.keeper.answered(RenewKeyResponse(asked.backend, fresh))


async def carry_out(site: Site, dice: Random, story: list[tuple[str, str]]) -> set[str]:
    """Play the controller's and the world's part, and return the backends that were to be spawned."""
    for what, backend in story:
        ordered = order(site, what, backend)
        steps: dict[str, Callable[[], None]] = {
            "exit": partial(site.runtime.end, backend),
            "connect": site.connect,
            "cut": site.cut,
            "listen": partial(site.listen, dice),
            "renew": partial(answer, site, renews=True),
            "refuse": partial(answer, site, renews=False),
        }
        if ordered is not None:
            site.supervisor.deliver(ordered)
        elif what in steps:
            steps[what]()
        await asyncio.sleep(dice.choice([0, 0.1, 2, 11]) if what == "wait" else 0)
    return {backend for what, backend in story if what.startswith("spawn")}


@settings(max_examples=150, deadline=None)
@given(
    st.fixed_dictionaries({"b1": scripts, "b2": scripts, "b3": scripts}), st.lists(steps, max_size=30), st.integers()
)
def test_every_spawn_ends_in_exactly_one_terminated_report(
    faults: dict[str, Script], story: list[tuple[str, str]], seed: int
) -> None:
    """
    Whatever the engine, the controller and the network do.

    No container is started twice, nothing is left, reports of one life only move forward, and every backend that was
    ordered ends in one report that says so (repeated word for word to who asks for its end once more).
    """

    async def play() -> None:
        async with Site().running() as site:
            for name, script in faults.items():
                script.failing_calls = Counter(script.failing_calls)
                site.runtime.scripts[name] = script
            ordered = await carry_out(site, Random(seed), story)
            await asyncio.sleep(1)
            await site.supervisor.end_all(soft_seconds=500, hard_seconds=500)
            site.connect()
            for _ in range(100):
                site.listen()
                await asyncio.sleep(1)
            for backend in ordered:
                assert site.runtime.starts[backend] <= 1
                judge(site.story_of(backend))
            assert not site.runtime.containers

    run_in_virtual_time(play())


def judge(told: list[BackendState]) -> None:
    """Look at everything that was told of one backend."""
    ranks = [status_of(state).rank for state in told]
    assert ranks == sorted(ranks)
    ends = [state for state in told if isinstance(state, Terminated)]
    assert len(set(ends)) == 1
    assert len(set(ranks)) == len(ranks) - len(ends) + 1
