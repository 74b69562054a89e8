"""Orders to a drone that went away before it had them, on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from backends.services.connect import connect
from drones.context import ControllerContext
from protocol.connect import ConnectRequest
from protocol.keys import LenientKeyConfig
from protocol.spawn import Executable, SpawnConfig
from tests.integration.control_plane import CLUSTER, Seed, controller, drone_at

pytestmark = pytest.mark.postgres

ROOM = ConnectRequest(
    key=LenientKeyConfig("room-1"), spawn_config=SpawnConfig(executable=Executable(image="app:1"), cluster=CLUSTER)
)


@pytest.fixture
async def context(fresh_database: str) -> AsyncIterator[ControllerContext]:
    async with controller(fresh_database) as context:
        yield context


async def test_an_order_made_by_an_older_clock_of_its_drone_is_sent_by_the_present_one(
    context: ControllerContext, fresh_database: str
) -> None:
    """
    A machine that starts again with its clock behind would take the deadlines of before for hours away, and keep its
    backend while somebody else has the key.
    """
    seed = Seed(fresh_database)
    first = await drone_at(context)
    await first.say({"Heartbeat": {"local_time": 10_000_000}})
    await seed.until("select 1 from drones_drone where last_local_time = 10000000")
    await connect(context, ROOM)
    sent = await first.hear()
    assert sent["Action"]["action"]["Spawn"]["key"]["deadlines"]["hard_terminate_at"] == 10_050_000
    await first.close()

    again = await drone_at(context)
    assert await again.hears_nothing(), "nobody knows what its clock says now"
    await again.say({"Heartbeat": {"local_time": 1_000_000}})
    resent = await again.hear(within=2.0)  # without waiting for a scan
    assert resent["Action"]["action_id"] == sent["Action"]["action_id"]
    deadlines = resent["Action"]["action"]["Spawn"]["key"]["deadlines"]
    assert 1_040_000 < deadlines["hard_terminate_at"] <= 1_050_000
    assert deadlines["hard_terminate_at"] - deadlines["renew_at"] == 20_000
    await again.close()
