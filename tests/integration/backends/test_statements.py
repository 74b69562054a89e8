"""The hot statements find what they look for by index, in one round trip, however full the tables are."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from typing import Any

import pytest

from backends.services import actions, activity, cleanup, departures, renewals, reports, routes, sweeper
from drones.services import heartbeats, nodes
from postgres.pool import open_pool
from postgres.statements import Statement
from tests.integration.control_plane import CLUSTER, Seed, controller

pytestmark = pytest.mark.postgres

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
BACKENDS = ["b17", "b18"]
CONNECTION = uuid.UUID(int=17)
#: Each hot statement with values as its service passes them.
STATEMENTS: list[tuple[Statement, dict[str, Any]]] = [
    (
        reports.STORE_REPORTS,
        {
            "backends": BACKENDS, "drones": [17, 18], "statuses": ["ready"] * 2, "ranks": [50] * 2,
            "states": ["{}"] * 2, "addresses": [None, "1.2.3.4:5"], "drone_times": [1, 2],
            "releases": [False, True], "withdraws": [False, True],
        },
    ),
    (renewals.RENEW_KEYS, {"backends": BACKENDS, "drones": [17, 18], "expiry": DAY}),
    (
        actions.PENDING_ORDERS,
        {"node": 17, "connection": CONNECTION, "in_flight": ["ak-1"], "overdue": [], "room": 50},
    ),
    (actions.ACKNOWLEDGE_ORDERS, {"orders": ["ak-17"], "nodes": [17], "connections": [CONNECTION]}),
    (routes.FIND_ROUTES, {"hashes": [b"x", b"y"], "clusters": [CLUSTER] * 2}),
    (routes.NOTE_TOKEN_USES, {"hashes": [b"x", b"y"], "lifetime": DAY}),
    (activity.NOTE_KEEPALIVES, {"backends": BACKENDS, "clusters": [CLUSTER] * 2}),
    (departures.DEPARTED_BY_ID, {"backends": BACKENDS}),
    (departures.DEPARTED_LATELY, {"cluster": None, "window": dt.timedelta(seconds=30), "at_most": 100}),
    (heartbeats.NOTE_HEARTBEATS, {"nodes": [17], "connections": [CONNECTION], "local_times": [1]}),
    (nodes.RELEASE_NODE, {"node": 17, "controller": "co-one", "connection": CONNECTION}),
    (
        sweeper.SWEEP_OVERDUE,
        {"orders": ["ak-x", "ak-y"], "action": "{}", "since": NOW, "grace": DAY, "in_use_for": DAY},
    ),
    (sweeper.SWEEP_LOST, {"lost": DAY, "since": NOW, "grace": DAY, "at_most": 100}),
    (cleanup.DELETE_EXPIRED_TOKENS, {"margin": DAY, "at_most": 100}),
    (cleanup.DELETE_RELEASED_KEYS, {"min_age": DAY, "at_most": 100}),
    (cleanup.DELETE_OLD_BACKENDS, {"min_age": DAY, "at_most": 100}),
]  # fmt: skip


@pytest.fixture(scope="module")
def filled(database: str) -> str:
    """The address of a database with some thousand backends, most of them over, on a thousand drones."""
    asyncio.run(fill(database))
    return database


async def fill(dsn: str) -> None:
    """Fill it."""
    async with controller(dsn):
        pass  # registered, as its nodes refer to it
    seed = Seed(dsn)
    numbers = "from generate_series(1, 6000) n"
    await seed.sql(
        "insert into drones_node (kind, cluster, name, version, git_hash, extensions, controller_id, connection)"
        f" select 'drone', '{CLUSTER}', 'dr-' || n, '', '', '[]', 'co-one', gen_random_uuid()"
        " from generate_series(1, 1000) n"
    )
    await seed.sql(
        "insert into drones_drone (node_id, pool, ready, draining, instance) select id, '', true, false, ''"
        " from drones_node"
    )
    await seed.sql(
        "insert into backends_backend (id, cluster, drone_id, key_namespace, key_name, key_tag, status, state,"
        " status_at, max_idle_seconds, expires_at)"
        f" select 'b' || n, '{CLUSTER}', (select min(id) from drones_node) + n % 1000, '', 'k' || n, '',"
        " case when n % 20 = 0 then 'ready' else 'terminated' end, '{}', now() - n * interval '1 min',"
        f" case when n % 40 = 0 then 60 end, now() + interval '1 day' {numbers}"
    )
    await seed.sql(
        "insert into backends_backendkey (namespace, name, tag, backend_id, fencing_token, expires_at, renewable)"
        f" select '', 'k' || n, '', case when n % 20 = 0 then 'b' || n end, n, now() + interval '1 min', true {numbers}"
    )
    await seed.sql(
        "insert into backends_backendaction (id, backend_id, drone_id, kind, action, acknowledged_at)"
        f" select 'ak-' || n, 'b' || n, (select min(id) from drones_node) + n % 1000, 'spawn', '{{}}', now() {numbers}"
    )
    await seed.sql(
        "insert into backends_backendstatechange (backend_id, status, state)"
        f" select 'b' || n, 'loading', '{{}}' {numbers}"
    )
    await seed.sql(
        "insert into backends_token (hash, backend_id, kind, secret, expires_at)"
        f" select sha256(n::text::bytea), 'b' || n, 'bearer', '', now() + interval '1 h' {numbers}"
    )
    await seed.sql("analyze")


@pytest.mark.parametrize(("statement", "values"), STATEMENTS, ids=[statement.name for statement, _ in STATEMENTS])
async def test_a_hot_statement_reads_no_table_whole(filled: str, statement: Statement, values: dict[str, Any]) -> None:
    """Prepared as the pool prepares it, with the plan that it then gets for any values."""
    pool = await open_pool(filled)
    rows = await pool.fetch(Statement(f"explain_{statement.name}", f"explain {statement.sql}"), **values)
    await pool.close()
    plan = "\n".join(row["QUERY PLAN"] for row in rows)
    for table in ("backend", "backendkey", "backendaction", "backendstatechange", "token"):
        assert f"Seq Scan on backends_{table} " not in plan, plan
    assert "Seq Scan on drones_node " not in plan, plan


def test_every_statement_of_the_sockets_is_looked_at() -> None:
    """One per module-level statement of the services above, but for the two that register."""
    modules = (actions, activity, cleanup, departures, heartbeats, nodes, renewals, reports, routes, sweeper)
    known = {value.name for module in modules for value in vars(module).values() if isinstance(value, Statement)}
    looked_at = {statement.name for statement, _ in STATEMENTS}
    assert known - looked_at == {"register_drone", "register_node", "read_clock", "delete_dead_controllers"}
