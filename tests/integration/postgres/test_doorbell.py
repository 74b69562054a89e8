"""The doorbell with a real Postgres, which is also killed under it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import psycopg
import pytest

from postgres.doorbell import Bell, Doorbell, Ring
from postgres.embedded import EmbeddedPostgres
from tests.integration.waiting import until

pytestmark = pytest.mark.postgres


@contextlib.asynccontextmanager
async def running(*loops: Bell | Doorbell) -> AsyncIterator[None]:
    """Run these until the end of the block."""
    tasks = [asyncio.create_task(loop.run()) for loop in loops]
    try:
        for loop in loops:
            if isinstance(loop, Doorbell):
                await until(lambda loop=loop: loop.listening)  # type: ignore[misc]
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def heard_by(doorbell: Doorbell, topic: str, ident: str | None) -> tuple[list[Ring], Callable[[], None]]:
    heard: list[Ring] = []
    return heard, doorbell.subscribe(topic, ident, tell=heard.append)


async def test_a_ring_reaches_those_who_asked_for_it_in_every_process(postgres_server: EmbeddedPostgres) -> None:
    """Two controllers: the ring of one is heard by both, by id and by topic, and by nobody else."""
    bell, here, there = Bell(postgres_server.dsn), Doorbell(postgres_server.dsn), Doorbell(postgres_server.dsn)
    async with running(bell, here, there):
        by_id, _ = heard_by(here, "backend", "b1")
        by_topic, _ = heard_by(there, "backend", None)
        others, _ = heard_by(there, "drone", "b1")
        for ident in ("b2", "b1", "b1"):
            bell.ring("backend", ident)
        await until(lambda: len(by_topic) == 2 and by_id)
        assert by_id == [Ring("backend", "b1")]
        assert {ring.ident for ring in by_topic} == {"b1", "b2"}
        assert others == []


async def test_who_unsubscribed_is_forgotten(postgres_server: EmbeddedPostgres) -> None:
    """Tables of listeners that are never emptied grow for ever."""
    doorbell, bell = Doorbell(postgres_server.dsn), Bell(postgres_server.dsn)
    async with running(doorbell, bell):
        heard, leave = heard_by(doorbell, "backend", "b1")
        last, _ = heard_by(doorbell, "backend", None)
        leave()
        leave()
        bell.ring("backend", "b1")
        await until(lambda: last)
        assert heard == []
        assert len(doorbell._subscribers) == 1


async def test_thousands_of_rings_fit_into_payloads_of_8000_bytes(postgres_server: EmbeddedPostgres) -> None:
    """A NOTIFY payload is limited: many rings become several payloads, in few statements."""
    doorbell, bell = Doorbell(postgres_server.dsn), Bell(postgres_server.dsn)
    async with running(doorbell, bell):
        heard, _ = heard_by(doorbell, "backend", None)
        wanted = {f"backend-with-a-rather-long-name-{number:013d}" for number in range(5000)}
        for ident in wanted:
            bell.ring("backend", ident)
        await until(lambda: len(heard) == 5000)
        assert {ring.ident for ring in heard} == wanted


async def test_a_subscriber_that_fails_does_not_deafen_the_others(postgres_server: EmbeddedPostgres) -> None:
    """Its mistake is logged; the connection and the other subscribers live on."""
    doorbell, bell = Doorbell(postgres_server.dsn), Bell(postgres_server.dsn)

    def fails(ring: Ring) -> None:
        raise ZeroDivisionError

    async with running(doorbell, bell):
        doorbell.subscribe("backend", None, tell=fails)
        heard, _ = heard_by(doorbell, "backend", None)
        bell.ring("backend", "b1")
        await until(lambda: heard)
        bell.ring("backend", "b2")
        await until(lambda: len(heard) == 2)


async def test_database_restarted_under_the_listener(own_postgres_server: EmbeddedPostgres) -> None:
    """After a database restart everybody is told to look, and what was rung meanwhile arrives."""
    doorbell, bell = Doorbell(own_postgres_server.dsn), Bell(own_postgres_server.dsn)
    async with running(doorbell, bell):
        heard, _ = heard_by(doorbell, "backend", "b1")
        topic, _ = heard_by(doorbell, "drone", None)
        bell.ring("backend", "b1")
        await until(lambda: heard)
        own_postgres_server.kill()
        await until(lambda: not doorbell.listening)
        heard.clear()
        bell.ring("backend", "b1")
        own_postgres_server.restart()
        await until(lambda: doorbell.listening)
        assert heard[0] == Ring("backend", "b1", missed=True)
        assert topic == [Ring("drone", "", missed=True)]
        bell.ring("backend", "b1")
        await until(lambda: Ring("backend", "b1") in heard)


async def test_connections_cut_by_an_administrator_are_made_anew(postgres_server: EmbeddedPostgres) -> None:
    """A failover or an idle-killing middlebox cuts single connections; both loops mend themselves."""
    doorbell, bell = Doorbell(postgres_server.dsn), Bell(postgres_server.dsn)
    async with running(doorbell, bell):
        heard, _ = heard_by(doorbell, "backend", None)
        bell.ring("backend", "b1")
        await until(lambda: heard)
        heard.clear()
        async with await psycopg.AsyncConnection.connect(postgres_server.dsn, autocommit=True) as admin:
            await admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
                " and datname = current_database() and backend_type = 'client backend'"
            )
        await until(lambda: Ring("backend", "", missed=True) in heard)
        bell.ring("backend", "b2")
        await until(lambda: Ring("backend", "b2") in heard)
