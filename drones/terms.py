"""
The durations that the promise rests on: leases, heartbeats, when a drone is unhealthy or lost. Checked at start.

The database's clock measures expiry, the drone's own clock measures renew, soft and hard; they are never compared.
"""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass, field


class UnsoundTerms(ValueError):
    """The durations contradict each other; each complaint says which."""

    def __init__(self, *complaints: str) -> None:
        super().__init__("; ".join(complaints))
        self.complaints = complaints


def _seconds(count: float) -> dt.timedelta:
    return dt.timedelta(seconds=count)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """All durations of one installation. Every controller of a database must have the same."""

    renew: dt.timedelta = field(default_factory=lambda: _seconds(30))
    soft: dt.timedelta = field(default_factory=lambda: _seconds(40))
    hard: dt.timedelta = field(default_factory=lambda: _seconds(50))
    expiry: dt.timedelta = field(default_factory=lambda: _seconds(60))
    heartbeat: dt.timedelta = field(default_factory=lambda: _seconds(7))
    unhealthy: dt.timedelta = field(default_factory=lambda: _seconds(45))
    lost: dt.timedelta = field(default_factory=lambda: _seconds(120))

    def __post_init__(self) -> None:
        """Refuse durations that would break the promise. Raises: UnsoundTerms."""
        chains = (
            ("renew", "soft", "hard", "expiry", "lost"),
            ("heartbeat", "unhealthy"),
        )
        complaints = []
        if min(self.renew, self.heartbeat) <= dt.timedelta(0):
            complaints.append("the renew and heartbeat intervals must be longer than 0 s")
        complaints += [
            f"{shorter} ({getattr(self, shorter).total_seconds()} s) must be shorter than "
            f"{longer} ({getattr(self, longer).total_seconds()} s)"
            for chain in chains
            for shorter, longer in itertools.pairwise(chain)
            if getattr(self, shorter) >= getattr(self, longer)
        ]
        if complaints:
            raise UnsoundTerms(*complaints)

    @property
    def freshness(self) -> dt.timedelta:
        """How old a drone's last heartbeat may be for something to be scheduled there: half the renewal time."""
        return self.renew / 2
