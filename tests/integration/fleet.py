"""
A fleet that exists only as rows: drones that were just heard from, for tests that look at scheduling and keys.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from drones.context import ControllerContext
from postgres.pool import Pool, Row
from postgres.statements import Statement
from protocol.connect import ConnectRequest
from protocol.keys import LenientKeyConfig
from protocol.spawn import Executable, SpawnConfig
from tests.integration.control_plane import CLUSTER, Seed

#: What the clock of a drone in these tests shows.
DRONE_TIME = 5_000_000


async def add_drone(
    seed: Seed, name: str = "dr-one", *, controller: str = "co-one", cluster: str = CLUSTER, **columns: Any
) -> int:
    """Store a drone that is connected and fresh, unless the columns say otherwise; return its id."""
    node = await seed.one(
        "insert into drones_node (kind, cluster, name, version, git_hash, extensions, controller_id, connection,"
        " connected_at) values ('drone', %s, %s, '0', 'x', '[]', %s, %s, now()) returning id",
        cluster, name, controller, uuid.uuid4(),
    )  # fmt: skip
    facts: Mapping[str, Any] = {"pool": "", "ready": True, "draining": False, "instance": "", **columns}
    names, places = ", ".join(facts), ", ".join(["%s"] * len(facts))
    await seed.sql(
        f"insert into drones_drone (node_id, last_heard_at, last_heartbeat_at, last_local_time, {names})"
        f" values (%s, now(), now(), {DRONE_TIME}, {places})",
        node["id"], *facts.values(),
    )  # fmt: skip
    return int(node["id"])


def ask(
    key: str | None = "room-1", *, tag: str = "", spawn: bool = True, wait: int | None = None, **config: Any
) -> ConnectRequest:
    """Return a connect request, as an application would send it."""
    named = None if key is None else LenientKeyConfig(key, tag=tag)
    asked = {"executable": Executable(image="app:1"), "cluster": CLUSTER, **config}
    return ConnectRequest(
        key=named,
        spawn_config=SpawnConfig(**asked) if spawn else None,
        user="user-1",
        auth={"role": "admin"},
        wait_for_release=wait,
    )


async def expire(seed: Seed, key: str = "room-1") -> None:
    """Let a key's lease run out now, on a server that was watched for long."""
    await seed.sql("update backends_backendkey set expires_at = now() - interval '1 s' where name = %s", key)
    await trust_server(seed)


async def trust_server(seed: Seed) -> None:
    """Let the server have been watched for one full lease."""
    await seed.sql("update drones_installation set takeover_after = now() - interval '1 s'")


async def count(seed: Seed, table: str, condition: str = "true") -> int:
    """Count the rows of a table."""
    return int((await seed.one(f"select count(*) as count from {table} where {condition}"))["count"])


class CountingPool(Pool):
    """A pool that counts the statements it was asked to run."""

    def __init__(self, pool: Pool) -> None:
        self._counted = pool
        self.statements: list[str] = []

    async def fetch_one(self, statement: Statement, /, **parameters: Any) -> Row | None:
        self.statements.append(statement.name)
        return await self._counted.fetch_one(statement, **parameters)


def count_statements(context: ControllerContext) -> list[str]:
    """Return a list that grows with each statement of this controller from now on."""
    counting = CountingPool(context.pool)
    object.__setattr__(context, "pool", counting)
    return counting.statements


async def assert_no_orphans(seed: Seed) -> None:
    """Whatever races there were: each backend has its key, order, history and token, and nothing is without one."""
    backends = await count(seed, "backends_backend")
    assert await count(seed, "backends_backendaction", "kind = 'spawn'") == backends
    assert await count(seed, "backends_backendstatechange", "status = 'scheduled'") == backends
    live = await count(seed, "backends_backend", "status_rank < 70")
    assert await count(seed, "backends_backendkey", "backend_id is not null") == live
    missing = "not exists (select from backends_token t where t.backend_id = backends_backend.id)"
    assert await count(seed, "backends_backend", missing) == 0
