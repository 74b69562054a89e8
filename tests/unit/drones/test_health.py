"""How long silence may last, and how often one looks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drones.health import scan_interval, silence_limit
from drones.terms import Terms


def test_a_drone_that_sends_heartbeats_is_never_taken_for_dead() -> None:
    """Several may be lost or late; then it gets nothing new, and its socket is closed."""
    assert silence_limit(Terms()) == 45
    assert silence_limit(Terms()) > 3 * Terms().heartbeat.total_seconds()


@given(st.floats(0.001, 1e6))
def test_scans_come_every_five_seconds_and_more_often_with_short_terms(scale: float) -> None:
    """Several within the time in which a lease is renewed, and never a busy loop by default."""
    base = Terms()
    names = ("renew", "soft", "hard", "expiry", "heartbeat", "unhealthy", "lost")
    terms = Terms(**{name: getattr(base, name) * scale for name in names})
    assert 0 < scan_interval(terms) <= 5
    assert scan_interval(terms) <= terms.renew.total_seconds() / 6 + 1e-6
    assert scan_interval(base) == 5
