"""What a drone's silence means."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drones.health import Health, judge_silence, scan_interval
from drones.terms import Terms


@pytest.mark.parametrize(
    ("seconds", "health"),
    [
        (0, Health.HEALTHY),
        (44.9, Health.HEALTHY),
        (45, Health.UNHEALTHY),
        (119.9, Health.UNHEALTHY),
        (120, Health.LOST),
    ],
)
def test_silence_by_the_default_terms(seconds: float, health: Health) -> None:
    """Unhealthy after 45 s, lost after 120."""
    assert judge_silence(dt.timedelta(seconds=seconds), Terms()) is health


@given(st.floats(0.001, 1e6))
def test_scans_come_every_five_seconds_and_more_often_with_short_terms(scale: float) -> None:
    """Several within the time in which a lease is renewed, and never a busy loop by default."""
    base = Terms()
    names = ("renew", "soft", "hard", "expiry", "heartbeat", "unhealthy", "lost")
    terms = Terms(**{name: getattr(base, name) * scale for name in names})
    assert 0 < scan_interval(terms) <= 5
    assert scan_interval(terms) <= terms.renew.total_seconds() / 6 + 1e-6
    assert scan_interval(base) == 5
