"""Reports, acknowledgements and renewals on a real database: what counts, from whom, in which order, and when not."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import pytest

from backends.services import actions
from backends.services.desk import Desk, desk_of
from backends.services.renewals import Renewal
from backends.services.reports import Fate, Report
from backends.states import Accepted, Effect, judge_report
from drones.context import ControllerContext
from protocol.backend_state import (
    BackendState,
    BackendStatus,
    HardTerminating,
    Loading,
    Ready,
    Scheduled,
    Starting,
    Terminated,
    Terminating,
    TerminationKind,
    TerminationReason,
    Waiting,
)
from protocol.codec import encode
from protocol.drone_messages import BackendEvent, RenewKey
from tests.engines.databases import copy_of_template
from tests.integration.control_plane import SHORT, Peer, Seed, beating_drone_at, controller, drone_at, report

pytestmark = [pytest.mark.postgres]

STATES: dict[BackendStatus, BackendState] = {
    BackendStatus.SCHEDULED: Scheduled(),
    BackendStatus.LOADING: Loading(),
    BackendStatus.STARTING: Starting(),
    BackendStatus.WAITING: Waiting("10.0.0.1:1"),
    BackendStatus.READY: Ready("10.0.0.1:1"),
    BackendStatus.TERMINATING: Terminating(BackendStatus.READY, TerminationKind.SOFT, TerminationReason.SWEPT),
    BackendStatus.HARD_TERMINATING: HardTerminating(BackendStatus.READY, TerminationReason.SWEPT),
    BackendStatus.TERMINATED: Terminated(BackendStatus.READY),
}


@pytest.fixture
async def context(fresh_database: str) -> AsyncIterator[ControllerContext]:
    async with controller(fresh_database) as context:
        yield context


@pytest.fixture
def desk(context: ControllerContext) -> Desk:
    return desk_of(context)


@pytest.fixture
async def seed(context: ControllerContext, fresh_database: str) -> Seed:
    """Rows, with two drones that have connected and left."""
    for name in ("dr-one", "dr-two"):
        drone = await drone_at(context, name)
        await drone.close()
    return Seed(fresh_database)


def as_json(state: BackendState) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(encode(state))
    return parsed


@pytest.mark.both_postgres
async def test_the_statement_and_the_table_of_statuses_agree(desk: Desk, seed: Seed, postgres_flavour: str) -> None:
    """All pairs: what moves a backend, what that releases and withdraws, and that history is written once."""
    node = await seed.node("dr-one")
    for current, reported in product(BackendStatus, BackendStatus):
        backend = await seed.backend(state=as_json(STATES[current]))
        await seed.spawn_order(backend)
        await seed.sql(
            "insert into backends_backendaction (id, backend_id, drone_id, kind, action)"
            " values (%s, %s, %s, 'hard-terminate', '{}')",
            f"ak-{backend}", backend, node,
        )  # fmt: skip
        event = BackendEvent(1, backend, STATES[reported], 5)
        verdict = judge_report(current, event.state)
        moved = isinstance(verdict, Accepted)
        effects = verdict.effects if isinstance(verdict, Accepted) else frozenset()
        assert await desk.reports.submit(Report(node, event)) is (Fate.STORED if moved else Fate.STALE)
        assert await seed.status(backend) is (reported if moved else current)
        history = await seed.sql("select status, drone_time from backends_backendstatechange")
        assert history == ([{"status": str(reported), "drone_time": 5}] if moved else [])
        key = await seed.one("select backend_id from backends_backendkey where name = %s", f"key-{backend}")
        assert (key["backend_id"] is None) == (Effect.RELEASE_KEY in effects)
        pending = await seed.sql(
            "select kind from backends_backendaction where acknowledged_at is null and withdrawn_at is null"
        )
        expected = [] if Effect.WITHDRAW_ORDERS in effects else ["hard-terminate"]
        assert [row["kind"] for row in pending] == expected, "any report acknowledges the spawn"
        for table in ("backendstatechange", "backendaction", "backendkey", "backend"):
            await seed.sql(f"delete from backends_{table}")


async def test_a_report_that_arrived_late_never_moves_the_status_back(desk: Desk, seed: Seed) -> None:
    """Twice, out of order, all at once: the database refuses what does not move forward."""
    node = await seed.node("dr-one")
    backend = await seed.backend()
    story = [BackendStatus.READY, BackendStatus.LOADING, BackendStatus.READY, BackendStatus.STARTING]
    fates = await asyncio.gather(
        *(desk.reports.submit(Report(node, BackendEvent(n, backend, STATES[s], 1))) for n, s in enumerate(story))
    )
    assert fates == [Fate.STORED, Fate.STALE, Fate.STALE, Fate.STALE]
    assert await seed.status(backend) is BackendStatus.READY


async def test_reports_are_stored_in_order_within_one_backend_and_together_across(
    context: ControllerContext, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Handlers made parallel "for speed" reordered messages, in systems like this one."""
    batches: list[int] = []
    fetch = context.pool.fetch

    async def counting(statement: Any, /, **parameters: Any) -> Any:
        if statement.name == "store_reports":
            batches.append(len(parameters["backends"]))
        return await fetch(statement, **parameters)

    monkeypatch.setattr(context.pool, "fetch", counting)
    desk, node = desk_of(context), await seed.node("dr-one")
    backends = [await seed.backend() for _ in range(20)]
    story = [BackendStatus.LOADING, BackendStatus.STARTING, BackendStatus.WAITING, BackendStatus.READY]
    fates = await asyncio.gather(
        *(
            desk.reports.submit(Report(node, BackendEvent(number, backend, STATES[status], 1)))
            for number, status in enumerate(story)
            for backend in backends
        )
    )
    assert set(fates) == {Fate.STORED}
    assert batches == [20, 20, 20, 20], "what a controller does per second must not grow with the backends"


async def test_reports_of_a_foreign_drone_are_ignored_and_acknowledged(context: ControllerContext, seed: Seed) -> None:
    """Nothing changes; and it need not be said again for ever. The same for a backend that nobody knows."""
    backend = await seed.backend("dr-two")
    await seed.spawn_order(backend, "dr-two")
    drone = await drone_at(context, "dr-one")
    await drone.say(report(backend, 1, "terminated"))
    assert await drone.hear() == {"AckEvent": {"event_id": 1}}
    await drone.say(report("nobody", 2, "ready"))
    assert await drone.hear() == {"AckEvent": {"event_id": 2}}
    assert await seed.status(backend) is BackendStatus.SCHEDULED
    await seed.one("select 1 from backends_backendkey where backend_id = %s", backend)
    await seed.one("select 1 from backends_backendaction where acknowledged_at is null and withdrawn_at is null")
    await drone.close()


async def test_two_controllers_store_reports_about_the_same_backends_without_deadlock(
    fresh_database: str, seed: Seed, context: ControllerContext
) -> None:
    """Locked in one order, whoever begins."""
    node = await seed.node("dr-one")
    backends = [await seed.backend() for _ in range(40)]
    async with controller(fresh_database, name="co-two") as other:
        desks = desk_of(context), desk_of(other)
        for status in (BackendStatus.LOADING, BackendStatus.READY, BackendStatus.TERMINATED):
            fates = await asyncio.gather(
                *(
                    each.reports.submit(Report(node, BackendEvent(1, backend, STATES[status], 1)))
                    for each, order in zip(desks, (backends, backends[::-1]), strict=True)
                    for backend in order
                )
            )
            assert sorted(fate.value for fate in fates) == ["stale"] * 40 + ["stored"] * 40


# Orders.


async def test_an_order_is_sent_again_after_a_reconnect_until_it_is_acknowledged(
    context: ControllerContext, seed: Seed
) -> None:
    """With the same id, so that it is carried out once. An acknowledgement of somebody else does not count."""
    order = await seed.spawn_order(await seed.backend())
    for _ in range(2):
        drone = await beating_drone_at(context)
        assert (await drone.hear())["Action"]["action_id"] == order
        assert await drone.hears_nothing()
        await drone.close()
    other = await drone_at(context, "dr-two")
    await other.say({"AckAction": {"action_id": order}})
    assert await other.hears_nothing()
    await other.close()
    drone = await beating_drone_at(context)
    assert (await drone.hear())["Action"]["action_id"] == order
    await drone.say({"AckAction": {"action_id": order}})
    await seed.until("select 1 from backends_backendaction where acknowledged_at is not null")
    await drone.close()
    drone = await beating_drone_at(context)
    assert await drone.hears_nothing()
    await drone.close()


async def test_orders_go_out_in_bounded_batches_and_the_next_when_acknowledged(
    context: ControllerContext, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Re-sending all unacknowledged orders at once crashed controllers of systems like this one."""
    monkeypatch.setattr(actions, "WINDOW", 3)
    orders = {await seed.spawn_order(await seed.backend()) for _ in range(8)}
    drone = await beating_drone_at(context)
    heard: list[str] = []
    for size in (3, 3, 2):
        batch = [(await drone.hear())["Action"]["action_id"] for _ in range(size)]
        assert await drone.hears_nothing()
        heard += batch
        for order in batch:
            await drone.say({"AckAction": {"action_id": order}})
    assert set(heard) == orders
    assert len(heard) == len(orders)
    await drone.close()


async def test_an_order_that_is_not_acknowledged_for_long_is_sent_again(fresh_database: str, seed: Seed) -> None:
    """On the same connection, after those that were never sent."""
    async with controller(fresh_database, name="co-two", terms=SHORT) as context:
        first = await seed.spawn_order(await seed.backend())
        drone = await beating_drone_at(context)
        assert (await drone.hear())["Action"]["action_id"] == first
        assert await drone.hears_nothing(within=0.5)
        await drone.say({"Heartbeat": {"local_time": 1}})
        assert (await drone.hear())["Action"]["action_id"] == first
        await drone.close()


async def test_an_order_whose_backend_lost_its_key_is_never_sent(context: ControllerContext, seed: Seed) -> None:
    """Its successor may run already. The order to end it is sent."""
    backend = await seed.backend()
    await seed.spawn_order(backend)
    await seed.sql("update backends_backendkey set backend_id = null")
    drone = await beating_drone_at(context)
    assert await drone.hears_nothing()
    await drone.close()


async def test_an_order_finds_the_drone_wherever_its_socket_is(fresh_database: str, seed: Seed) -> None:
    """Stored at one controller, sent by another, at the ring of the bell."""
    async with controller(fresh_database) as one, controller(fresh_database, name="co-two") as two:
        drone = await beating_drone_at(two)
        assert await drone.hears_nothing()
        order = await seed.spawn_order(await seed.backend())
        one.bell.ring("drone", str(await seed.node("dr-one")))
        assert (await drone.hear(within=1))["Action"]["action_id"] == order
        await drone.close()


# Leases.


async def renew(drone: Peer, backend: str, local_time: int = 1000) -> dict[str, Any] | None:
    await drone.say({"RenewKey": {"backend": backend, "local_time": local_time}})
    answer = (await drone.hear())["RenewKeyResponse"]
    assert answer["backend"] == backend
    deadlines: dict[str, Any] | None = answer["deadlines"]
    return deadlines


async def test_a_renewal_counts_from_the_clock_that_the_drone_sent(context: ControllerContext, seed: Seed) -> None:
    """Expiry by the database's clock, deadlines by the drone's, the fencing token as it was."""
    drone = await drone_at(context)
    backend = await seed.backend()
    await seed.sql("update backends_backendkey set expires_at = now() + interval '1 s', fencing_token = 77")
    deadlines = {"renew_at": 31_000, "soft_terminate_at": 41_000, "hard_terminate_at": 51_000}
    assert await renew(drone, backend) == deadlines
    row = await seed.one("select fencing_token, expires_at - now() as left from backends_backendkey")
    assert row["fencing_token"] == 77
    assert dt.timedelta(seconds=55) < row["left"] <= dt.timedelta(seconds=60)
    await drone.close()


@pytest.mark.parametrize(
    "trouble", ["expired", "taken over", "released", "not renewable", "terminated", "foreign", "unknown"]
)
async def test_a_renewal_is_refused(context: ControllerContext, seed: Seed, trouble: str) -> None:
    """With null deadlines, and the lease as it was."""
    drone = await drone_at(context)
    terminated = {"status": "terminated", "last_status": "ready"}
    backend = await seed.backend(
        "dr-two" if trouble == "foreign" else "dr-one", state=terminated if trouble == "terminated" else None
    )
    successor = await seed.backend("dr-two")
    await seed.sql("delete from backends_backendkey where backend_id = %s", successor)
    change = {
        "expired": "expires_at = now() - interval '1 ms'",
        "taken over": f"backend_id = '{successor}'",
        "released": "backend_id = null",
        "not renewable": "renewable = false",
    }.get(trouble, "tag = ''")
    await seed.sql(f"update backends_backendkey set {change}")
    before = await seed.one("select * from backends_backendkey")
    assert await renew(drone, "nobody" if trouble == "unknown" else backend) is None
    assert await seed.one("select * from backends_backendkey") == before
    await drone.close()


async def test_a_foreign_drones_wish_does_not_ride_on_the_owners(desk: Desk, seed: Seed) -> None:
    """Both in one batch: only the owner gets deadlines."""
    backend = await seed.backend("dr-one")
    owner, stranger = await seed.node("dr-one"), await seed.node("dr-two")
    answers = await asyncio.gather(
        *(desk.renewals.submit(Renewal(node, RenewKey(backend, 5))) for node in (stranger, owner))
    )
    assert answers[0] is None
    assert answers[1] is not None


async def test_many_renewals_are_one_statement(
    context: ControllerContext, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one controller does to the database per second does not grow with the number of backends."""
    calls: list[int] = []
    fetch = context.pool.fetch

    async def counting(statement: Any, /, **parameters: Any) -> Any:
        calls.append(len(parameters["backends"]))
        return await fetch(statement, **parameters)

    node = await seed.node("dr-one")
    backends = [await seed.backend() for _ in range(30)]
    monkeypatch.setattr(context.pool, "fetch", counting)
    desk = desk_of(context)
    answers = await asyncio.gather(*(desk.renewals.submit(Renewal(node, RenewKey(b, 5))) for b in backends))
    assert all(answers)
    assert calls == [30]


async def test_the_database_goes_away_under_reports_and_renewals(own_postgres_server: Any) -> None:
    """Nothing is acknowledged that was not stored, and nothing is lost: it is stored when the database is back."""
    with copy_of_template(own_postgres_server) as dsn:
        seed = Seed(dsn)
        async with controller(dsn) as context:
            drone = await drone_at(context)
            backend = await seed.backend()
            own_postgres_server.kill()
            await drone.say(report(backend, 1, "ready"))
            await drone.say({"RenewKey": {"backend": backend, "local_time": 5}})
            assert await drone.hears_nothing(within=0.5)
            own_postgres_server.restart()
            heard = [await drone.hear(within=10), await drone.hear(within=10)]
            assert {"AckEvent": {"event_id": 1}} in heard
            assert any(each.get("RenewKeyResponse", {}).get("deadlines") for each in heard)
            assert await seed.status(backend) is BackendStatus.READY
            await drone.close()


async def test_a_report_is_never_acknowledged_when_the_database_failed(own_postgres_server: Any) -> None:
    """When patience is over the socket closes, and the drone says it again on the next one."""
    with copy_of_template(own_postgres_server) as dsn:
        seed = Seed(dsn)
        async with controller(dsn) as context:
            desk_of(context).reports._gatherer._patience = 0.0
            drone = await drone_at(context)
            backend = await seed.backend()
            own_postgres_server.kill()
            await drone.say(report(backend, 1, "ready"))
            assert await drone.closed(within=10) == 1013
            own_postgres_server.restart()
            drone = await drone_at(context)
            await drone.say(report(backend, 1, "ready"))
            assert await drone.hear(within=10) == {"AckEvent": {"event_id": 1}}
            await drone.close()
