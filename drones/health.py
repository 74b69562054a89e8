"""
How long a node may be silent, and what its silence means. Pure.
"""

from __future__ import annotations

import datetime as dt
import enum

from drones.terms import Terms


class Health(enum.Enum):
    """What is thought of a drone that was last heard some time ago."""

    HEALTHY = "healthy"  #: gets work
    UNHEALTHY = "unhealthy"  #: gets nothing new; its socket is taken for dead
    LOST = "lost"  #: its keys may go, when their leases have run out


def judge_silence(silence: dt.timedelta, terms: Terms) -> Health:
    """Tell what a silence of this length means."""
    if silence >= terms.lost:
        return Health.LOST
    return Health.UNHEALTHY if silence >= terms.unhealthy else Health.HEALTHY


def scan_interval(terms: Terms) -> float:
    """Return seconds between looks at the tables that need no ring: 5, less when everything is shortened for tests."""
    return min(5.0, terms.renew.total_seconds() / 6)
