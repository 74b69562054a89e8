"""
Stories about pure machines: each step is an event and the commands it must cause.

    play(machine, [
        (Begin(), [PrepareImage()]),
        (ImageReady(), [StartContainer()]),
    ])
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol


class Machine(Protocol):
    """Whatever eats events and returns commands."""

    def handle(self, event: Any, /) -> Iterable[Any]:
        """Take one event."""


def play(machine: Machine, story: Sequence[tuple[Any, Sequence[Any]]]) -> None:
    """Feed the events in order and compare what each of them causes; say where the story went another way."""
    for number, (event, expected) in enumerate(story, start=1):
        commands = list(machine.handle(event))
        assert commands == list(expected), (
            f"step {number}, {event!r}:\n  expected {list(expected)!r}\n  got      {commands!r}\n  machine  {machine!r}"
        )
