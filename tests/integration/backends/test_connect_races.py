"""
Many connects for one key at the same moment, and keys whose lease has run out: exactly one wins, nothing is left over.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator

import psycopg
import pytest

from backends.connecting import FailedToAcquireKey, FailedToRemoveKey, KeyHeld, KeyHeldUnhealthy
from backends.services.connect import connect
from drones.context import ControllerContext
from drones.services.controllers import send_heartbeat
from protocol.connect import ConnectResponse
from tests.integration.control_plane import Seed, controller
from tests.integration.fleet import add_drone, ask, assert_no_orphans, count, expire, trust_server

pytestmark = [pytest.mark.postgres, pytest.mark.both_postgres]


@pytest.fixture
async def controllers(fresh_database: str) -> AsyncIterator[list[ControllerContext]]:
    """Two controllers on one database, and one drone."""
    async with contextlib.AsyncExitStack() as stack:
        running = [
            await stack.enter_async_context(controller(fresh_database, name=name)) for name in ("co-one", "co-two")
        ]
        await add_drone(Seed(fresh_database))
        yield running


@pytest.fixture
def seed(fresh_database: str) -> Seed:
    return Seed(fresh_database)


async def stampede(controllers: list[ControllerContext], number: int) -> list[ConnectResponse]:
    """Connect for one key as often as asked, spread over the controllers, all at once."""
    asking = [connect(controllers[n % len(controllers)], ask()) for n in range(number)]
    return list(await asyncio.gather(*asking))


async def test_fifty_connects_for_one_free_key(controllers: list[ControllerContext], seed: Seed) -> None:
    """One spawns, all get tokens of their own to the same backend, nobody is refused."""
    responses = await stampede(controllers, 50)
    assert [response.spawned for response in responses].count(True) == 1
    assert len({response.backend_id for response in responses}) == 1
    assert len({response.token for response in responses}) == 50
    assert await count(seed, "backends_token") == 50
    assert await count(seed, "backends_backend") == 1
    await assert_no_orphans(seed)


async def test_fifty_connects_for_one_expired_key(controllers: list[ControllerContext], seed: Seed) -> None:
    """One takes it over, the others join the new holder, the old one is ended once."""
    former = await connect(controllers[0], ask())
    await expire(seed)
    responses = await stampede(controllers, 50)
    assert [response.spawned for response in responses].count(True) == 1
    assert len({response.backend_id for response in responses} | {former.backend_id}) == 2
    assert await count(seed, "backends_backend", "status_rank < 70") == 1
    assert await count(seed, "backends_backendstatechange", "status = 'terminated'") == 1
    await assert_no_orphans(seed)


async def test_many_keys_many_times(controllers: list[ControllerContext], seed: Seed) -> None:
    """Races on several keys at once, which come free and are taken again meanwhile."""

    async def free_them() -> None:
        for _ in range(20):
            await seed.sql(
                "with gone as (update backends_backend set status = 'terminated' where status_rank < 70 returning id)"
                " update backends_backendkey set backend_id = null where backend_id in (select id from gone)"
            )
            await asyncio.sleep(0.01)

    async def ask_often(context: ControllerContext, key: str) -> None:
        for _ in range(15):
            with contextlib.suppress(FailedToAcquireKey, FailedToRemoveKey):
                await connect(context, ask(key))

    asking = [ask_often(context, f"room-{n}") for context in controllers for n in range(4) for _ in range(3)]
    await asyncio.gather(free_them(), *asking)
    await assert_no_orphans(seed)


async def test_a_renewal_at_the_last_moment_wins(controllers: list[ControllerContext], seed: Seed) -> None:
    """A connect that saw an expired key waits for a renewal that is just being stored, and takes nothing."""
    former = await connect(controllers[0], ask())
    await expire(seed)
    async with await psycopg.AsyncConnection.connect(seed.dsn) as renewal:
        await renewal.execute("update backends_backendkey set expires_at = now() + interval '60 s'")
        asking = asyncio.create_task(connect(controllers[0], ask()))
        await asyncio.sleep(0.2)
        assert not asking.done()
        await renewal.commit()
    response = await asking
    assert (response.backend_id, response.spawned) == (former.backend_id, False)
    assert await count(seed, "backends_backend") == 1


async def test_a_holder_that_was_not_read_is_not_replaced(controllers: list[ControllerContext], seed: Seed) -> None:
    """Between reading the key and taking it another took it, and its lease has run out: it must be ended as well."""
    await connect(controllers[0], ask())
    await seed.sql("update backends_backend set status = 'terminated'")
    await seed.sql("update backends_backendkey set backend_id = null")
    other = (await connect(controllers[0], ask("room-2"))).backend_id
    await seed.sql("update backends_backendkey set backend_id = null where name = 'room-2'")
    await trust_server(seed)
    async with await psycopg.AsyncConnection.connect(seed.dsn) as taking:
        await taking.execute(
            "update backends_backendkey set backend_id = %s, expires_at = now() - interval '1 s' where name = 'room-1'",
            [other],
        )
        asking = asyncio.create_task(connect(controllers[0], ask()))
        await asyncio.sleep(0.2)
        await taking.commit()
    assert (await asking).spawned
    status = await seed.one("select status from backends_backend where id = %s", other)
    assert status["status"] == "terminated"


async def test_a_takeover_ends_the_former_holder(controllers: list[ControllerContext], seed: Seed) -> None:
    """In the same commit: `terminated` and `lost`, with its history, and its orders withdrawn."""
    former = await connect(controllers[0], ask())
    await seed.sql(
        """update backends_backend set status = 'ready', state = '{"status": "ready", "address": "1.2.3.4:5"}'"""
    )
    await expire(seed)
    response = await connect(controllers[0], ask())
    assert response.spawned
    state = {"status": "terminated", "last_status": "ready", "termination": None, "reason": "lost", "exit_code": None}
    backend = await seed.one("select status, state from backends_backend where id = %s", former.backend_id)
    assert backend == {"status": "terminated", "state": state}
    [change] = await seed.sql(
        "select state from backends_backendstatechange where backend_id = %s and status = 'terminated'",
        former.backend_id,
    )
    assert change["state"] == state
    order = await seed.one("select * from backends_backendaction where backend_id = %s", former.backend_id)
    assert order["withdrawn_at"] is not None
    key = await seed.one("select * from backends_backendkey")
    assert (key["backend_id"], key["renewable"]) == (response.backend_id, True)


async def test_a_key_changes_hands_with_a_larger_token(controllers: list[ControllerContext], seed: Seed) -> None:
    """Even when the database's clock is behind the last token: the row of a released key remembers it."""
    await connect(controllers[0], ask())
    await seed.sql("update backends_backendkey set fencing_token = 9000000000000000, backend_id = null")
    await connect(controllers[0], ask())
    await expire(seed)
    assert (await connect(controllers[0], ask())).spawned
    key = await seed.one("select fencing_token from backends_backendkey")
    assert key["fencing_token"] == 9000000000000002
    order = await seed.one("select action from backends_backendaction order by created_at desc limit 1")
    assert order["action"]["Spawn"]["key"]["token"] == 9000000000000002


async def test_an_expired_key_keeps_its_tag_until_it_is_taken(controllers: list[ControllerContext], seed: Seed) -> None:
    """Another tag is no hindrance once the lease has run out."""
    await connect(controllers[0], ask(tag="blue"))
    with pytest.raises(KeyHeld):
        await connect(controllers[0], ask(tag="green"))
    await expire(seed)
    assert (await connect(controllers[0], ask(tag="green"))).spawned


@pytest.mark.parametrize(
    "distrust",
    [
        "update drones_installation set takeover_after = now() + interval '60 s'",
        "update drones_installation set takeover_after = null",
        "update drones_installation set server_started_at = server_started_at - interval '1 s'",
        "delete from drones_installation",
    ],
)
async def test_no_takeover_on_a_server_not_watched_for_a_lease(
    controllers: list[ControllerContext], seed: Seed, distrust: str
) -> None:
    """Started or promoted a moment ago: whether the lease has really run out is unknown, so the key counts as held."""
    former = await connect(controllers[0], ask())
    await expire(seed)
    await seed.sql(distrust)
    response = await connect(controllers[0], ask())
    assert (response.spawned, response.backend_id) == (False, former.backend_id)
    with pytest.raises(KeyHeld):
        await connect(controllers[0], ask(tag="green"))


async def test_the_heartbeat_of_a_controller_starts_the_watch(controllers: list[ControllerContext], seed: Seed) -> None:
    """A server that no controller has met yet: takeovers one full lease from now."""
    await seed.sql("update drones_installation set server_started_at = server_started_at - interval '1 s'")
    await trust_server(seed)
    await send_heartbeat(controllers[1])
    watched = await seed.one(
        "select takeover_after - now() as rest, server_started_at = pg_postmaster_start_time() as known"
        " from drones_installation"
    )
    assert watched["known"]
    assert dt.timedelta(seconds=55) < watched["rest"] <= controllers[1].terms.expiry
    await trust_server(seed)
    await send_heartbeat(controllers[0])
    rest = await seed.one("select takeover_after < now() as over from drones_installation")
    assert rest["over"], "the watch does not begin anew with each heartbeat"


async def test_no_takeover_while_the_databases_clock_is_ahead(fresh_database: str, seed: Seed) -> None:
    """A jump is noticed by the statement itself, before any heartbeat; then by the heartbeat, for all controllers."""
    steady = 100.0

    def read_steady_clock() -> float:
        return steady

    async with controller(fresh_database, steady_clock=read_steady_clock) as context:
        await add_drone(seed)
        await send_heartbeat(context)
        former = await connect(context, ask())
        await expire(seed)
        # The database's clock does not move here, but ours goes back, which is the same.
        steady -= 2.5
        assert (await connect(context, ask())).backend_id == former.backend_id
        assert await send_heartbeat(context)
        await send_heartbeat(context, jumped=True)
        rest = await seed.one("select takeover_after > now() as suspended from drones_installation")
        assert rest["suspended"]


async def test_a_silent_holder_is_waited_for(controllers: list[ControllerContext], seed: Seed) -> None:
    """Whoever waits for a key whose drone is silent gets it when the lease has run out."""
    former = await connect(controllers[0], ask())
    await add_drone(seed, "dr-two")
    await seed.sql(
        "update drones_drone set last_heard_at = now() - interval '50 s' where node_id = (select drone_id from"
        " backends_backend)"
    )
    with pytest.raises(KeyHeldUnhealthy):
        await connect(controllers[0], ask())
    waiting = asyncio.create_task(connect(controllers[0], ask(wait=20)))
    await asyncio.sleep(0.1)
    await expire(seed)
    response = await asyncio.wait_for(waiting, 5)
    assert response.spawned
    assert response.backend_id != former.backend_id
