"""Delays between attempts."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from daemonkit.backoff import Backoff, Delays, draw_around


@given(st.integers(), st.integers(1, 40))
def test_delays_grow_up_to_their_bound_and_are_never_nothing(seed: int, attempts: int) -> None:
    """Each delay lies between half of its bound and the bound, and bounds double up to the longest."""
    backoff = Backoff(Delays(0.1, 5.0), Random(seed))
    bound = 0.1
    for _ in range(attempts):
        assert bound / 2 <= backoff.next_delay() <= bound
        bound = min(bound * 2, 5.0)


def test_after_a_success_it_begins_anew() -> None:
    """One good connection makes the next attempt quick again."""
    backoff = Backoff(Delays(0.1, 5.0), Random(1))
    for _ in range(10):
        backoff.next_delay()
    backoff.reset()
    assert backoff.next_delay() <= 0.1


def test_two_daemons_do_not_wait_equally_long() -> None:
    """Jitter: what fell together must not come back together."""
    first, second = (Backoff(Delays(), Random(seed)) for seed in (1, 2))
    assert first.next_delay() != second.next_delay()


@given(st.integers())
def test_the_deliberate_reconnect_comes_within_its_spread(seed: int) -> None:
    """An hour, plus or minus ten minutes."""
    assert 3000 <= draw_around(3600, 600, dice=Random(seed)) <= 4200
