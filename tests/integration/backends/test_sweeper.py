"""The sweeper and the clean-up on a real database: who is ended, by whom, and who is left alone."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from backends.services import sweeper as sweeper_module
from backends.services.sweeper import Sweeper
from drones.context import ControllerContext
from protocol.backend_state import BackendState, BackendStatus, Terminated, TerminationReason
from protocol.codec import decode
from tests.engines.databases import copy_of_template
from tests.integration.control_plane import SHORT, Seed, controller, drone_at
from tests.integration.controller_process import serve_controller
from tests.integration.waiting import until

pytestmark = pytest.mark.postgres


@pytest.fixture
async def context(fresh_database: str) -> AsyncIterator[ControllerContext]:
    """A controller of a database that has been watched for long."""
    async with controller(fresh_database) as context:
        await Seed(fresh_database).sql("update drones_installation set takeover_after = now() - interval '1 s'")
        yield context


@pytest.fixture
async def seed(context: ControllerContext, fresh_database: str) -> Seed:
    """Rows, with a drone that has connected and left."""
    drone = await drone_at(context)
    await drone.close()
    return Seed(fresh_database)


@contextlib.asynccontextmanager
async def sweeping(*contexts: ControllerContext) -> AsyncIterator[list[Sweeper]]:
    """Run a sweeper in each controller, often."""
    sweepers = [Sweeper(context, every=0.05) for context in contexts]
    tasks = [asyncio.create_task(sweeper.run()) for sweeper in sweepers]
    try:
        await until(lambda: any(sweeper.sweeping for sweeper in sweepers))
        yield sweepers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def ordered_to_end(seed: Seed) -> list[str]:
    rows = await seed.sql("select backend_id, action from backends_backendaction where kind = 'soft-terminate'")
    assert all(row["action"] == {"Terminate": {"kind": "soft", "reason": "swept"}} for row in rows)
    return [row["backend_id"] for row in rows]


def ago(**how_long: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) - dt.timedelta(**how_long)


async def rounds(sweepers: list[Sweeper], count: int = 4) -> None:
    """Let some rounds pass."""
    await asyncio.sleep(0.05 * count + 0.1)
    assert any(sweeper.sweeping for sweeper in sweepers)


LONG_AGO: dict[str, Any] = {"created_at": ago(hours=2)}


async def test_idle_and_overdue_backends_are_ended_once(context: ControllerContext, seed: Seed) -> None:
    """Also one still scheduled; others are left alone."""
    context = await patient(context)
    idle = await seed.backend(max_idle_seconds=60, last_keepalive_at=ago(seconds=61), **LONG_AGO)
    overdue = await seed.backend(expires_at=ago(seconds=1), state={"status": "ready", "address": "1.2.3.4:5"})
    await seed.backend(max_idle_seconds=60, last_keepalive_at=ago(seconds=50), **LONG_AGO)
    await seed.backend(expires_at=ago(seconds=-60))
    await seed.backend(last_keepalive_at=ago(days=9), **LONG_AGO)
    ending = {"status": "terminating", "last_status": "ready", "termination": "soft", "reason": "external"}
    await seed.backend(expires_at=ago(seconds=1), state=ending)
    async with sweeping(context) as sweepers:
        await until_swept(seed, {overdue})
        await until_swept(seed, {idle, overdue}, within=5)
        await rounds(sweepers)
    assert sorted(await ordered_to_end(seed)) == sorted([idle, overdue])


async def test_those_already_asked_to_end_do_not_stand_in_the_way_of_others(
    context: ControllerContext, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page full of backends whose drones are away must not be swept for ever."""
    monkeypatch.setattr(sweeper_module, "PAGE", 1)
    monkeypatch.setattr(sweeper_module, "PAGES", 1)
    overdue = {await seed.backend(expires_at=ago(seconds=1)) for _ in range(4)}
    async with sweeping(context):
        await until_swept(seed, overdue)


async def until_swept(seed: Seed, wanted: set[str], *, within: float = 3.0) -> None:
    for backend in wanted:
        await seed.until(
            "select 1 from backends_backendaction where backend_id = %s and kind = 'soft-terminate'",
            backend,
            within=within,
        )


async def patient(context: ControllerContext, *, heartbeat: float = 0.1) -> ControllerContext:
    """Return the controller with a short heartbeat, so that the grace is short."""
    terms = dataclasses.replace(context.terms, heartbeat=dt.timedelta(seconds=heartbeat))
    changed = {field.name: getattr(context, field.name) for field in dataclasses.fields(context) if field.init}
    return ControllerContext(**{**changed, "terms": terms})


async def test_a_backend_in_use_is_not_swept_because_nobody_could_take_its_keepalives(
    context: ControllerContext, seed: Seed
) -> None:
    """After an outage of the database or of all controllers, proxies get time to say what is in use."""
    before = await seed.backend(max_idle_seconds=1, last_keepalive_at=ago(seconds=61), **LONG_AGO)
    async with sweeping(context) as sweepers:
        since = await seed.backend(max_idle_seconds=0)
        await until_swept(seed, {since})
        await rounds(sweepers)
        assert before not in await ordered_to_end(seed)


async def test_one_keepalive_lasts_until_the_next_is_due(context: ControllerContext, seed: Seed) -> None:
    """A limit below the proxies' interval would end backends in use between two keepalives."""
    context = await patient(context, heartbeat=0.5)
    async with sweeping(context) as sweepers:
        used = await seed.backend(max_idle_seconds=0, last_keepalive_at=ago(seconds=-0.1))
        unused = await seed.backend(max_idle_seconds=0)
        await until_swept(seed, {unused})
        await rounds(sweepers)
        assert used not in await ordered_to_end(seed)
        await until_swept(seed, {used})


@pytest.mark.both_postgres
async def test_two_sweepers_of_which_one_works(
    fresh_database: str, seed: Seed, context: ControllerContext, postgres_flavour: str
) -> None:
    """The lock moves when the session of its holder is killed, and never has two holders."""
    async with controller(fresh_database, name="co-two") as other, sweeping(context, other) as sweepers:
        for _ in range(3):
            await until(lambda: sum(sweeper.sweeping for sweeper in sweepers) == 1)
            row = await seed.one(
                "select pg_terminate_backend(pid) as killed from pg_locks where locktype = 'advisory' and granted"
                " and database = (select oid from pg_database where datname = current_database())"
            )
            assert row["killed"]
            overdue = await seed.backend(expires_at=ago(seconds=1))
            await until_swept(seed, {overdue})


async def test_the_sweeper_moves_when_its_controller_is_killed(fresh_database: str, tmp_path: Path) -> None:
    """With SIGKILL: the server notices, and the other controller goes on."""
    seed = Seed(fresh_database)
    async with controller(fresh_database) as context:
        drone = await drone_at(context)
        await drone.close()
    holder = (
        "select a.application_name as name from pg_locks l join pg_stat_activity a using (pid)"
        " where l.locktype = 'advisory' and l.granted and a.datname = current_database()"
    )
    with (
        serve_controller(fresh_database, tmp_path / "one.log") as one,
        serve_controller(fresh_database, tmp_path / "two.log"),
    ):
        first = (await seed.one(holder))["name"]
        one.process.kill()
        await seed.until(f"select 1 from ({holder}) h where name <> %s", first, within=20)
        await until_swept(seed, {await seed.backend(expires_at=ago(seconds=1))}, within=20)


async def test_the_sweepers_database_is_restarted(own_postgres_server: Any) -> None:
    """It sweeps again when the database is back."""
    with copy_of_template(own_postgres_server) as dsn:
        seed = Seed(dsn)
        async with controller(dsn) as context:
            drone = await drone_at(context)
            await drone.close()
            async with sweeping(context) as sweepers:
                own_postgres_server.kill()
                await until(lambda: not sweepers[0].sweeping)
                own_postgres_server.restart()
                await until(lambda: sweepers[0].sweeping)
                await until_swept(seed, {await seed.backend(expires_at=ago(seconds=1))})


async def test_a_lost_drone_gives_up_its_backends_when_their_leases_have_run_out(
    context: ControllerContext, seed: Seed
) -> None:
    """State, history, key and orders in one commit; a lease that still runs protects its backend."""
    context = await patient(context)
    ready = {"status": "ready", "address": "10.0.0.7:49153"}
    lost, held = await seed.backend(state=ready), await seed.backend(state=ready)
    await seed.spawn_order(lost)
    await seed.sql("update drones_drone set last_heard_at = now() - interval '121 s'")
    await seed.sql("update backends_backendkey set expires_at = now() - interval '1 ms' where backend_id = %s", lost)
    rings: list[str] = []
    context.doorbell.subscribe("backend", None, tell=lambda ring: rings.append(ring.ident))
    async with sweeping(context) as sweepers:
        await seed.until("select 1 from backends_backend where id = %s and status = 'terminated'", lost)
        await rounds(sweepers)
    row = await seed.one("select state::text from backends_backend where id = %s", lost)
    state: Any = decode(row["state"], cast("Any", BackendState))
    assert state == Terminated(BackendStatus.READY, reason=TerminationReason.LOST)
    await seed.one("select 1 from backends_backendstatechange where backend_id = %s and status = 'terminated'", lost)
    await seed.one("select 1 from backends_backendkey where name = %s and backend_id is null", f"key-{lost}")
    await seed.one("select 1 from backends_backendaction where backend_id = %s and withdrawn_at is not null", lost)
    assert await seed.status(held) is BackendStatus.READY
    await until(lambda: lost in rings)


async def test_a_drone_that_was_heard_keeps_its_backends(context: ControllerContext, seed: Seed) -> None:
    """Its lease may have run out a moment ago; it says itself what became of it. After a long time nobody will."""
    context = await patient(context)
    kept, leaked = await seed.backend(), await seed.backend()
    await seed.sql("update backends_backendkey set expires_at = now() - interval '60 s'")
    await seed.sql("update backends_backendkey set expires_at = now() - interval '121 s' where backend_id = %s", leaked)
    async with sweeping(context) as sweepers:
        await seed.until("select 1 from backends_backend where id = %s and status = 'terminated'", leaked)
        await rounds(sweepers)
    assert await seed.status(kept) is BackendStatus.SCHEDULED


async def test_nothing_is_given_up_on_a_database_that_was_not_watched_for_a_lease(
    context: ControllerContext, seed: Seed
) -> None:
    """After a start, a promotion or a jump of its clock, leases look older than they are."""
    context = await patient(context)
    backend = await seed.backend()
    await seed.sql("update drones_drone set last_heard_at = now() - interval '1 day'")
    await seed.sql("update backends_backendkey set expires_at = now() - interval '1 day'")
    await seed.sql("update drones_installation set takeover_after = now() + interval '1 h'")
    async with sweeping(context) as sweepers:
        await asyncio.sleep(0.5)
        await rounds(sweepers)
        assert await seed.status(backend) is BackendStatus.SCHEDULED
        await seed.sql("update drones_installation set takeover_after = now()")
        await seed.until("select 1 from backends_backend where status = 'terminated'")


async def test_clean_up_deletes_what_is_old_and_nothing_else(fresh_database: str) -> None:
    """Tokens and released keys always, ended backends when an age is configured; never a key that is held."""
    async with controller(fresh_database, terms=SHORT, cleanup_min_age=dt.timedelta(days=3)) as context:
        drone = await drone_at(context)
        await drone.close()
        seed = Seed(fresh_database)
        ended = {"status": "terminated", "last_status": "ready"}
        old = await seed.backend(state=ended, status_at=ago(days=4))
        recent = await seed.backend(state=ended, status_at=ago(days=2))
        living = await seed.backend(status_at=ago(days=30), created_at=ago(days=30))
        for backend in (old, recent):
            await seed.sql("update backends_backendkey set backend_id = null where backend_id = %s", backend)
            await seed.token(backend)
            await seed.spawn_order(backend)
        expired = await seed.token(living, expires_at=ago(minutes=5))
        static = await seed.token(living, kind="static")
        assert expired != static
        await seed.sql(
            "update backends_backendkey set expires_at = now() - interval '2 days' where backend_id is null"
            " and name = %s",
            f"key-{old}",
        )
        await seed.sql(
            "insert into backends_backendkey (namespace, name, tag, fencing_token, expires_at, renewable) values"
            " ('', 'from-the-future', '', 99999999999999, now() - interval '2 days', true)"
        )
        await seed.sql(
            "insert into drones_controller (name, version, git_hash, url, last_heartbeat_at)"
            " values ('co-dead', '', '', '', now() - interval '2 days')"
        )
        await seed.sql("update drones_node set controller_id = 'co-dead', connection = gen_random_uuid()")
        async with sweeping(context):
            await seed.until("select 1 where not exists (select from backends_backend where id = %s)", old)
            await seed.until("select 1 where not exists (select from drones_controller where name = 'co-dead')")
        tokens = await seed.sql("select backend_id, kind from backends_token order by kind")
        assert [(row["backend_id"], row["kind"]) for row in tokens] == [(recent, "bearer"), (living, "static")]
        keys = await seed.sql("select name from backends_backendkey order by name")
        assert {row["name"] for row in keys} == {f"key-{recent}", f"key-{living}", "from-the-future"}
        assert {row["id"] for row in await seed.sql("select id from backends_backend")} == {recent, living}
        await seed.one("select 1 from drones_node where controller_id is null")
