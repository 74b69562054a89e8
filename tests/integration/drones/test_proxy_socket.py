"""The proxy's socket, spoken to as a proxy speaks, on a real database."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from backends.services.desk import desk_of
from drones.consumers import node, proxy
from drones.context import ControllerContext
from protocol.channel import Extension
from protocol.tokens import token_hash
from tests.engines.databases import copy_of_template
from tests.integration.control_plane import CLUSTER, SHORT, Peer, Seed, controller, drone_at, proxy_at, report
from tests.integration.waiting import until

pytestmark = pytest.mark.postgres

READY = {"status": "ready", "address": "10.0.0.7:49153"}


@pytest.fixture
async def context(fresh_database: str) -> AsyncIterator[ControllerContext]:
    async with controller(fresh_database) as context:
        yield context


@pytest.fixture
async def seed(context: ControllerContext, fresh_database: str) -> Seed:
    """Rows, with a drone that has connected and left."""
    drone = await drone_at(context)
    await drone.close()
    return Seed(fresh_database)


def question(token: str) -> dict[str, Any]:
    return {"RouteInfoRequest": {"token": token}}


def answer(token: str, route: dict[str, Any] | None) -> dict[str, Any]:
    return {"RouteInfoResponse": {"token": token, "route_info": route}}


async def test_a_token_leads_to_its_backend(context: ControllerContext, seed: Seed) -> None:
    """With the address, the secret, who the user is, and what was said about him."""
    backend = await seed.backend(state=READY, subdomain="s1")
    token = await seed.token(backend, username="ann", auth='{"role": "owner"}')
    asking = await proxy_at(context)
    assert asking.handshake["name"] == "co-one"
    await asking.say(question(token))
    assert await asking.hear() == answer(
        token,
        {
            "backend_id": backend, "address": "10.0.0.7:49153", "secret_token": "the-secret", "cluster": CLUSTER,
            "user": "ann", "user_data": {"role": "owner"}, "subdomain": "s1",
        },
    )  # fmt: skip
    await asking.close()


async def test_a_static_token_has_an_empty_secret_and_no_user(context: ControllerContext, seed: Seed) -> None:
    """The backend knows it already."""
    backend = await seed.backend(state=READY)
    token = await seed.token(backend, kind="static", secret="s.the-token-itself")
    asking = await proxy_at(context, "px-one", Extension.ROUTE_EXPIRY)
    await asking.say(question(token))
    route = (await asking.hear())["RouteInfoResponse"]["route_info"]
    assert (route["secret_token"], route["user"], route["user_data"]) == ("", None, None)
    assert route["expires_in_ms"] > 0
    await asking.close()


@pytest.mark.parametrize("trouble", ["unknown", "expired", "other cluster", "ending", "gone"])
async def test_tokens_that_lead_nowhere(context: ControllerContext, seed: Seed, trouble: str) -> None:
    """Null at once: routes are for the asking proxy's cluster, for living tokens, and for backends not ending."""
    columns: dict[str, Any] = {"cluster": "elsewhere:1"} if trouble == "other cluster" else {}
    state: dict[str, Any] = READY
    if trouble == "ending":
        state = {"status": "terminating", "last_status": "ready", "termination": "soft", "reason": "external"}
    if trouble == "gone":
        state = {"status": "terminated", "last_status": "ready"}
    backend = await seed.backend(state=state, **columns)
    expiry: dict[str, Any] = (
        {"expires_at": dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)} if trouble == "expired" else {}
    )
    token = "nobody-knows" if trouble == "unknown" else await seed.token(backend, **expiry)
    asking = await proxy_at(context, "px-one", Extension.ROUTE_PENDING)
    await asking.say(question(token))
    heard = await asking.hear()
    while "BackendRemoved" in heard:
        heard = await asking.hear()
    assert heard == answer(token, None)
    await asking.close()


async def test_an_answer_is_held_back_until_the_backend_is_ready(context: ControllerContext, seed: Seed) -> None:
    """RoutePending at once, and the route within a moment of the drone's report."""
    drone = await drone_at(context)
    backend = await seed.backend()
    tokens = [await seed.token(backend) for _ in range(3)]
    asking = await proxy_at(context, "px-one", Extension.ROUTE_PENDING)
    for token in tokens:
        await asking.say(question(token))
        assert await asking.hear() == {"RoutePending": {"token": token, "backend_id": backend}}
    await drone.say(report(backend, 1, "starting"))
    await drone.say(report(backend, 2, "waiting"))
    assert await asking.hears_nothing()
    began = time.monotonic()
    await drone.say(report(backend, 3, "ready", address="10.0.0.9:1"))
    heard = [(await asking.hear())["RouteInfoResponse"] for _ in tokens]
    assert time.monotonic() - began < 1.0
    assert {each["token"] for each in heard} == set(tokens)
    assert {each["route_info"]["address"] for each in heard} == {"10.0.0.9:1"}
    assert all(topic != "backend" for topic, ident in context.doorbell._subscribers if ident is not None)
    await asking.close()
    await drone.close()


async def test_an_answer_held_back_is_null_when_the_backend_ends(context: ControllerContext, seed: Seed) -> None:
    """Ready at no time: nobody waits for ever."""
    drone = await drone_at(context)
    backend = await seed.backend()
    token = await seed.token(backend)
    asking = await proxy_at(context)
    await asking.say(question(token))
    assert await asking.hears_nothing(), "a published proxy is not told that it has to wait"
    await drone.say(report(backend, 1, "terminated", reason="internalerror"))
    heard = [await asking.hear(), await asking.hear()]
    assert answer(token, None) in heard
    assert {"BackendRemoved": {"backend": backend}} in heard
    await asking.close()
    await drone.close()


async def test_a_lost_ring_costs_only_the_wait_until_the_next_scan(fresh_database: str, seed: Seed) -> None:
    """Written by somebody who rings no bell: the held answer and the departure come all the same."""
    async with controller(fresh_database, name="co-two", terms=SHORT) as context:
        backend = await seed.backend()
        token = await seed.token(backend)
        asking = await proxy_at(context, "px-one", Extension.ROUTE_PENDING)
        await asking.say(question(token))
        assert "RoutePending" in await asking.hear()
        await seed.sql(
            "update backends_backend set status = 'ready', address = '10.0.0.1:1', state = %s",
            '{"status": "ready", "address": "10.0.0.1:1"}',
        )
        assert (await asking.hear())["RouteInfoResponse"]["route_info"]["address"] == "10.0.0.1:1"
        await seed.sql("update backends_backend set status = 'terminated', status_at = now()")
        assert await asking.hear() == {"BackendRemoved": {"backend": backend}}
        assert await asking.hears_nothing(within=0.6), "what was told is not told again"
        await asking.close()


async def test_every_proxy_of_the_cluster_is_told_of_an_end(context: ControllerContext, seed: Seed) -> None:
    """At `terminated` all of them; from `terminating` on those that know revocations, which leave connections open."""
    async with controller(seed.dsn, name="co-two") as other:
        drone = await drone_at(context)
        backend = await seed.backend(state=READY)
        knowing = await proxy_at(context, "px-knowing", Extension.REVOCATIONS)
        published = await proxy_at(other, "px-published")
        elsewhere = await proxy_at(other, "px-elsewhere", Extension.REVOCATIONS, cluster="elsewhere:1")
        await drone.say(report(backend, 1, "terminating"))
        assert await knowing.hear() == {"TokensRevoked": {"backend": backend, "tokens": None}}
        assert await published.hears_nothing()
        await drone.say(report(backend, 2, "terminated"))
        removed = {"BackendRemoved": {"backend": backend}}
        assert await knowing.hear() == removed
        assert await published.hear() == removed
        assert await elsewhere.hears_nothing()
        for peer in (knowing, published, elsewhere, drone):
            await peer.close()


async def test_an_answer_never_follows_the_news_that_the_backend_has_left(
    context: ControllerContext, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was ready when we looked; a proxy that believed it would keep the stale route."""
    drone = await drone_at(context)
    backend = await seed.backend(state=READY)
    token = await seed.token(backend)
    routes, told = desk_of(context).routes, asyncio.Event()
    ask = routes.ask

    async def ask_slowly(token: str, *, cluster: str) -> Any:
        route = await ask(token, cluster=cluster)
        await told.wait()
        return route

    monkeypatch.setattr(routes, "ask", ask_slowly)
    asking = await proxy_at(context)
    await asking.say(question(token))
    assert await asking.hears_nothing()
    await drone.say(report(backend, 1, "terminated"))
    assert await asking.hear() == {"BackendRemoved": {"backend": backend}}
    told.set()
    assert await asking.hear() == answer(token, None)
    await asking.close()
    await drone.close()


async def test_a_proxy_that_was_away_is_told_what_ended_meanwhile(context: ControllerContext, seed: Seed) -> None:
    """Its routes may be stale; a freed address must not be reached through them."""
    backend = await seed.backend(state={"status": "terminated", "last_status": "ready"})
    away = await proxy_at(context)
    assert await away.hear() == {"BackendRemoved": {"backend": backend}}
    await away.close()


async def test_keepalives_count_for_backends_of_the_proxys_cluster(context: ControllerContext, seed: Seed) -> None:
    """One by one as published, or all in use at once; unused ones and other clusters' are not touched."""
    old: dict[str, Any] = {"last_keepalive_at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}
    plain, busy, unused = [await seed.backend(**old) for _ in range(3)]
    foreign = await seed.backend(**{**old, "cluster": "elsewhere:1"})
    saying = await proxy_at(context, "px-one", Extension.IN_USE)
    await saying.say({"KeepAlive": plain})
    await saying.say({"KeepAlive": foreign})
    await saying.say(
        {
            "InUse": {
                "backends": [
                    {"backend": busy, "connections": 2, "for_ms": 10},
                    {"backend": unused, "connections": 0, "for_ms": 0},
                ]
            }
        }
    )
    kept = "select 1 from backends_backend where id = %s and last_keepalive_at > now() - interval '1 min'"
    await seed.until(kept, plain)
    await seed.until(kept, busy)
    assert [await seed.sql(kept, backend) for backend in (unused, foreign)] == [[], []]
    await saying.close()


async def test_a_use_of_a_token_is_noted_and_prolongs_its_life(context: ControllerContext, seed: Seed) -> None:
    """In batches; from last use, not only from minting."""
    token = await seed.token(
        await seed.backend(state=READY), expires_at=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=9)
    )
    asking = await proxy_at(context, "px-one", Extension.ROUTE_EXPIRY)
    await asking.say(question(token))
    route = (await asking.hear())["RouteInfoResponse"]["route_info"]
    lifetime = context.token_lifetime.total_seconds() * 1000
    assert 0 < route["expires_in_ms"] <= lifetime
    await seed.until(
        "select 1 from backends_token where hash = %s and expires_at > now() + interval '59 min'", token_hash(token)
    )
    await asking.close()


async def test_the_number_of_questions_is_bounded(
    context: ControllerContext, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is beyond is dropped: a proxy asks again. The same question twice is one."""
    monkeypatch.setattr(proxy, "QUESTIONS_LIMIT", 2)
    backend = await seed.backend()
    first, second, third = [await seed.token(backend) for _ in range(3)]
    asking = await proxy_at(context, "px-one", Extension.ROUTE_PENDING)
    for token in (first, first, second, third):
        await asking.say(question(token))
    heard = {(await asking.hear())["RoutePending"]["token"] for _ in range(2)}
    assert heard == {first, second}
    assert await asking.hears_nothing()
    await asking.close()


async def test_a_question_is_answered_when_the_database_is_back(own_postgres_server: Any) -> None:
    """A held answer survives a restart of the database, and so does the socket."""
    with copy_of_template(own_postgres_server) as dsn:
        seed = Seed(dsn)
        async with controller(dsn) as context:
            drone = await drone_at(context)
            backend = await seed.backend()
            token = await seed.token(backend)
            asking = await proxy_at(context, "px-one", Extension.ROUTE_PENDING)
            await asking.say(question(token))
            assert "RoutePending" in await asking.hear()
            own_postgres_server.kill()
            await drone.say(report(backend, 1, "ready"))
            await asyncio.sleep(0.3)
            own_postgres_server.restart()
            assert (await asking.hear(within=10))["RouteInfoResponse"]["route_info"]["backend_id"] == backend
            assert await drone.hear(within=10) == {"AckEvent": {"event_id": 1}}
            await asking.close()
            await drone.close()


async def test_nothing_is_left_of_sockets_that_closed(context: ControllerContext, seed: Seed) -> None:
    """Listener tables and tasks of connections that were never taken out grew for ever, in systems like this one."""
    backend = await seed.backend()
    token = await seed.token(backend)
    before = len(asyncio.all_tasks())
    for number in range(10):
        peers = [await proxy_at(context, f"px-{number}", Extension.ROUTE_PENDING), await drone_at(context)]
        await peers[0].say(question(token))
        assert "RoutePending" in await peers[0].hear()
        for peer in peers:
            await peer.close()
    await until(lambda: len(asyncio.all_tasks()) <= before)
    assert context.doorbell._subscribers == {}
    assert desk_of(context).departures._followers == {}


async def test_certificate_leases_are_refused_clearly(context: ControllerContext) -> None:
    """A proxy that asks hears no, instead of nothing."""
    asking = await proxy_at(context)
    await asking.say({"CertManagerRequest": "CertLeaseRequest"})
    assert await asking.hear() == {"CertManagerResponse": {"CertLeaseResponse": {"accepted": False}}}
    await asking.say({"CertManagerRequest": {"SetTxtRecord": {"txt_value": "x"}}})
    assert await asking.hear() == {"CertManagerResponse": {"SetTxtRecordResponse": {"accepted": False}}}
    await asking.say({"CertManagerRequest": "ReleaseCertLease"})
    assert await asking.hears_nothing()
    await asking.close()


async def test_a_drone_has_no_business_at_the_proxy_socket(context: ControllerContext) -> None:
    """The prefix of its name tells."""
    peer = Peer(context, f"/ctrl/c/{CLUSTER}/proxy-socket")
    assert await peer.open()
    await peer.say({"version": {"version": "1", "git_hash": "x"}, "name": "dr-one"})
    assert await peer.closed() == node.REFUSED
