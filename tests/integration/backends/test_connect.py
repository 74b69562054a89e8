"""
What the connect statement promises, on a real database: one backend per key, nothing beside it, the right refusal.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from backends.connecting import (
    FailedToAcquireKey,
    KeyHeld,
    KeyHeldUnhealthy,
    KeyUnheldNoSpawnConfig,
    NoClusterProvided,
    NoDroneAvailable,
)
from backends.services.connect import connect
from drones.context import ControllerContext
from postgres.doorbell import Ring
from postgres.statements import Statement
from protocol.actions import Action
from protocol.backend_state import BackendStatus
from protocol.codec import decode
from protocol.keys import AcquiredKey, Deadlines, KeyConfig, LenientKeyConfig
from protocol.tokens import token_hash
from tests.integration.control_plane import CLUSTER, Seed, controller
from tests.integration.fleet import DRONE_TIME, add_drone, ask, assert_no_orphans, count, count_statements
from tests.integration.waiting import until

pytestmark = pytest.mark.postgres


@pytest.fixture
async def context(fresh_database: str) -> AsyncIterator[ControllerContext]:
    """A controller with one drone."""
    async with controller(fresh_database) as running:
        await add_drone(Seed(fresh_database))
        yield running


@pytest.fixture
def seed(fresh_database: str) -> Seed:
    return Seed(fresh_database)


# Spawning and joining.


async def test_a_free_key_spawns(context: ControllerContext, seed: Seed) -> None:
    """Backend, key, order, token and history are there, and the order says what the drone must know."""
    response = await connect(context, ask(max_idle_seconds=60, lifetime_limit_seconds=3600, subdomain="alice"))
    assert response.spawned
    assert response.status is BackendStatus.SCHEDULED
    assert response.drone == "dr-one"
    assert response.url == f"http://alice.{CLUSTER}/{response.token}/"
    assert response.status_url == f"http://controller/pub/b/{response.backend_id}/status"
    backend = await seed.one("select *, expires_at - created_at as life from backends_backend")
    assert (backend["id"], backend["cluster"], backend["status"]) == (response.backend_id, CLUSTER, "scheduled")
    assert backend["max_idle_seconds"] == 60
    assert abs(backend["life"] - dt.timedelta(hours=1)) < dt.timedelta(seconds=1)
    key = await seed.one("select * from backends_backendkey")
    [row] = await seed.sql("select action::text as action from backends_backendaction")
    spawn = decode(row["action"], Action).variant
    lease = Deadlines(DRONE_TIME + 30_000, DRONE_TIME + 40_000, DRONE_TIME + 50_000)
    assert spawn.key == AcquiredKey(KeyConfig("room-1"), lease, key["fencing_token"])
    assert spawn.executable == ask().spawn_config.executable  # type: ignore[union-attr]
    await assert_no_orphans(seed)


async def test_the_drones_bell_is_rung(context: ControllerContext, seed: Seed) -> None:
    """At every controller, for its socket may be anywhere; and not for those who only join."""
    rung: list[Ring] = []
    context.doorbell.subscribe("drone", None, tell=rung.append)
    await connect(context, ask())
    await until(lambda: rung)
    assert rung == [Ring("drone", str(await seed.node("dr-one")))]
    await connect(context, ask())
    context.bell.ring("other", "x")
    await asyncio.sleep(0.1)
    assert len(rung) == 1


async def test_the_lease_outlives_the_deadlines(context: ControllerContext, seed: Seed) -> None:
    """Expiry counts from now, by the database's clock."""
    await connect(context, ask())
    key = await seed.one("select expires_at - now() as left, expires_at - leased_at as lease from backends_backendkey")
    assert key["lease"] >= context.terms.expiry - dt.timedelta(milliseconds=1)
    assert dt.timedelta(seconds=55) < key["left"] <= context.terms.expiry


async def test_a_token_is_stored_as_its_hash(context: ControllerContext, seed: Seed) -> None:
    response = await connect(context, ask())
    token = await seed.one("select *, expires_at - now() as life from backends_token")
    assert bytes(token["hash"]) == token_hash(response.token)
    assert response.token not in str(token)
    assert (token["username"], token["auth"], token["secret"]) == ("user-1", {"role": "admin"}, response.secret_token)
    assert dt.timedelta(minutes=59) < token["life"] <= dt.timedelta(hours=1)


async def test_a_held_key_is_joined(context: ControllerContext, seed: Seed) -> None:
    """The second user gets a token of their own to the same backend."""
    first = await connect(context, ask())
    second = await connect(context, ask(spawn=False))
    assert (second.backend_id, second.spawned, second.drone) == (first.backend_id, False, None)
    assert second.token != first.token
    assert second.url == f"http://{CLUSTER}/{second.token}/"
    assert await count(seed, "backends_token") == 2
    assert await count(seed, "backends_backend") == 1


@pytest.mark.parametrize("held", [False, True])
async def test_connect_is_one_statement(context: ControllerContext, *, held: bool) -> None:
    """One round trip when the key is free, and one when it is held."""
    if held:
        await connect(context, ask())
    statements = count_statements(context)
    response = await connect(context, ask())
    assert response.spawned is not held
    assert statements == ["connect"]


async def test_without_a_key_each_connect_spawns(context: ControllerContext, seed: Seed) -> None:
    for _ in range(2):
        assert (await connect(context, ask(None))).spawned
    names = {row["name"] for row in await seed.sql("select name from backends_backendkey")}
    assert len(names) == 2
    assert all(name.startswith("lk-") and len(name) == 17 for name in names)


async def test_a_static_token_is_told_again(context: ControllerContext, seed: Seed) -> None:
    """It belongs to the backend, not to a user, and the drone is told it."""
    first = await connect(context, ask(use_static_token=True))
    second = await connect(context, ask(use_static_token=True))
    assert first.token.startswith("s.")
    assert (second.token, second.secret_token, second.spawned) == (first.token, None, False)
    token = await seed.one("select * from backends_token")
    assert (token["kind"], token["username"], token["auth"], token["expires_at"]) == ("static", None, None, None)
    action = await seed.one("select action from backends_backendaction")
    assert action["action"]["Spawn"]["static_token"] == first.token


async def test_a_namespace_separates_keys(context: ControllerContext) -> None:
    def asked(namespace: str) -> Any:
        return msgspec.structs.replace(ask(), key=LenientKeyConfig("room-1", namespace))

    first, second = await connect(context, asked("a")), await connect(context, asked("b"))
    assert first.backend_id != second.backend_id


# Refusals.


async def test_another_tag_is_refused(context: ControllerContext, seed: Seed) -> None:
    await connect(context, ask(tag="blue"))
    with pytest.raises(KeyHeld):
        await connect(context, ask(tag="green"))
    assert await count(seed, "backends_token") == 1


async def test_nothing_to_join_and_nothing_to_spawn(context: ControllerContext) -> None:
    with pytest.raises(KeyUnheldNoSpawnConfig):
        await connect(context, ask(spawn=False))


async def test_no_cluster_is_needed_to_join(context: ControllerContext) -> None:
    with pytest.raises(NoClusterProvided):
        await connect(context, ask(cluster=None))
    await connect(context, ask())
    assert not (await connect(context, ask(cluster=None))).spawned


@pytest.mark.parametrize("request_", [ask(cluster="c2.example.com"), ask(pool="gpu")])
async def test_no_drone_there(context: ControllerContext, seed: Seed, request_: Any) -> None:
    with pytest.raises(NoDroneAvailable):
        await connect(context, request_)
    assert await count(seed, "backends_backendkey") == 0


async def test_a_taken_name_is_refused_at_once(context: ControllerContext, seed: Seed) -> None:
    """And the key that was nearly taken for it is free."""
    await connect(context, ask("one", id="mine"))
    statements = count_statements(context)
    with pytest.raises(FailedToAcquireKey):
        await connect(context, ask("two", id="mine"))
    assert statements == ["connect"]
    assert await count(seed, "backends_backendkey") == 1
    await assert_no_orphans(seed)


async def test_a_holder_that_is_not_heard_from(context: ControllerContext, seed: Seed) -> None:
    """Its backend has ended itself by now, or is about to: a token for it would be worth nothing."""
    await connect(context, ask())
    await seed.sql("update drones_drone set last_heard_at = now() - interval '46 s'")
    with pytest.raises(KeyHeldUnhealthy):
        await connect(context, ask())


# Scheduling.


@pytest.mark.parametrize(
    "spoiled",
    [
        "update drones_drone set ready = false",
        "update drones_drone set draining = true",
        "update drones_drone set last_heartbeat_at = now() - interval '16 s'",
        "update drones_drone set last_heartbeat_at = null, last_local_time = null",
        "update drones_node set controller_id = null, connection = null",
        "update drones_controller set last_heartbeat_at = now() - interval '46 s'",
        "update drones_controller set goodbye_at = now()",
        "update drones_node set kind = 'proxy'",
    ],
)
async def test_only_fresh_drones_get_backends(context: ControllerContext, seed: Seed, spoiled: str) -> None:
    """Each of these alone is enough to get nothing."""
    await seed.sql(spoiled)
    with pytest.raises(NoDroneAvailable):
        await connect(context, ask())


async def test_the_emptier_of_two_drones_is_chosen(context: ControllerContext, seed: Seed) -> None:
    await add_drone(seed, "dr-two")
    for _ in range(10):
        await connect(context, ask(None))
    counts = await seed.sql("select count(*) as count from backends_backend group by drone_id")
    assert [row["count"] for row in counts] == [5, 5]


async def test_of_one_random_drone_room_does_not_matter(fresh_database: str, seed: Seed) -> None:
    """With `--best-of 1` chance alone decides, and reaches all."""
    async with controller(fresh_database, best_of=1) as context:
        for name in ("dr-one", "dr-two", "dr-three"):
            await add_drone(seed, name)
        chosen = {(await connect(context, ask(None))).drone for _ in range(60)}
    assert chosen == {"dr-one", "dr-two", "dr-three"}


# Idleness.


@pytest.mark.parametrize(
    ("wishes", "conflict", "kept"),
    [((60, 90), None, 60), ((60, 90), "largest", 90), ((90, 60), "largest", 90), ((60, None), "largest", None),
     ((None, 60), "largest", None), ((60, 90), "first", 60)],
)  # fmt: skip
async def test_two_wishes_for_idleness(
    context: ControllerContext, seed: Seed, wishes: Any, conflict: Any, kept: Any
) -> None:
    """The first wins, unless the second asks for the largest; no limit is the largest of all."""
    first, second = wishes
    await connect(context, ask(max_idle_seconds=first))
    await connect(context, ask(max_idle_seconds=second, idle_conflict=conflict))
    assert (await seed.one("select max_idle_seconds from backends_backend"))["max_idle_seconds"] == kept


# Waiting for a key.


async def end(seed: Seed, context: ControllerContext, status: str = "terminated") -> None:
    """End the only backend, as a report does."""
    backend = await seed.one("select id from backends_backend where status_rank < 70")
    await seed.sql("update backends_backend set status = %s, state = %s", status, f'{{"status": "{status}"}}')
    if status == "terminated":
        await seed.sql("update backends_backendkey set backend_id = null")
    context.bell.ring("backend", backend["id"])


async def test_a_key_whose_backend_is_ending_still_yields_a_token(context: ControllerContext, seed: Seed) -> None:
    await connect(context, ask())
    await end(seed, context, "terminating")
    response = await connect(context, ask())
    assert (response.spawned, response.status) == (False, BackendStatus.TERMINATING)


async def test_waiting_for_a_key_until_it_is_free(context: ControllerContext, seed: Seed) -> None:
    """Whoever waits hears the bell: it takes far less than the interval at which it would look anyway."""
    first = await connect(context, ask())
    await end(seed, context, "terminating")
    waiting = asyncio.create_task(connect(context, ask(wait=30)))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await end(seed, context)
    response = await asyncio.wait_for(waiting, 0.5)
    assert response.spawned
    assert response.backend_id != first.backend_id


async def test_waiting_for_a_key_has_an_end(context: ControllerContext, seed: Seed) -> None:
    await connect(context, ask())
    await end(seed, context, "terminating")
    with pytest.raises(KeyHeldUnhealthy):
        await asyncio.wait_for(connect(context, ask(wait=1)), 3)


async def test_a_key_in_use_is_not_waited_for(context: ControllerContext) -> None:
    first = await connect(context, ask())
    assert (await connect(context, ask(wait=30))).backend_id == first.backend_id


# Indices.


async def test_connect_finds_everything_by_index(context: ControllerContext, seed: Seed) -> None:
    """With many rows no table of sessions is read from one end to the other."""
    node = await seed.node("dr-one")
    numbers = "from generate_series(1, 3000) n"
    await seed.sql(
        "insert into backends_backend (id, cluster, drone_id, key_namespace, key_name, key_tag, status, state)"
        f" select 'b' || n, 'c', {node}, '', 'k' || n, '', 'ready', '{{}}' {numbers}"
    )
    await seed.sql(
        "insert into backends_backendkey (namespace, name, tag, backend_id, fencing_token, expires_at, renewable)"
        f" select '', 'k' || n, '', 'b' || n, 1, now(), true {numbers}"
    )
    await seed.sql(
        "insert into backends_token (hash, backend_id, kind, secret)"
        f" select n::text::bytea, 'b' || n, 'bearer', '' {numbers}"
    )
    await seed.sql(
        "insert into backends_backendaction (id, backend_id, drone_id, kind, action)"
        f" select 'ak-' || n, 'b' || n, {node}, 'spawn', '{{}}' {numbers}"
    )
    await seed.sql(
        "insert into backends_backendstatechange (backend_id, status, state)"
        f" select 'b' || n, 'ready', '{{}}' {numbers}"
    )
    await seed.sql("analyze")
    plan = await explain(context, ask("k17"))
    assert "Seq Scan on backends_" not in plan, plan
    # A backend may have many tokens: the one static token is not looked for among all of them.
    assert "using backend_has_one_static_token" in plan, plan


async def explain(context: ControllerContext, request: Any) -> str:
    """Return the plan of a connect, as a prepared statement gets it."""
    from backends.connecting import settle_request
    from backends.services import connect as module

    wish = settle_request(request, None)
    parameters = module._parameters(context, wish, draws=module._draw(wish, context.dice))
    rows = await context.pool.fetch(Statement("explain", "explain " + module.CONNECT.sql), **parameters)
    return "\n".join(str(row["QUERY PLAN"]) for row in rows)
