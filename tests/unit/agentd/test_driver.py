"""Drivers against a scripted engine, in virtual time: whatever it does, a life ends, once, and leaves nothing."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.driver import BackendDriver, DriverPacing
from agentd.lifecycle import Begin, Event, HardAsked, SoftAsked
from agentd.runtime.interface import Alive, Started, StartFailed, StartOrder
from agentd.runtime.memory import MemoryRuntime, Script
from protocol.backend_state import (
    BackendState,
    BackendStatus,
    Terminated,
    TerminationKind,
    TerminationReason,
    status_of,
)
from protocol.spawn import Executable, Readiness
from tests.virtual_time import run_in_virtual_time

PACING = DriverPacing(grace=30, look_every=10, look_while_ending=1, retry_after=0.5)
EXTERNAL = TerminationReason.EXTERNAL
ORDINARY = ["loading", "starting", "waiting", "ready"]


class Story:
    """One life of a backend named b1, and what was reported of it."""

    def __init__(self, script: Script, *, timeout: int = 300) -> None:
        self.runtime = MemoryRuntime()
        self.runtime.scripts["b1"] = script
        order = StartOrder("b1", Executable(image="b1", readiness=Readiness(timeout_seconds=timeout)), None, None)
        self.driver = BackendDriver(order, runtime=self.runtime, report=self.report, pacing=PACING)
        self.states: list[BackendState] = []
        self.moments: list[float] = []

    def report(self, backend: str, state: BackendState) -> None:
        assert backend == "b1"
        if isinstance(state, Terminated):
            assert not self.runtime.alive, "terminated means gone"
        self.states.append(state)
        self.moments.append(asyncio.get_running_loop().time())

    @property
    def words(self) -> list[str]:
        """The statuses that were reported, in order."""
        return [str(status_of(state)) for state in self.states]

    async def live(self, *inputs: tuple[float, Event]) -> None:
        """Live to the end, with these events at these moments."""
        await self.runtime.open(lambda _backend, code: self.driver.exited(code))
        loop = asyncio.get_running_loop()
        self.driver.tell(Begin())
        for moment, event in inputs:
            loop.call_at(moment, self.driver.tell, event)
        await self.driver.run()


def tell(script: Script, *inputs: tuple[float, Event], timeout: int = 300) -> Story:
    """Play one life to its end, without waiting."""

    async def play() -> Story:
        story = Story(script, timeout=timeout)
        await story.live(*inputs)
        return story

    return run_in_virtual_time(play())


def test_an_ordinary_life() -> None:
    """Started, ready, asked to leave, gone; removed afterwards."""
    story = tell(Script(), (60, SoftAsked(EXTERNAL)))
    assert story.words == [*ORDINARY, "terminating", "terminated"]
    assert story.moments[-1] == 60
    assert not story.runtime.containers


def test_soft_becomes_hard_when_the_grace_is_over() -> None:
    """After thirty seconds, by itself."""
    story = tell(Script(ignores_sigterm=True), (60, SoftAsked(EXTERNAL)))
    assert story.words[-3:] == ["terminating", "hard-terminating", "terminated"]
    assert story.moments[-2:] == [90, 90]
    assert story.states[-1] == Terminated(BackendStatus.READY, TerminationKind.HARD, EXTERNAL, 137)


def test_an_exit_is_noticed_at_once() -> None:
    """The engine's word makes the driver look, without waiting for the next turn."""
    story = tell(Script(exit_by_itself_after=33.3, exit_code=4))
    assert story.words == [*ORDINARY, "terminated"]
    assert story.moments[-1] == pytest.approx(33.3)
    assert story.states[-1] == Terminated(BackendStatus.READY, None, None, 4)


def test_the_engines_word_is_not_enough() -> None:
    """A container that is said to have ended and still runs has not ended."""

    async def play() -> Story:
        story = Story(Script())
        asyncio.get_running_loop().call_at(20, story.driver.exited, 0)
        await story.live((60, SoftAsked(EXTERNAL)))
        return story

    story = run_in_virtual_time(play())
    assert story.words == [*ORDINARY, "terminating", "terminated"]
    assert story.moments[-1] == 60


def test_a_lost_exit_is_noticed_at_the_next_turn() -> None:
    """The engine is asked every ten seconds, not only listened to."""
    story = tell(Script(exit_by_itself_after=33.3, loses_exit_event=True))
    assert story.moments[-1] == pytest.approx(40)


def test_a_lost_exit_does_not_make_an_endless_soft_end() -> None:
    """While it is ending, it is looked at every second."""
    story = tell(Script(exit_delay=2.5, loses_exit_event=True), (60, SoftAsked(EXTERNAL)))
    assert story.words[-1] == "terminated"
    assert story.moments[-1] == pytest.approx(63)


def test_one_that_never_answers_is_killed() -> None:
    """After the time that its readiness sets."""
    story = tell(Script(answer_delay=None), timeout=20)
    assert story.words == ["loading", "starting", "waiting", "hard-terminating", "terminated"]
    assert story.moments[-1] == 20
    assert story.states[-1] == Terminated(
        BackendStatus.WAITING, TerminationKind.HARD, TerminationReason.STARTUP_TIMEOUT, 137
    )


def test_one_that_ends_before_it_answers() -> None:
    """It is not asked any longer."""
    story = tell(Script(answer_delay=None, exit_by_itself_after=5, exit_code=1))
    assert story.words == ["loading", "starting", "waiting", "terminated"]
    assert story.moments[-1] == 5


@pytest.mark.parametrize(("script", "last"), [(Script(prepare_fails=True), 1), (Script(start_fails=True), 2)])
def test_what_cannot_be_started_leaves_nothing(script: Script, last: int) -> None:
    """Reported as an internal error, with nothing left behind."""
    story = tell(script)
    assert story.words == [*ORDINARY[:last], "terminated"]
    assert story.states[-1] == Terminated(BackendStatus(ORDINARY[last - 1]), None, TerminationReason.INTERNAL_ERROR)
    assert not story.runtime.containers


def test_one_that_ends_as_soon_as_it_is_started() -> None:
    """The engine's start fails since there is nothing to see any more; its exit code is told all the same."""

    class Sudden(MemoryRuntime):
        async def start(self, order: StartOrder) -> Started:
            self._on_exit(order.backend, 9)
            raise StartFailed("it ended as soon as it was started")

    async def play() -> Story:
        story = Story(Script())
        story.runtime.__class__ = Sudden
        await story.live()
        return story

    story = run_in_virtual_time(play())
    assert story.states[-1] == Terminated(BackendStatus.STARTING, None, None, 9)


@pytest.mark.parametrize(
    ("moment", "status"), [(5.0, BackendStatus.LOADING), (15.0, BackendStatus.STARTING), (25.0, BackendStatus.WAITING)]
)
@pytest.mark.parametrize("ask", [SoftAsked, HardAsked])
def test_it_can_be_ended_while_it_comes_up(
    moment: float, status: BackendStatus, ask: type[SoftAsked | HardAsked]
) -> None:
    """At once, and the engine is asked for the truth before it is reported."""
    story = tell(Script(prepare_delay=10, start_delay=10, answer_delay=10), (moment, ask(EXTERNAL)))
    assert story.moments[-1] == moment
    assert isinstance(story.states[-1], Terminated)
    assert story.states[-1].last_status is status
    assert ("inspect", "b1") in story.runtime.calls
    assert not story.runtime.containers


def test_the_call_in_flight_returns_before_the_end_is_reported() -> None:
    """A start that takes a while to give up is waited for: until then the container may still appear."""

    class Slow(MemoryRuntime):
        async def start(self, order: StartOrder) -> Started:
            try:
                return await super().start(order)
            except asyncio.CancelledError:
                self.containers[order.backend] = Alive()
                await asyncio.sleep(7)
                del self.containers[order.backend]
                raise

    async def play() -> Story:
        story = Story(Script(start_delay=100))
        story.runtime.__class__ = Slow
        await story.live((10, HardAsked(EXTERNAL)))
        return story

    story = run_in_virtual_time(play())
    assert story.words == ["loading", "starting", "hard-terminating", "terminated"]
    assert story.moments[-1] == 17


def test_an_engine_that_is_away_is_asked_until_it_is_back() -> None:
    """Calls that fail are repeated; the end is not reported before the engine has confirmed it."""
    failing = Counter({"terminate": 3, "inspect": 4, "remove": 2})
    story = tell(Script(failing_calls=failing), (60, SoftAsked(EXTERNAL)))
    assert story.words[-1] == "terminated"
    assert story.moments[-1] > 60
    assert not story.runtime.containers


def test_what_is_gone_already_is_reported() -> None:
    """Somebody removed the container behind our back, without a word."""

    async def play() -> Story:
        story = Story(Script())
        asyncio.get_running_loop().call_at(25, story.runtime.containers.clear)
        await story.live()
        return story

    story = run_in_virtual_time(play())
    assert story.states[-1] == Terminated(BackendStatus.READY, None, None, None)
    assert story.moments[-1] == 30


def test_a_runtime_that_stumbles_is_an_engine_that_failed() -> None:
    """A mistake in a runtime must not keep a life from its end."""

    class Broken(MemoryRuntime):
        async def start(self, order: StartOrder) -> Started:
            raise ZeroDivisionError

    async def play() -> Story:
        story = Story(Script())
        story.runtime.__class__ = Broken
        await story.live()
        return story

    assert run_in_virtual_time(play()).words == ["loading", "starting", "terminated"]


def test_a_mistake_of_ours_is_raised() -> None:
    """Loud, not stuck for ever."""

    async def play() -> None:
        story = Story(Script())
        story.driver._pacing = None  # type: ignore[assignment]
        await story.live()

    with pytest.raises(AttributeError):
        run_in_virtual_time(play())


delays = st.sampled_from([0.0, 0.3, 1.0, 9.99, 10.0, 29.0, 31.0, 120.0])
faults = st.dictionaries(
    st.sampled_from(["terminate", "kill", "inspect", "remove", "wait_until_ready", "start"]), st.integers(0, 5)
).map(Counter)
scripts = st.builds(
    Script,
    prepare_delay=delays,
    prepare_fails=st.booleans(),
    start_delay=delays,
    start_fails=st.booleans(),
    answer_delay=st.none() | delays,
    ignores_sigterm=st.booleans(),
    exit_delay=delays,
    exit_by_itself_after=st.none() | delays,
    exit_code=st.integers(0, 255),
    loses_exit_event=st.booleans(),
    failing_calls=faults,
)
asks: st.SearchStrategy[Event] = st.sampled_from([SoftAsked(EXTERNAL), HardAsked(TerminationReason.KEY_EXPIRED)])
inputs = st.lists(st.tuples(st.floats(0, 700), asks), max_size=4)


@given(scripts, inputs)
def test_whatever_the_engine_does_a_life_ends_once_and_leaves_nothing(
    script: Script, told: list[tuple[float, Event]]
) -> None:
    """Any faults, any requests at any moment: forward only, started once at most, gone before it is said, removed."""
    story = tell(script, *told, (1000, SoftAsked(EXTERNAL)))
    ranks = [status_of(state).rank for state in story.states]
    assert ranks == sorted(set(ranks))
    assert story.words.count("terminated") == 1
    assert story.words[-1] == "terminated"
    assert story.runtime.starts["b1"] <= 1
    assert not story.runtime.containers
