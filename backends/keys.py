"""
Leases of keys: the deadlines a drone gets. Pure.

Deadlines are on the drone's clock and count from a time that the drone itself sent, before the database's lease began:
so they are early, never late.
"""

from __future__ import annotations

import datetime as dt

from drones.terms import Terms
from protocol.keys import Deadlines

_MILLISECOND = dt.timedelta(milliseconds=1)


def deadlines_from(local_time: int, terms: Terms) -> Deadlines:
    """Return when to renew, end softly and end hard, for a lease asked for at `local_time` of the drone."""
    return Deadlines(
        renew_at=local_time + terms.renew // _MILLISECOND,
        soft_terminate_at=local_time + terms.soft // _MILLISECOND,
        hard_terminate_at=local_time + terms.hard // _MILLISECOND,
    )
