"""
An asyncio loop whose time jumps: a sleep takes no time at all, and an hour of waiting is one step.

For unit tests of what waits a lot and does no I/O. When nothing is left that could ever happen, it says so.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Deadlock(AssertionError):
    """Everybody waits, and no timer is set."""


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for nobody: moves the time instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise Deadlock("everybody waits, and nothing will ever happen")
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The loop; its time begins at zero."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run_in_virtual_time(story: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end without waiting for real."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(story)
