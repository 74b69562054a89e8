"""Pauses between attempts."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from postgres.pauses import FIRST, LONGEST, pause_before


@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_a_pause_is_never_nothing_nor_longer_than_the_cap(attempt: int, dice: Random) -> None:
    """However often it failed."""
    assert FIRST / 2 <= pause_before(attempt, dice) <= LONGEST


def test_pauses_grow() -> None:
    """A database that stays away is asked less and less often."""
    assert pause_before(0, Random(1)) < pause_before(3, Random(1)) < pause_before(6, Random(1))
