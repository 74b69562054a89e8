"""
The services that all sockets of one controller share, because they gather what the sockets bring.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from backends.services.actions import Acknowledgements
from backends.services.activity import Activity
from backends.services.departures import Departures
from backends.services.renewals import Renewals
from backends.services.reports import Reports
from backends.services.routes import Routes
from drones.context import ControllerContext
from drones.health import scan_interval
from drones.services.heartbeats import Heartbeats
from postgres.pool import Pool


@dataclass(frozen=True, kw_only=True)
class Desk:
    """One of each for a controller."""

    heartbeats: Heartbeats
    reports: Reports
    renewals: Renewals
    acknowledgements: Acknowledgements
    routes: Routes
    activity: Activity
    departures: Departures


_desks: Final[WeakKeyDictionary[Pool, Desk]] = WeakKeyDictionary()


def desk_of(context: ControllerContext) -> Desk:
    """Return the services of a controller, opened at the first call."""
    if context.pool not in _desks:
        _desks[context.pool] = Desk(
            heartbeats=Heartbeats(context.pool),
            reports=Reports(context.pool, context.bell),
            renewals=Renewals(context.pool, context.terms),
            acknowledgements=Acknowledgements(context.pool),
            routes=Routes(context.pool, token_lifetime=context.token_lifetime),
            activity=Activity(context.pool),
            departures=Departures(context.pool, context.doorbell, scan_interval=scan_interval(context.terms)),
        )
    return _desks[context.pool]
