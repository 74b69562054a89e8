"""How often the log hears of the same thing."""

from __future__ import annotations

from drones.consumers.complaints import Complaints


def test_a_flood_of_the_same_is_one_line_now_and_then() -> None:
    """With how many were kept quiet; other kinds are not affected."""
    complaints = Complaints(every=10)
    assert complaints.admit("skipped", 0.0) == 0
    assert [complaints.admit("skipped", 0.1 * n) for n in range(1, 50)] == [None] * 49
    assert complaints.admit("other", 5.0) == 0
    assert complaints.admit("skipped", 10.0) == 49
    assert complaints.admit("skipped", 10.1) is None
