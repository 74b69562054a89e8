"""
Which drones may get a backend. Decides nothing about one drone by itself: the connect statement applies these limits.

A drone is eligible that is ready, not draining, of the right cluster and pool, connected to a live controller, and has
sent a heartbeat on its present connection within `freshness`. Of `best_of` random ones the one with fewest live
backends is taken: as good as knowing the whole fleet, without every spawn choosing the same drone.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from drones.terms import Terms


@dataclass(frozen=True, kw_only=True)
class Eligibility:
    """The limits of one installation, as the connect statement takes them."""

    freshness: dt.timedelta  #: how old a drone's last heartbeat may be
    unhealthy: dt.timedelta  #: after which silence a controller or a drone counts as unhealthy
    best_of: int


def limit_eligibility(terms: Terms, best_of: int) -> Eligibility:
    """Derive the limits. `best_of` below one is our own mistake: the flag's type refuses it."""
    assert best_of >= 1, "a drone must be chosen from at least one"
    return Eligibility(freshness=terms.freshness, unhealthy=terms.unhealthy, best_of=best_of)
