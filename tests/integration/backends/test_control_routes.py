"""
The control routes that DRF serves: ending backends, the state of a cluster, and what is no route.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from backends.services.connect import connect
from drones.context import ControllerContext
from protocol.actions import Action, Terminate
from protocol.api_errors import ErrorKind
from protocol.backend_state import TerminationKind, TerminationReason
from protocol.codec import decode
from tests.integration.control_plane import CLUSTER, Seed, controller
from tests.integration.fleet import add_drone, ask, count
from tests.integration.http_peer import client_of

pytestmark = pytest.mark.postgres


@pytest.fixture
async def context(django_on_database: str) -> AsyncIterator[ControllerContext]:
    seed = Seed(django_on_database)
    await seed.sql("truncate drones_controller, drones_node, backends_backend cascade")
    async with controller(django_on_database) as running:
        await add_drone(seed)
        yield running


@pytest.fixture
async def client(context: ControllerContext) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(context) as opened:
        yield opened


@pytest.fixture
def seed(django_on_database: str) -> Seed:
    return Seed(django_on_database)


@pytest.mark.parametrize("kind", list(TerminationKind))
@pytest.mark.parametrize("prefix", ["/ctrl/b/", f"/ctrl/c/{CLUSTER}/b/"])
async def test_an_end_is_ordered_once(
    client: httpx.AsyncClient, context: ControllerContext, seed: Seed, prefix: str, kind: TerminationKind
) -> None:
    """However often it is asked for, and on either path."""
    backend = (await connect(context, ask())).backend_id
    rung: list[str] = []
    context.doorbell.subscribe("drone", None, tell=lambda ring: rung.append(ring.ident))
    for _ in range(2):
        response = await client.post(f"{prefix}{backend}/{kind}-terminate")
        assert (response.status_code, response.json()) == (200, None)
    [order] = await seed.sql("select id, action::text as action from backends_backendaction where kind <> 'spawn'")
    assert decode(order["action"], Action).variant == Terminate(kind, TerminationReason.EXTERNAL)
    assert order["id"].startswith("ak-")
    await client.get("/pub/health")
    drone = await seed.node("dr-one")
    assert set(rung) == {str(drone)}


async def test_whatever_a_client_accepts_it_gets_json(client: httpx.AsyncClient) -> None:
    """Published controllers do not look at Accept either."""
    response = await client.get(f"/ctrl/c/{CLUSTER}/state", headers={"accept": "text/event-stream"})
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")


async def test_soft_and_hard_are_two_orders(client: httpx.AsyncClient, context: ControllerContext, seed: Seed) -> None:
    """Patience may run out."""
    backend = (await connect(context, ask())).backend_id
    for kind in ("soft", "hard"):
        await client.post(f"/ctrl/b/{backend}/{kind}-terminate")
    assert await count(seed, "backends_backendaction", "kind <> 'spawn'") == 2


async def test_ending_what_is_gone_is_no_error(
    client: httpx.AsyncClient, context: ControllerContext, seed: Seed
) -> None:
    backend = (await connect(context, ask())).backend_id
    await seed.sql("update backends_backend set status = 'terminated'")
    response = await client.post(f"/ctrl/b/{backend}/soft-terminate")
    assert (response.status_code, response.json()) == (200, None)
    assert await count(seed, "backends_backendaction", "kind <> 'spawn'") == 0


@pytest.mark.parametrize("name", ["nobody", "No%00body", "x" * 60])
async def test_ending_what_never_was(client: httpx.AsyncClient, name: str) -> None:
    response = await client.post(f"/ctrl/b/{name}/hard-terminate")
    assert (response.status_code, response.json()["kind"]) == (404, ErrorKind.NOT_FOUND)


async def test_the_state_of_a_cluster(client: httpx.AsyncClient, context: ControllerContext, seed: Seed) -> None:
    """Connected nodes only, oldest first, ages in whole seconds."""
    await add_drone(seed, "dr-aaa", ready=False, draining=True)
    await add_drone(seed, "dr-elsewhere", cluster="c2.example.com")
    gone = await add_drone(seed, "dr-gone")
    await seed.sql("update drones_node set controller_id = null, connection = null where id = %s", gone)
    await seed.sql("update drones_drone set last_heartbeat_at = now() - interval '3.9 s' where draining")
    await seed.sql(
        "insert into drones_node (kind, cluster, name, version, git_hash, extensions, controller_id, connection,"
        " connected_at) values ('proxy', %s, 'px-one', '0.5.5', 'abc', '[]', 'co-one', gen_random_uuid(), now())",
        CLUSTER,
    )
    await connect(context, ask())
    state = (await client.get(f"/ctrl/c/{CLUSTER}/state")).json()

    def node(kind: str, name: str, version: str, commit: str) -> dict[str, Any]:
        return {"name": {kind: name}, "plane_version": version, "plane_hash": commit, "controller": "co-one",
                "controller_heartbeat_age": 0}  # fmt: skip

    assert state == {
        "drones": [
            {"ready": True, "draining": False, "last_heartbeat_age": 0, "backend_count": 1,
             "node": node("Drone", "dr-one", "0", "x")},
            {"ready": False, "draining": True, "last_heartbeat_age": 3, "backend_count": 0,
             "node": node("Drone", "dr-aaa", "0", "x")},
        ],
        "proxies": [node("Proxy", "px-one", "0.5.5", "abc")],
    }  # fmt: skip


async def test_nodes_of_a_dead_controller_are_not_connected(client: httpx.AsyncClient, seed: Seed) -> None:
    await seed.sql("update drones_controller set last_heartbeat_at = now() - interval '46 s'")
    assert (await client.get(f"/ctrl/c/{CLUSTER}/state")).json() == {"drones": [], "proxies": []}


async def test_the_state_of_what_is_no_cluster(client: httpx.AsyncClient) -> None:
    response = await client.get("/ctrl/c/no:where/state")
    assert (response.status_code, response.json()["kind"]) == (400, ErrorKind.INVALID_CLUSTER_NAME)


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/ctrl/else", 404, ErrorKind.NOT_FOUND),
        ("POST", "/ctrl/", 404, ErrorKind.NOT_FOUND),
        ("GET", "/ctrl/b/abc/soft-terminate", 405, ErrorKind.OTHER),
        ("DELETE", "/ctrl/c/abc/state", 405, ErrorKind.OTHER),
    ],
)
async def test_errors_have_the_form_of_the_wire(
    client: httpx.AsyncClient, method: str, path: str, status: int, kind: ErrorKind
) -> None:
    response = await client.request(method, path)
    assert (response.status_code, response.json()["kind"]) == (status, kind)
    assert set(response.json()) == {"id", "kind", "message"}
