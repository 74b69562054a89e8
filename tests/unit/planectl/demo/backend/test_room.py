"""The shared page's rules: who is there, who may press what, and what everybody sees."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planectl.demo.backend.room import Room


def test_everybody_sees_the_same() -> None:
    """Guests, counter, and the last presses, newest first."""
    room = Room(Random(1))
    ada, bob = room.join("Ada"), room.join("Bob")
    room.press(ada, 1)
    room.press(bob, 1)
    room.press(bob, -1)
    seen = room.snapshot()
    assert seen["counter"] == 1
    assert [(guest["name"], guest["presses"]) for guest in seen["guests"]] == [("Ada", 1), ("Bob", 2)]
    assert [(press["name"], press["step"], press["counter"]) for press in seen["recent"]] == [
        ("Bob", -1, 1),
        ("Bob", 1, 2),
        ("Ada", 1, 1),
    ]


def test_guests_without_a_name_get_one() -> None:
    """Two never the same one, and every guest a colour."""
    room = Room(Random(1))
    guests = [room.join() for _ in range(300)]
    assert len({guest.name for guest in guests}) == 300
    assert all(0 <= guest.hue < 360 for guest in guests)


def test_names_are_kept_short() -> None:
    """They come from a header, and must fit the page; an empty one is none."""
    room = Room(Random(1))
    assert len(room.join("x" * 5000).name) == 40
    assert room.join("  ").name.strip()


@pytest.mark.parametrize("step", [True, 1.0, 0, 2, -2, "1", None, [1]])
def test_nothing_else_is_a_press(step: object) -> None:
    """Not even what Python takes for one."""
    room = Room(Random(1))
    assert not room.press(room.join(), step)
    assert room.counter == 0


def test_who_leaves_is_gone_and_may_leave_twice() -> None:
    room = Room(Random(1))
    guest = room.join()
    room.leave(guest)
    room.leave(guest)
    assert room.snapshot()["guests"] == []


@given(st.lists(st.one_of(st.integers(), st.none(), st.booleans(), st.text(), st.floats(), st.just([1]))))
def test_the_counter_moves_by_one_or_not_at_all(steps: list[object]) -> None:
    """Whatever a client sends."""
    room = Room(Random(1))
    guest = room.join()
    for step in steps:
        before = room.counter
        moved = room.press(guest, step)
        assert moved == (room.counter != before)
        assert abs(room.counter - before) <= 1
    assert len(room.snapshot()["recent"]) <= 5
