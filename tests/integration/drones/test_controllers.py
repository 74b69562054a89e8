"""
Controllers among themselves: registering, living, and the goodbye.
"""

from __future__ import annotations

import asyncio

import pytest

from drones.services.controllers import heartbeat_forever, say_goodbye, send_heartbeat
from tests.integration.control_plane import Seed, controller
from tests.integration.fleet import add_drone, count

pytestmark = pytest.mark.postgres


async def test_a_heartbeat_registers_and_renews(fresh_database: str) -> None:
    """Also when the row was cleaned away meanwhile, or a goodbye was said too early."""
    seed = Seed(fresh_database)
    async with controller(fresh_database) as context:
        row = await seed.one("select * from drones_controller")
        assert (row["name"], row["version"], row["url"]) == ("co-one", "0.1.0", "http://controller")
        await seed.sql("update drones_controller set last_heartbeat_at = now() - interval '9 s', goodbye_at = now()")
        await send_heartbeat(context)
        assert await count(seed, "drones_controller", "last_heartbeat_at = now() or goodbye_at is not null") == 0
        assert await count(seed, "drones_controller", "last_heartbeat_at > now() - interval '5 s'") == 1
        await seed.sql("delete from drones_controller")
        await send_heartbeat(context)
        assert await count(seed, "drones_controller") == 1


async def test_heartbeats_go_on(fresh_database: str) -> None:
    """A goodbye by mistake is taken back with the next beat."""
    seed = Seed(fresh_database)
    async with controller(fresh_database) as context:
        await seed.sql("update drones_controller set goodbye_at = now()")
        beating = asyncio.create_task(heartbeat_forever(context))
        await seed.until("select 1 from drones_controller where goodbye_at is null")
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


async def test_a_goodbye_lets_go_of_ones_own_nodes_only(fresh_database: str) -> None:
    """A node that is at another controller by now stays there."""
    seed = Seed(fresh_database)
    async with controller(fresh_database) as leaving, controller(fresh_database, name="co-two"):
        await add_drone(seed, "dr-one")
        await add_drone(seed, "dr-two", controller="co-two")
        await say_goodbye(leaving)
        nodes = await seed.sql(
            "select name, controller_id, disconnected_at is null as on from drones_node order by name"
        )
        assert [(node["name"], node["controller_id"], node["on"]) for node in nodes] == [
            ("dr-one", None, False), ("dr-two", "co-two", True),
        ]  # fmt: skip
        gone = await seed.sql("select name from drones_controller where goodbye_at is not null")
        assert [row["name"] for row in gone] == ["co-one"]
