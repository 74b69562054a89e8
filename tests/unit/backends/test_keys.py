"""Deadlines of leases."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from backends.keys import deadlines_from, settle_deadlines
from drones.terms import Terms
from protocol.actions import Action, Spawn, Terminate
from protocol.backend_state import TerminationKind, TerminationReason
from protocol.keys import AcquiredKey, Deadlines, KeyConfig
from protocol.spawn import Executable


def test_the_deadlines_of_the_default_terms() -> None:
    """30, 40 and 50 seconds on the drone's own clock."""
    assert deadlines_from(1_000, Terms()) == Deadlines(31_000, 41_000, 51_000)


@given(st.integers(-(2**62), 2**62), st.lists(st.integers(1, 10**7), min_size=5, max_size=5, unique=True).map(sorted))
def test_the_drone_gives_up_before_anybody_else_may_begin(local_time: int, milliseconds: list[int]) -> None:
    """Whatever the terms: renew < soft < hard, and hard is over before the lease is."""
    renew, soft, hard, expiry, lost = (dt.timedelta(milliseconds=each) for each in milliseconds)
    terms = Terms(renew=renew, soft=soft, hard=hard, expiry=expiry, lost=lost)
    deadlines = deadlines_from(local_time, terms)
    assert local_time < deadlines.renew_at < deadlines.soft_terminate_at < deadlines.hard_terminate_at
    assert deadlines.hard_terminate_at - local_time < expiry / dt.timedelta(milliseconds=1)


def order(key: AcquiredKey | None) -> Action:
    """Return the order to run something."""
    return Action(spawn=Spawn(Executable(image="app:1"), key, static_token=None))


@given(st.integers(-(2**62), 2**62), st.integers(-(2**62), 2**62))
def test_an_order_is_sent_with_deadlines_that_are_late_by_no_clock(made_at: int, leased_at: int) -> None:
    """Neither by the clock of when the order was made, nor by the one that the drone has now."""
    key = AcquiredKey(KeyConfig("room"), deadlines_from(made_at, Terms()), token=7)
    sent = settle_deadlines(order(key), leased_at, terms=Terms())
    assert sent == order(AcquiredKey(key.key, deadlines_from(min(made_at, leased_at), Terms()), token=7))


def test_what_has_no_lease_is_sent_as_it_is() -> None:
    """The end of a backend, and a backend without a key."""
    end = Action(terminate=Terminate(TerminationKind.SOFT, TerminationReason.EXTERNAL))
    assert settle_deadlines(end, 5, terms=Terms()) == end
    assert settle_deadlines(order(None), 5, terms=Terms()) == order(None)
