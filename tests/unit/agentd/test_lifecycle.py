"""The life of a backend, as stories and as rules that hold in every story."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.lifecycle import (
    TRANSITIONS,
    Answered,
    AwaitAnswer,
    BackendMachine,
    Begin,
    CleanUp,
    ContainerStarted,
    EndSoftly,
    Event,
    Failed,
    Gone,
    GraceElapsed,
    HardAsked,
    ImageReady,
    Kill,
    PrepareImage,
    Report,
    SoftAsked,
    StartContainer,
    TimedOut,
    Watch,
    enter,
)
from protocol.backend_state import (
    BackendStatus,
    HardTerminating,
    Loading,
    Ready,
    Starting,
    Terminated,
    Terminating,
    TerminationKind,
    TerminationReason,
    Waiting,
    status_of,
)
from tests.playbook import play

S = BackendStatus
SOFT, HARD = TerminationKind.SOFT, TerminationKind.HARD
EXTERNAL, EXPIRED = TerminationReason.EXTERNAL, TerminationReason.KEY_EXPIRED
ADDRESS = "10.0.0.7:49153"

UP_TO_WAITING: list[tuple[Event, list[object]]] = [
    (Begin(), [Report(Loading()), PrepareImage()]),
    (ImageReady(), [Report(Starting()), StartContainer()]),
    (ContainerStarted(ADDRESS), [Report(Waiting(ADDRESS)), AwaitAnswer()]),
]
UP_TO_READY = [*UP_TO_WAITING, (Answered(), [Report(Ready(ADDRESS)), Watch()])]

reasons = st.sampled_from(list(TerminationReason))
events: st.SearchStrategy[Event] = st.one_of(
    st.just(Begin()),
    st.just(ImageReady()),
    st.just(ContainerStarted(ADDRESS)),
    st.just(Failed()),
    st.just(Answered()),
    st.just(TimedOut()),
    st.just(GraceElapsed()),
    st.builds(SoftAsked, reasons),
    st.builds(HardAsked, reasons),
    st.builds(Gone, st.none() | st.integers(0, 255)),
)


def test_a_backend_that_starts_and_is_asked_to_leave() -> None:
    """The whole of an ordinary life, in order."""
    play(
        BackendMachine(),
        [
            *UP_TO_READY,
            (SoftAsked(EXTERNAL), [Report(Terminating(S.READY, SOFT, EXTERNAL)), EndSoftly()]),
            (Gone(0), [Report(Terminated(S.READY, SOFT, EXTERNAL, 0)), CleanUp()]),
        ],
    )


def test_soft_becomes_hard_by_itself() -> None:
    """Patience ends, whether or not somebody asks again; the first reason stays."""
    play(
        BackendMachine(),
        [
            *UP_TO_READY,
            (SoftAsked(EXTERNAL), [Report(Terminating(S.READY, SOFT, EXTERNAL)), EndSoftly()]),
            (GraceElapsed(), [Report(HardTerminating(S.READY, EXTERNAL)), Kill()]),
            (HardAsked(EXPIRED), []),
            (Gone(137), [Report(Terminated(S.READY, HARD, EXTERNAL, 137)), CleanUp()]),
        ],
    )


def test_a_hard_request_overtakes_a_soft_one() -> None:
    """And its grace, which elapses later, means nothing any more."""
    play(
        BackendMachine(),
        [
            *UP_TO_READY,
            (SoftAsked(EXTERNAL), [Report(Terminating(S.READY, SOFT, EXTERNAL)), EndSoftly()]),
            (SoftAsked(EXPIRED), []),
            (HardAsked(EXPIRED), [Report(HardTerminating(S.READY, EXTERNAL)), Kill()]),
            (GraceElapsed(), []),
            (Gone(None), [Report(Terminated(S.READY, HARD, EXTERNAL, None)), CleanUp()]),
        ],
    )


def test_a_backend_that_leaves_by_itself() -> None:
    """Nobody terminated it, so neither kind nor reason is known; its exit code is."""
    play(BackendMachine(), [*UP_TO_READY, (Gone(3), [Report(Terminated(S.READY, None, None, 3)), CleanUp()])])
    play(BackendMachine(), [*UP_TO_WAITING, (Gone(1), [Report(Terminated(S.WAITING, None, None, 1)), CleanUp()])])


def test_one_that_never_answers() -> None:
    """It is killed, for a reason of its own."""
    reason = TerminationReason.STARTUP_TIMEOUT
    play(
        BackendMachine(),
        [
            *UP_TO_WAITING,
            (TimedOut(), [Report(HardTerminating(S.WAITING, reason)), Kill()]),
            (Gone(137), [Report(Terminated(S.WAITING, HARD, reason, 137)), CleanUp()]),
        ],
    )


@pytest.mark.parametrize("steps", [1, 2])
def test_one_that_cannot_be_loaded_or_started(steps: int) -> None:
    """It ends at once: nothing of it was ever there."""
    status = [S.LOADING, S.STARTING][steps - 1]
    end = Terminated(status, None, TerminationReason.INTERNAL_ERROR, None)
    play(BackendMachine(), [*UP_TO_WAITING[:steps], (Failed(), [Report(end), CleanUp()])])


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 4])
def test_it_can_be_ended_at_any_time(steps: int) -> None:
    """Also while it is scheduled, loading or starting; it is over only when it is gone."""
    machine = BackendMachine()
    play(machine, UP_TO_READY[:steps])
    status = machine.status
    play(
        machine,
        [
            (SoftAsked(EXTERNAL), [Report(Terminating(status, SOFT, EXTERNAL)), EndSoftly()]),
            (ImageReady(), []),
            (ContainerStarted(ADDRESS), []),
            (Answered(), []),
            (Failed(), []),
            (Gone(None), [Report(Terminated(status, SOFT, EXTERNAL, None)), CleanUp()]),
        ],
    )


@given(st.lists(events, max_size=30))
def test_status_only_moves_forward(story: list[Event]) -> None:
    """Whatever happens in whatever order, no status is reported twice or goes back."""
    machine = BackendMachine()
    reported = [command.state for event in story for command in machine.handle(event) if isinstance(command, Report)]
    ranks = [status_of(state).rank for state in reported]
    assert ranks == sorted(set(ranks))


@given(st.lists(events, max_size=30))
def test_nothing_is_prepared_or_started_twice_or_after_the_end_began(story: list[Event]) -> None:
    """A container is started at most once, and never when its end has begun."""
    machine = BackendMachine()
    acts: list[object] = []
    for event in story:
        acts += [command for command in machine.handle(event) if not isinstance(command, Report)]
    assert acts.count(PrepareImage()) <= 1
    assert acts.count(StartContainer()) <= 1
    endings = [number for number, act in enumerate(acts) if isinstance(act, EndSoftly | Kill | CleanUp)]
    assert not endings or StartContainer() not in acts[endings[0] :]


@given(st.lists(events, max_size=30))
def test_terminated_is_reported_once_and_only_when_nothing_is_left(story: list[Event]) -> None:
    """Only `Gone` and `Failed` say so, and both are said only when it is true."""
    machine = BackendMachine()
    for event in story:
        before = machine.status
        commands = machine.handle(event)
        if machine.status is S.TERMINATED and before is not S.TERMINATED:
            assert isinstance(event, Gone | Failed)
            assert len(commands) == 2
        if before is S.TERMINATED:
            assert commands == []


@given(st.lists(events, max_size=30), st.builds(Gone, st.none()))
def test_every_life_can_be_ended(story: list[Event], gone: Gone) -> None:
    """From wherever a story leads, a hard request and the end of the container finish it."""
    machine = BackendMachine()
    for event in story:
        machine.handle(event)
    machine.handle(HardAsked(EXTERNAL))
    machine.handle(gone)
    assert machine.status is S.TERMINATED


def test_the_table_is_whole() -> None:
    """Every row leads forward, can be entered, and every status but the last can be left by both kinds of request."""
    for (status, _), (target, _) in TRANSITIONS.items():
        assert target.rank > status.rank
    for status in set(S) - {S.TERMINATED, S.HARD_TERMINATING, S.TERMINATING}:
        assert TRANSITIONS[status, SoftAsked] == (S.TERMINATING, EndSoftly())
        assert TRANSITIONS[status, HardAsked] == (S.HARD_TERMINATING, Kill())


def test_a_table_with_a_nonsensical_row_is_noticed() -> None:
    """What cannot be entered is a mistake of ours, and loud."""
    with pytest.raises(AssertionError):
        enter(S.READY, Loading(), event=Answered())
