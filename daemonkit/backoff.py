"""
How long to wait before trying again: capped exponential growth with jitter. Pure; the dice are a parameter.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Delays:
    """Bounds of a backoff, in seconds: the first delay, the longest, and how fast it grows between them."""

    first: float = 0.1
    longest: float = 5.0
    factor: float = 2.0

    def __post_init__(self) -> None:
        assert 0 < self.first <= self.longest, "delays must grow"
        assert self.factor >= 1, "delays must grow"


class Backoff:
    """The delays of one series of attempts. Each is drawn between half of its bound and the whole of it."""

    def __init__(self, delays: Delays, dice: Random) -> None:
        self._delays = delays
        self._dice = dice
        self._bound = delays.first

    def next_delay(self) -> float:
        """Return how many seconds to wait now; the next time it may be longer."""
        bound = self._bound
        self._bound = min(bound * self._delays.factor, self._delays.longest)
        return bound * self._dice.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin anew, because something worked."""
        self._bound = self._delays.first


def draw_around(middle: float, spread: float, *, dice: Random) -> float:
    """Draw a duration evenly from `middle` plus or minus `spread`, so that many do not act at the same moment."""
    return middle + dice.uniform(-spread, spread)
