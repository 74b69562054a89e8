"""What a proxy that was away is told of the backends that ended meanwhile, on a real database."""

from __future__ import annotations

import datetime as dt

import pytest

from backends.services.departures import DEPARTED_LATELY
from tests.integration.control_plane import CLUSTER, Seed, controller, drone_at

pytestmark = pytest.mark.postgres

GONE = {"status": "terminated", "last_status": "ready", "termination": None, "reason": None, "exit_code": 0}


async def test_of_too_many_departures_the_newest_are_told(fresh_database: str) -> None:
    """The routes to those that ended first are the likeliest to have run out by themselves."""
    seed = Seed(fresh_database)
    now = dt.datetime.now(dt.UTC)
    async with controller(fresh_database) as context:
        await drone_at(context)
        await seed.backend(state=GONE, status_at=now - dt.timedelta(seconds=20))
        newest = await seed.backend(state=GONE, status_at=now - dt.timedelta(seconds=10))
        window = dt.timedelta(minutes=10)
        rows = await context.pool.fetch(DEPARTED_LATELY, cluster=CLUSTER, window=window, at_most=1)
    assert [row["id"] for row in rows] == [newest]
