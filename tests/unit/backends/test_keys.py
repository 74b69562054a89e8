"""Deadlines of leases."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from backends.keys import deadlines_from
from drones.terms import Terms
from protocol.keys import Deadlines


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
