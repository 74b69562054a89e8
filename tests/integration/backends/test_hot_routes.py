"""
The hot routes as an application or a page sees them: bodies, statuses, headers, and the form of every error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drones.context import ControllerContext
from postgres.embedded import EmbeddedPostgres
from protocol.api_errors import ErrorKind
from tests.integration.control_plane import CLUSTER, Seed, controller
from tests.integration.fleet import add_drone, count
from tests.integration.http_peer import client_of
from tests.strategies import json_values

pytestmark = pytest.mark.postgres
SPAWN = {"executable": {"image": "app:1"}, "cluster": CLUSTER}
ASKED = {"key": {"name": "room-1"}, "spawn_config": SPAWN, "user": "u", "auth": {"a": [1, None, "ä"]}}


@pytest.fixture
async def context(fresh_database: str) -> AsyncIterator[ControllerContext]:
    async with controller(fresh_database) as running:
        await add_drone(Seed(fresh_database))
        yield running


@pytest.fixture
async def client(context: ControllerContext) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(context) as opened:
        yield opened


@pytest.fixture
def seed(fresh_database: str) -> Seed:
    return Seed(fresh_database)


def expect_error(response: httpx.Response, status: int, kind: ErrorKind) -> dict[str, Any]:
    """Check the form of an error and return its body."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/json"), response.text
    body: dict[str, Any] = response.json()
    assert re.fullmatch(r"[a-z0-9]{14}", body["id"])
    assert body["kind"] == kind
    assert body["message"]
    return body


async def test_connect_answers_with_every_field(client: httpx.AsyncClient) -> None:
    spawned = (await client.post("/ctrl/connect", json=ASKED)).json()
    joined = (await client.post("/ctrl/connect", json=ASKED)).json()
    names = {"backend_id", "spawned", "status", "token", "url", "subdomain", "secret_token", "status_url", "drone"}
    assert set(spawned) == set(joined) == names
    assert (spawned["spawned"], spawned["drone"], joined["spawned"], joined["drone"]) == (True, "dr-one", False, None)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({}, 409, ErrorKind.KEY_UNHELD_NO_SPAWN_CONFIG),
        ({"key": {"name": "k"}}, 409, ErrorKind.KEY_UNHELD_NO_SPAWN_CONFIG),
        ({"spawn_config": {"executable": {"image": "a"}}}, 400, ErrorKind.NO_CLUSTER_PROVIDED),
        ({"spawn_config": {**SPAWN, "cluster": "no:where"}}, 400, ErrorKind.INVALID_CLUSTER_NAME),
        ({"spawn_config": {**SPAWN, "cluster": "a\x00b"}}, 400, ErrorKind.INVALID_CLUSTER_NAME),
        ({"spawn_config": {**SPAWN, "cluster": "nobody.example"}}, 500, ErrorKind.NO_DRONE_AVAILABLE),
        ({"spawn_config": SPAWN, "auth": {"a": "x" * 4096}}, 422, ErrorKind.OTHER),
        ({"spawn_config": SPAWN, "user": "ü" * 2048}, 422, ErrorKind.OTHER),
        ({"spawn_config": SPAWN, "auth": {"a": "\x00"}}, 422, ErrorKind.OTHER),
        ({"spawn_config": SPAWN, "auth": {"a\n": 1}}, 422, ErrorKind.OTHER),
        ({"spawn_config": SPAWN, "auth": {"a": "\x7f"}}, 422, ErrorKind.OTHER),
        ({"spawn_config": SPAWN, "user": "a\tb"}, 422, ErrorKind.OTHER),
        ({"key": {"name": "a\x00b"}, "spawn_config": SPAWN}, 422, ErrorKind.OTHER),
        ({"key": {"name": ""}, "spawn_config": SPAWN}, 422, ErrorKind.OTHER),
        ({"spawn_config": {**SPAWN, "id": "Nope"}}, 422, ErrorKind.OTHER),
        ({"spawn_config": {**SPAWN, "max_idle_seconds": -1}}, 422, ErrorKind.OTHER),
        ({"spawn_config": {**SPAWN, "max_idle_seconds": 10**30}}, 422, ErrorKind.OTHER),
    ],
)  # fmt: skip
async def test_connect_refuses_what_cannot_be(
    client: httpx.AsyncClient, seed: Seed, body: Any, status: int, kind: ErrorKind
) -> None:
    """With the kind and status that clients match on, and nothing stored."""
    expect_error(await client.post("/ctrl/connect", json=body), status, kind)
    assert await count(seed, "backends_backend") == 0
    assert await count(seed, "backends_backendkey") == 0


async def test_a_backslash_is_no_control_character(client: httpx.AsyncClient) -> None:
    """What looks like an escape in the JSON of `auth` may be a backslash before an innocent letter."""
    asked = {**ASKED, "auth": {"path": "C:\\new\\u0000", "quote": '\\"\\'}}
    assert (await client.post("/ctrl/connect", json=asked)).status_code == 200


async def test_an_error_names_the_field(client: httpx.AsyncClient) -> None:
    body = {"spawn_config": {"executable": {"image": 5}}}
    error = expect_error(await client.post("/ctrl/connect", json=body), 422, ErrorKind.OTHER)
    assert set(error["fields"]) == {"spawn_config.executable.image"}
    assert "spawn_config.executable.image" in error["message"]


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"user": "\xff"}', "application/json", 400),
        (rb'{"user": "\ud800"}', "application/json", 400),
        (b'{"auth":' + b'{"a":' * 100_000, "application/json", 400),
        (b"[" * 1000, "application/json", 422),
        (b'{"auth": {"a": 1e999}}', "application/json", 422),
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
        (b" " * (1024 * 1024 + 1), "application/json", 413),
        (b"{}", "application/json; charset=utf-8", 409),
    ],
)
async def test_connect_refuses_bad_bodies(
    client: httpx.AsyncClient, content: bytes, content_type: str, status: int
) -> None:
    response = await client.post("/ctrl/connect", content=content, headers={"content-type": content_type})
    kind = ErrorKind.KEY_UNHELD_NO_SPAWN_CONFIG if status == 409 else ErrorKind.OTHER
    expect_error(response, status, kind)


async def test_only_what_may_pass_by_itself_is_worth_a_retry(client: httpx.AsyncClient) -> None:
    away = {"spawn_config": {**SPAWN, "cluster": "nobody.example"}}
    assert "retry-after" in (await client.post("/ctrl/connect", json=away)).headers
    assert "retry-after" not in (await client.post("/ctrl/connect", json={})).headers


@pytest.fixture(scope="module")
def post_anything(database: str) -> Iterator[Callable[[bytes], httpx.Response]]:
    """Post a body to a controller that stays for all examples."""
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()

        async def open_client() -> httpx.AsyncClient:
            return await stack.enter_async_context(client_of(await stack.enter_async_context(controller(database))))

        client = runner.run(open_client())

        def post(content: bytes) -> httpx.Response:
            json_body = {"content-type": "application/json"}
            return runner.run(client.post("/ctrl/connect", content=content, headers=json_body))

        yield post
        runner.run(stack.aclose())


bodies = st.fixed_dictionaries(
    {},
    optional={
        "key": json_values | st.fixed_dictionaries({"name": json_values}),
        "spawn_config": json_values
        | st.fixed_dictionaries({}, optional={"executable": json_values, "id": json_values, "cluster": json_values}),
        "user": json_values,
        "auth": json_values,
        "wait_for_release": json_values,
        "unknown": json_values,
    },
)


@settings(max_examples=200, deadline=None)
@given(body=bodies | json_values)
def test_no_body_is_an_error_of_ours(post_anything: Callable[[bytes], httpx.Response], body: Any) -> None:
    """Whatever JSON is posted: an answer with a kind, and never one that blames the controller."""
    response = post_anything(json.dumps(body).encode("ascii"))
    assert response.status_code in {400, 409, 422, 500}, response.text
    if response.status_code == 500:
        assert response.json()["kind"] == ErrorKind.NO_DRONE_AVAILABLE


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=60) | st.text().map(str.encode))
def test_no_bytes_are_an_error_of_ours(post_anything: Callable[[bytes], httpx.Response], body: bytes) -> None:
    """Not even what is no JSON at all."""
    assert post_anything(body).status_code in {400, 409, 422}


async def test_status_of_a_backend(client: httpx.AsyncClient, seed: Seed) -> None:
    backend = (await client.post("/ctrl/connect", json=ASKED)).json()["backend_id"]
    response = await client.get(f"/pub/b/{backend}/status")
    assert set(response.json()) == {"status", "time"}
    assert response.json()["status"] == "scheduled"
    stored = await seed.one("select extract(epoch from status_at) * 1000 as ms from backends_backend")
    assert response.json()["time"] == int(stored["ms"])
    alias = await client.get(f"/pub/c/{CLUSTER}/b/{backend}/status")
    assert alias.json() == response.json()


async def test_status_tells_how_it_ended(client: httpx.AsyncClient, seed: Seed) -> None:
    backend = (await client.post("/ctrl/connect", json=ASKED)).json()["backend_id"]
    state = {"status": "terminated", "last_status": "ready", "termination": "soft", "reason": "swept", "exit_code": 1}
    await seed.sql("update backends_backend set status = 'terminated', state = %s", json.dumps(state))
    told = (await client.get(f"/pub/b/{backend}/status")).json()
    assert told == {"status": "terminated", "time": told["time"], "termination_reason": "swept",
                    "termination_kind": "soft", "exit_error": True}  # fmt: skip


@pytest.mark.parametrize("path", ["/pub/b/nobody/status", "/pub/b/No%00body/status", "/pub/b/nobody/status-stream",
                                  "/pub/else", "/pub/", "/pub/b/" + "x" * 46 + "/status"])  # fmt: skip
async def test_unknown_backends_and_routes_are_not_found(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path, headers={"origin": "https://app.example"})
    expect_error(response, 404, ErrorKind.NOT_FOUND)
    assert response.headers["access-control-allow-origin"] == "*"


async def test_health_and_controller_status(client: httpx.AsyncClient) -> None:
    assert (await client.get("/pub/health")).json() == {"status": "ok"}
    told = (await client.get("/ctrl/status")).json()
    assert told == {"status": "ok", "version": "0.1.0", "hash": "c0ffee"}


async def test_health_without_a_database(own_postgres_server: EmbeddedPostgres) -> None:
    """Red within two seconds, and green again by itself."""
    dsn = own_postgres_server.dsn.replace("/postgres?", "/plane_template?")
    async with controller(dsn) as context, client_of(context) as client:
        own_postgres_server.kill()
        for path in ("/pub/health", "/ctrl/status"):
            expect_error(await client.get(path, timeout=3.0), 500, ErrorKind.OTHER)
        asked = await client.post("/ctrl/connect", json=ASKED)
        expect_error(asked, 500, ErrorKind.DATABASE_ERROR)
        own_postgres_server.restart()
        response = await client.get("/pub/health")
        for _ in range(50):
            if response.status_code == 200:
                break
            response = await client.get("/pub/health")
        assert response.status_code == 200


async def test_pages_may_ask_the_public_routes_only(client: httpx.AsyncClient) -> None:
    """A preflight is granted for /pub; /ctrl refuses whatever carries an Origin, with or without a preflight."""
    origin = {"origin": "https://app.example", "access-control-request-method": "GET"}
    granted = await client.options("/pub/b/abc/status", headers=origin)
    assert (granted.status_code, granted.headers["access-control-allow-origin"]) == (204, "*")
    assert granted.headers["access-control-allow-methods"] == "GET, POST"
    assert granted.headers["access-control-allow-headers"] == "content-type"
    for method, path in (("OPTIONS", "/ctrl/connect"), ("GET", "/ctrl/status"), ("POST", "/ctrl/b/x/soft-terminate")):
        refused = await client.request(method, path, headers=origin)
        expect_error(refused, 403, ErrorKind.FORBIDDEN)
        assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize(("host", "status"), [("evil.example", 403), ("127.0.0.1:8080", 200), ("controller", 200)])
async def test_control_routes_check_the_host(client: httpx.AsyncClient, host: str, status: int) -> None:
    """A page of a name that was made to lead here is refused; the public routes answer to any name."""
    assert (await client.get("/ctrl/status", headers={"host": host})).status_code == status
    assert (await client.get("/admin/login/", headers={"host": host})).status_code == status
    assert (await client.get("/pub/health", headers={"host": host})).status_code == 200


async def test_the_method_must_fit(client: httpx.AsyncClient) -> None:
    expect_error(await client.get("/ctrl/connect"), 405, ErrorKind.OTHER)
    expect_error(await client.post("/pub/health"), 405, ErrorKind.OTHER)
