"""
Leases of keys: the deadlines a drone gets. Pure.

Deadlines are on the drone's clock and count from a time that the drone itself sent, before the database's lease began:
so they are early, never late.
"""

from __future__ import annotations

import datetime as dt

from msgspec import UNSET, structs

from drones.terms import Terms
from protocol.actions import Action
from protocol.keys import Deadlines

_MILLISECOND = dt.timedelta(milliseconds=1)


def deadlines_from(local_time: int, terms: Terms) -> Deadlines:
    """Return when to renew, end softly and end hard, for a lease asked for at `local_time` of the drone."""
    return Deadlines(
        renew_at=local_time + terms.renew // _MILLISECOND,
        soft_terminate_at=local_time + terms.soft // _MILLISECOND,
        hard_terminate_at=local_time + terms.hard // _MILLISECOND,
    )


def settle_deadlines(action: Action, leased_at: int | None, *, terms: Terms) -> Action:
    """
    Return an order as it may be sent, for a lease that began at `leased_at` of the drone's present clock.

    What it said when it was made was by the clock of then: after a restart the same time may mean hours later.
    """
    spawn = action.spawn
    if spawn is UNSET or spawn.key is None or leased_at is None:
        return action
    deadlines = _earliest(spawn.key.deadlines, deadlines_from(leased_at, terms))
    return Action(spawn=structs.replace(spawn, key=structs.replace(spawn.key, deadlines=deadlines)))


def _earliest(one: Deadlines, other: Deadlines) -> Deadlines:
    return Deadlines(
        renew_at=min(one.renew_at, other.renew_at),
        soft_terminate_at=min(one.soft_terminate_at, other.soft_terminate_at),
        hard_terminate_at=min(one.hard_terminate_at, other.hard_terminate_at),
    )
