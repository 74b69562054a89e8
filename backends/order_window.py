"""
Which orders are on their way to one drone: a bounded number, the next when these are acknowledged. Pure.

An order that is not acknowledged for long no longer counts, and may be sent again, after those never sent.
"""

from __future__ import annotations

from collections.abc import Iterable


class OrderWindow:
    """The orders sent on one connection and not yet settled."""

    def __init__(self, *, size: int, resend_after: float) -> None:
        self._size = size
        self._resend_after = resend_after
        self._sent: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._sent)

    def in_flight(self, now: float) -> list[str]:
        """Return the ids sent lately: they are not sent again."""
        return [order for order, sent in self._sent.items() if now - sent < self._resend_after]

    def overdue(self, now: float) -> list[str]:
        """Return the ids sent long ago and never acknowledged: they are sent again, last."""
        return [order for order, sent in self._sent.items() if now - sent >= self._resend_after]

    def room(self, now: float) -> int:
        """Return how many more orders may be sent."""
        return max(0, self._size - len(self.in_flight(now)))

    def sent(self, orders: Iterable[str], now: float) -> None:
        """Note that these have just been sent."""
        self._sent.update(dict.fromkeys(orders, now))

    def settled(self, orders: Iterable[str]) -> None:
        """Note that these are acknowledged, or no longer wanted."""
        for order in orders:
            self._sent.pop(order, None)
