"""The drone's socket, spoken to as a drone speaks, on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from drones.consumers import node, outbox
from drones.context import ControllerContext
from protocol.channel import Extension
from tests.integration.control_plane import (
    CLUSTER,
    SHORT,
    Peer,
    Seed,
    beating_drone_at,
    controller,
    drone_at,
    report,
)

pytestmark = pytest.mark.postgres


@pytest.fixture
async def context(fresh_database: str) -> AsyncIterator[ControllerContext]:
    async with controller(fresh_database) as context:
        yield context


@pytest.fixture
def seed(fresh_database: str) -> Seed:
    return Seed(fresh_database)


async def test_the_handshake_is_answered_and_the_drone_registered(context: ControllerContext, seed: Seed) -> None:
    """The client speaks first; the row says who holds the socket, in which pool, and that no clock is known."""
    drone = await drone_at(context, pool="big")
    assert drone.handshake["name"] == "co-one"
    assert drone.handshake["version"] == {"version": "0.1.0", "git_hash": "c0ffee"}
    row = await seed.one("select * from drones_node n join drones_drone d on d.node_id = n.id")
    assert (row["name"], row["cluster"], row["kind"], row["controller_id"]) == ("dr-one", CLUSTER, "drone", "co-one")
    assert (row["pool"], row["ready"], row["last_heartbeat_at"]) == ("big", True, None)
    await drone.close()
    row = await seed.one("select * from drones_node")
    assert (row["controller_id"], row["connection"]) == (None, None)
    assert row["disconnected_at"] is not None


async def test_a_heartbeat_stores_the_drones_clock_and_registering_clears_it(
    context: ControllerContext, seed: Seed
) -> None:
    """Nothing is scheduled on a drone before its first heartbeat on the present connection."""
    drone = await drone_at(context)
    await drone.say({"Heartbeat": {"local_time": 1234}})

    await seed.until("select 1 from drones_drone where last_local_time = 1234 and last_heartbeat_at is not null")
    again = await drone_at(context)
    await seed.one("select 1 from drones_drone where last_local_time is null and last_heartbeat_at is null")
    await again.close()


@pytest.mark.parametrize(
    "text", ["", "no json", '{"name": "dr-x"}', '{"version": {"version": "1", "git_hash": "x"}, "name": "px-wrong"}']
)
async def test_a_bad_handshake_or_a_wrong_prefix_closes_the_socket(context: ControllerContext, text: str) -> None:
    """The name tells what a node is; a proxy has no business here."""
    peer = Peer(context, f"/ctrl/c/{CLUSTER}/drone-socket")
    assert await peer.open()
    await peer.say_raw(text=text or " ")
    assert await peer.closed() == node.REFUSED


@pytest.mark.parametrize("path", [f"/ctrl/c/{CLUSTER}:x/drone-socket", f"/ctrl/c/{CLUSTER}/drone-socket?pool=%00"])
async def test_a_path_that_names_no_cluster_or_pool_is_refused_before_it_opens(
    context: ControllerContext, path: str
) -> None:
    """A close before the accept is what servers turn into 403."""
    assert not await Peer(context, path).open()


async def test_a_frame_that_does_not_parse_is_skipped_and_binary_is_tolerated(
    context: ControllerContext, seed: Seed
) -> None:
    """What comes after them counts."""
    drone = await drone_at(context)
    backend = await seed.backend()
    await drone.say_raw(text="{")
    await drone.say_raw(text='{"Nonsense": 1}')
    await drone.say_raw(data=b"\x00\x01")
    await drone.say(report(backend, 7, "loading"))
    assert await drone.hear() == {"AckEvent": {"event_id": 7}}
    await drone.close()


async def test_late_offline_never_undoes_newer_online(fresh_database: str, seed: Seed) -> None:
    """A late "offline" from the old controller wiped out the "online" at the new one, in systems like this one."""
    async with controller(fresh_database) as one, controller(fresh_database, name="co-two") as two:
        old = await drone_at(one)
        new = await drone_at(two)
        await old.close()
        row = await seed.one("select controller_id, connection, disconnected_at from drones_node")
        assert row["controller_id"] == "co-two"
        assert row["connection"] is not None
        await new.close()
        row = await seed.one("select controller_id from drones_node")
        assert row["controller_id"] is None


async def test_late_offline_of_an_older_connection_at_the_same_controller(
    context: ControllerContext, seed: Seed
) -> None:
    """The connection counts, not only the controller."""
    old, new = await drone_at(context), await drone_at(context)
    await old.closed()
    await seed.one("select 1 from drones_node where controller_id is not null and connection is not null")
    await new.close()
    await seed.one("select 1 from drones_node where controller_id is null and connection is null")


async def test_a_superseded_connection_is_closed_and_gets_no_orders(fresh_database: str, seed: Seed) -> None:
    """Orders go to the current connection only, and the other one ends when it hears the bell."""
    async with controller(fresh_database) as one, controller(fresh_database, name="co-two") as two:
        old = await drone_at(one)
        new = await beating_drone_at(two)
        assert await old.closed() == node.REFUSED
        await seed.spawn_order(await seed.backend())
        two.bell.ring("drone", str(await seed.node("dr-one")))
        assert "Action" in await new.hear()
        await new.close()


async def test_a_second_instance_under_the_same_name_is_refused_while_the_first_is_heard(
    fresh_database: str, seed: Seed
) -> None:
    """Two agents with two journals would both run what one is asked for."""
    async with controller(fresh_database, terms=SHORT) as context:
        first = await drone_at(context, instance="journal-a")
        second = Peer(context, f"/ctrl/c/{CLUSTER}/drone-socket")
        assert await second.open()
        with pytest.raises(AssertionError):
            await second.shake_hands("dr-one", instance="journal-b")
        row = await seed.one("select instance from drones_drone")
        assert row["instance"] == "journal-a"
        same = await drone_at(context, instance="journal-a")
        await first.closed()
        await same.close()
        await seed.sql("update drones_drone set last_heard_at = now() - interval '4 s'")
        third = await drone_at(context, instance="journal-b")
        await third.close()


@pytest.mark.both_postgres
async def test_two_instances_at_the_same_moment_cannot_both_pass(
    fresh_database: str, seed: Seed, postgres_flavour: str
) -> None:
    """The check and the registration are one statement, over locked rows."""
    async with controller(fresh_database) as one, controller(fresh_database, name="co-two") as two:
        drone = await drone_at(one, instance="journal-0")
        await drone.close()
        for _ in range(5):
            await seed.sql("update drones_drone set last_heard_at = now() - interval '1 h'")

            async def attempt(context: ControllerContext, instance: str) -> Peer | None:
                peer = Peer(context, f"/ctrl/c/{CLUSTER}/drone-socket")
                assert await peer.open()
                try:
                    await peer.shake_hands("dr-one", instance=instance)
                except AssertionError:
                    return None
                return peer

            peers = await asyncio.gather(attempt(one, "journal-a"), attempt(two, "journal-b"))
            [winner] = [peer for peer in peers if peer]
            await winner.close()


async def test_a_silent_drone_is_disconnected_within_the_unhealthy_time(fresh_database: str) -> None:
    """A dead peer is noticed without the help of TCP."""
    async with controller(fresh_database, terms=SHORT) as context:
        drone = await drone_at(context)
        assert await drone.closed(within=3.0) == node.REFUSED


async def test_a_published_drone_gets_no_extension_message(context: ControllerContext, seed: Seed) -> None:
    """Many orders at once come one by one to a peer that does not list `batch`."""
    drone = await beating_drone_at(context)
    for _ in range(5):
        await seed.spawn_order(await seed.backend())
    context.bell.ring("drone", str(await seed.node("dr-one")))
    heard = [await drone.hear() for _ in range(5)]
    assert all(list(message) == ["Action"] for message in heard)
    assert {"backend_secret"} & {key for message in heard for key in message["Action"]["action"]["Spawn"]} == set()
    await drone.say({"Batch": [report(heard[0]["Action"]["backend_id"], 1, "loading")]})
    assert await drone.hears_nothing()
    await drone.close()


async def test_batches_go_both_ways_with_a_peer_that_knows_them(context: ControllerContext, seed: Seed) -> None:
    """Unpacked in order; several answers come in one frame."""
    drone = await drone_at(context, "dr-one", Extension.BATCH)
    backend = await seed.backend()
    await drone.say({"Batch": [report(backend, 1, "loading"), report(backend, 2, "starting"), {"Batch": []}]})
    assert await drone.hear() == {"AckEvent": {"event_id": 1}}
    assert await drone.hear() == {"AckEvent": {"event_id": 2}}
    others = [await seed.backend() for _ in range(3)]
    await drone.say({"Batch": [report(each, 10 + number, "loading") for number, each in enumerate(others)]})
    frame = await drone.hear()
    assert [ack["AckEvent"]["event_id"] for ack in frame["Batch"]] == [10, 11, 12]
    await drone.close()


async def test_the_reader_never_waits_for_the_writer(
    context: ControllerContext, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that takes nothing is listened to all the same, and is disconnected when its queue is full."""
    monkeypatch.setattr(outbox, "MESSAGES", 5)
    drone = await drone_at(context)
    backends = [await seed.backend() for _ in range(8)]
    drone.taking.clear()
    for number, backend in enumerate(backends):
        await drone.say(report(backend, number, "loading"))
    assert await drone.closed() == node.TRY_LATER
    stored = await seed.sql("select id from backends_backend where status = 'loading'")
    assert len(stored) == 8


async def test_a_socket_that_closed_is_not_written_to(context: ControllerContext, seed: Seed) -> None:
    """Its subscriptions are gone, its orders stay in the database for the next connection."""
    drone = await drone_at(context)
    await drone.close()
    await seed.spawn_order(await seed.backend())
    assert context.doorbell._subscribers == {}
    assert len(asyncio.all_tasks()) < 12
    again = await beating_drone_at(context)
    assert "Action" in await again.hear()
    await again.close()


async def test_a_controller_that_ends_closes_its_sockets(context: ControllerContext) -> None:
    """With 1001, so that drones go to another controller."""
    drone = await drone_at(context)
    context.closing.set()
    assert await drone.closed() == node.GOING_AWAY
