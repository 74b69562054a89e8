"""Leases on keys: stories, and the promise that nobody outlives one."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.leases import Event, Expired, LeaseCommand, LeaseMachine, Reconnected, RenewalAnswered, Tick, is_startable
from protocol.keys import Deadlines
from tests.playbook import play

LET_START, ASK = LeaseCommand.LET_START, LeaseCommand.ASK_RENEWAL
END, KILL = LeaseCommand.END_SOFTLY, LeaseCommand.KILL

FIRST = Deadlines(30_000, 40_000, 50_000)
SECOND = Deadlines(60_000, 70_000, 80_000)


def test_a_lease_that_is_renewed_in_time() -> None:
    """Asked once when it is due, and again when the next one is."""
    play(
        LeaseMachine(FIRST),
        [
            (Tick(0), [LET_START]),
            (Tick(29_999), []),
            (Tick(30_000), [ASK]),
            (Tick(30_001), []),
            (RenewalAnswered(SECOND, 30_050), []),
            (Tick(59_999), []),
            (Tick(60_000), [ASK]),
        ],
    )


def test_an_answer_ends_the_pause_between_questions() -> None:
    """The pause belongs to one question: the next renewal is due when it is due, however long the lease."""
    play(
        LeaseMachine(Deadlines(100, 90_000, 99_000)),
        [
            (Tick(100), [ASK]),
            (RenewalAnswered(Deadlines(200, 90_000, 99_000), 110), [LET_START]),
            (Tick(199), []),
            (Tick(200), [ASK]),
        ],
    )


def test_silence_ends_it() -> None:
    """Asked again in vain, ended softly at the soft deadline, killed at the hard one, once each."""
    play(
        LeaseMachine(FIRST),
        [
            (Tick(0), [LET_START]),
            (Tick(30_000), [ASK]),
            (Tick(33_333), [ASK]),
            (Tick(36_666), [ASK]),
            (Tick(40_000), [END]),
            (Tick(45_000), []),
            (Tick(50_000), [KILL]),
            (Tick(60_000), []),
        ],
    )


def test_a_refusal_ends_it_at_once() -> None:
    """The hard deadline stays where it was."""
    play(
        LeaseMachine(FIRST),
        [
            (Tick(30_000), [ASK]),
            (RenewalAnswered(None, 30_100), [END]),
            (RenewalAnswered(SECOND, 30_200), []),
            (Tick(49_999), []),
            (Tick(50_000), [KILL]),
        ],
    )


def test_an_answer_that_comes_too_late_brings_nothing_back() -> None:
    """Also when nobody looked at the clock between the deadline and the answer."""
    play(LeaseMachine(FIRST), [(Tick(0), [LET_START]), (RenewalAnswered(SECOND, 40_000), [END])])
    play(LeaseMachine(FIRST), [(Tick(0), [LET_START]), (RenewalAnswered(SECOND, 50_000), [KILL])])


def test_after_a_reconnect_it_asks_again() -> None:
    """What was asked on the old connection may never be answered; what is not due is not asked."""
    play(
        LeaseMachine(FIRST),
        [
            (Reconnected(10_000), [LET_START]),
            (Tick(30_000), [ASK]),
            (Reconnected(30_100), [ASK]),
            (Tick(30_200), []),
        ],
    )


def test_an_old_order_is_renewed_before_its_backend_starts() -> None:
    """It waits for the answer, and starts even if the next renewal is due already."""
    play(
        LeaseMachine(FIRST),
        [
            (Tick(35_000), [ASK]),
            (RenewalAnswered(Deadlines(34_000, 70_000, 80_000), 35_100), [LET_START]),
            (Tick(35_149), []),
            (Tick(35_150), [ASK]),
            (Tick(35_200), []),
            (Tick(47_150), [ASK]),
        ],
    )


def test_an_old_order_that_is_refused_never_starts() -> None:
    """It ends without having begun."""
    play(LeaseMachine(FIRST), [(Tick(35_000), [ASK]), (RenewalAnswered(None, 35_100), [END])])


def test_shorter_deadlines_are_accepted() -> None:
    """Early is safe: the controller's settings may have been shortened, and with them the lease."""
    machine = LeaseMachine(FIRST)
    machine.handle(RenewalAnswered(Deadlines(11_000, 12_000, 13_000), 10_000))
    assert machine.handle(Tick(13_000)) == [KILL]


def test_a_first_lease_of_a_published_controller() -> None:
    """Its soft and hard deadlines are equal; and a soft one beyond the hard one does not count."""
    play(LeaseMachine(Deadlines(30, 50, 50)), [(Tick(0), [LET_START]), (Tick(30), [ASK]), (Tick(50), [KILL])])
    play(LeaseMachine(Deadlines(30, 90, 50)), [(Tick(0), [LET_START]), (Tick(50), [KILL])])


@pytest.mark.parametrize(("now", "startable"), [(39_999, True), (40_000, False), (50_000, False), (0, True)])
def test_which_orders_may_be_taken_up(now: int, startable: bool) -> None:
    """Not those whose end would begin at once."""
    assert is_startable(FIRST, now) is startable


deadlines = st.tuples(st.integers(-50, 300), st.integers(0, 100), st.integers(0, 100)).map(
    lambda row: Deadlines(row[0], row[0] + row[1], row[0] + row[1] + row[2])
)


@st.composite
def stories(draw: st.DrawFn) -> list[Event]:
    """Draw events on a clock that never goes back; answers of every kind at any time."""
    kinds = st.sampled_from(["tick", "reconnect", "refusal", "renewal"])
    steps = draw(st.lists(st.tuples(kinds, st.integers(0, 60), deadlines), max_size=40))
    moments = accumulate(step for _, step, _ in steps)
    made: list[Event] = []
    for (kind, _, fresh), now in zip(steps, moments, strict=True):
        if kind == "tick":
            made.append(Tick(now))
        elif kind == "reconnect":
            made.append(Reconnected(now))
        else:
            made.append(RenewalAnswered(fresh if kind == "renewal" else None, now))
    return made


@given(deadlines, stories())
def test_nothing_outlives_its_lease(first: Deadlines, story: list[Event]) -> None:
    """
    The promise, against a model that only remembers the last answer that came in time.

    After any event, if the clock has reached the model's hard deadline, the kill was ordered; if it has reached the
    soft one, or the key was refused, the end was. Nothing starts after that, and nothing is asked.
    """
    machine, current, refused = LeaseMachine(first), first, False
    given_out: list[LeaseCommand] = []
    for event in story:
        over = refused or event.now >= current.soft_terminate_at
        if isinstance(event, RenewalAnswered) and not over:
            current, refused = (current, True) if event.deadlines is None else (event.deadlines, False)
        before = set(given_out)
        commands = machine.handle(event)
        given_out += commands
        is_over = over or refused or event.now >= current.soft_terminate_at
        if event.now >= current.hard_terminate_at and is_over:
            assert KILL in given_out
        if is_over:
            assert END in given_out or KILL in given_out
            assert not {LET_START, ASK} & set(commands)
        else:
            assert not {END, KILL} & set(given_out)
        if isinstance(event, RenewalAnswered) and not is_over:
            assert LET_START in given_out
        assert not ({END, KILL} & before and {LET_START, ASK, END} & set(commands))
    for once in (LET_START, END, KILL):
        assert given_out.count(once) <= 1


@given(deadlines, stories())
def test_whoever_wakes_when_told_misses_nothing(first: Deadlines, story: list[Event]) -> None:
    """Between its events a machine has nothing to say before the moment it named, and it always names the next."""
    machine = LeaseMachine(first)
    for event in story:
        machine.handle(event)
        wake_at = machine.wake_at
        if wake_at is None:
            assert isinstance(machine.state, Expired)
        elif wake_at > event.now:
            state = machine.state
            assert machine.handle(Tick(wake_at - 1)) in ([], [LET_START])
            if machine.state != state:  # only the permission to start came late
                continue
            assert machine.wake_at == wake_at


@given(deadlines)
def test_asking_never_becomes_a_storm(first: Deadlines) -> None:
    """However short the deadlines, there is a pause between two questions."""
    machine = LeaseMachine(first)
    asked = [now for now in range(600) if ASK in machine.handle(Tick(now))]
    assert all(later - earlier >= 50 for earlier, later in pairwise(asked))
