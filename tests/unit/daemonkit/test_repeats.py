"""Log lines that repeat."""

from __future__ import annotations

from daemonkit.repeats import Repeats


def test_the_first_is_written_then_one_per_interval_with_a_count() -> None:
    """Nobody drowns, and nobody is deceived about how many there were."""
    repeats = Repeats(60)
    assert [repeats.admit(now) for now in (0, 1, 59, 60, 119.9, 121, 500)] == [0, None, None, 2, None, 1, 0]
