"""The drone's own clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentd.clock import BootOffset, choose_offset, read_boot_id, since_boot_ms, steady_clock

moments = st.integers(0, 2**45)


@given(moments, moments, moments)
def test_within_one_boot_the_wall_clock_changes_nothing(wall: int, since_boot: int, later_wall: int) -> None:
    """The first look at it fixes the offset; each later run of the agent takes the one that was kept."""
    first = choose_offset(None, "boot", wall=wall, since_boot=since_boot)
    again = choose_offset(first, "boot", wall=later_wall, since_boot=since_boot + 1000)
    assert again == first
    assert steady_clock(again, lambda: since_boot + 1000)() == wall + 1000


def test_another_boot_has_another_offset() -> None:
    """The time since boot began anew, so the old offset means nothing."""
    assert choose_offset(BootOffset("a", 5), "b", wall=100, since_boot=10) == BootOffset("b", 90)


def test_it_counts_forward() -> None:
    """The kernel's figures can be read here, and do not go back."""
    assert read_boot_id()
    clock = steady_clock(BootOffset("x", 0))
    assert 0 < clock() <= since_boot_ms()
