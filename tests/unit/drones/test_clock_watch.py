"""Tests of watching the database's clock."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from drones.clock_watch import TOLERANCE, ClockWatch

LEASE = dt.timedelta(seconds=60)
START = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


def after(seconds: float) -> dt.datetime:
    return START + dt.timedelta(seconds=seconds)


def test_a_steady_clock_is_trusted() -> None:
    watch = ClockWatch(LEASE)
    assert not any(watch.note(after(second + second % 3 / 10), second) for second in range(200))


@given(st.floats(-1000, 1000))
def test_a_jump_is_noticed_once(jump: float) -> None:
    """Ahead or back, if it is larger than what is tolerated; then the new time is the right one."""
    watch = ClockWatch(LEASE)
    watch.note(after(0), 0.0)
    assert watch.note(after(1 + jump), 1.0) == (abs(dt.timedelta(seconds=jump)) > TOLERANCE)
    assert not watch.note(after(2 + jump), 2.0) or abs(jump) <= 2


def test_many_small_steps_within_a_lease_are_a_jump() -> None:
    watch = ClockWatch(LEASE)
    assert any(watch.note(after(second * 1.1), second) for second in range(30))


def test_a_slow_drift_is_none() -> None:
    """A clock that is being slewed moves by less than 0.1 %."""
    watch = ClockWatch(LEASE)
    assert not any(watch.note(after(second * 1.001), second) for second in range(3600))


def test_what_the_clock_may_show_now() -> None:
    watch = ClockWatch(LEASE)
    assert watch.latest_plausible(5.0) is None
    watch.note(after(0), 10.0)
    assert watch.latest_plausible(13.0) == after(3) + TOLERANCE


def test_it_remembers_no_more_than_a_lease() -> None:
    watch = ClockWatch(LEASE)
    for second in range(1000):
        watch.note(after(second), second)
    assert len(watch._readings) <= 62
