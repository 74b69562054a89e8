"""
One or more controllers in this process, on a real database, and peers that speak the wire with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random
from typing import Any

import psycopg
from channels.testing import WebsocketCommunicator
from psycopg.rows import dict_row

from drones.context import ControllerContext
from drones.services.controllers import send_heartbeat
from drones.terms import Terms
from plane_site.routing import make_socket_router
from postgres.doorbell import Bell, Doorbell
from postgres.pool import PoolLimits, open_pool
from protocol.backend_state import BackendStatus
from protocol.codec import encode
from protocol.names import Prefix, draw_name
from protocol.tokens import token_hash
from tests.factories import make_handshake
from tests.integration.waiting import until

CLUSTER = "localhost:9090"
DICE = Random(7)
#: Everything a hundred times sooner than by default, and the leases long enough for a slow machine.
SHORT = Terms(
    **{
        name: dt.timedelta(seconds=seconds)
        for name, seconds in {
            "renew": 1.2, "soft": 1.6, "hard": 2.0, "expiry": 2.4, "heartbeat": 0.3, "unhealthy": 1.5, "lost": 3.0,
        }.items()
    }
)  # fmt: skip


def sockets_of(context: ControllerContext, taking: asyncio.Event) -> Any:
    """Return the application with its controller in the scope; it can send only while its peer is taking."""
    router = make_socket_router()

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        async def send_with_patience(event: dict[str, Any]) -> None:
            if event["type"] == "websocket.send":
                await taking.wait()
            await send(event)

        await router({**scope, "plane": context}, receive, send_with_patience)

    return app


@contextlib.asynccontextmanager
async def controller(
    dsn: str, *, name: str = "co-one", terms: Terms | None = None, **facts: Any
) -> AsyncIterator[ControllerContext]:
    """Run what a controller needs beside its sockets."""
    pool = await open_pool(dsn, limits=PoolLimits(connections=4, acquire=0.5))
    bell, doorbell = Bell(dsn), Doorbell(dsn, silence=1.0)
    context = ControllerContext(
        name=name, version="0.1.0", git_hash="c0ffee", url="http://controller", pool=pool, bell=bell,
        doorbell=doorbell, terms=terms or Terms(), **facts,
    )  # fmt: skip
    loops = [asyncio.create_task(bell.run()), asyncio.create_task(doorbell.run())]
    try:
        await until(lambda: doorbell.listening)
        await send_heartbeat(context)
        yield context
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await pool.close()


class Peer:
    """A drone or a proxy: says and hears JSON."""

    def __init__(self, context: ControllerContext, path: str) -> None:
        self.taking = asyncio.Event()  #: whether this peer takes what it is sent; a slow one does not
        self.taking.set()
        self._socket = WebsocketCommunicator(sockets_of(context, self.taking), path)
        self.handshake: dict[str, Any] = {}

    async def open(self) -> bool:
        """Open the socket, without a word; tell whether it was accepted."""
        accepted, _ = await self._socket.connect(timeout=5)
        return bool(accepted)

    async def shake_hands(self, name: str, *extensions: Any, instance: str | None = None) -> dict[str, Any]:
        """Say who one is, and hear who the controller is."""
        ours = json.loads(encode(make_handshake(name, *extensions)))
        await self.say({**ours, **({"instance": instance} if instance else {})})
        self.handshake = await self.hear()
        return self.handshake

    async def say(self, message: Any) -> None:
        await self._socket.send_json_to(message)

    async def say_raw(self, *, text: str | None = None, data: bytes | None = None) -> None:
        await self._socket.send_to(text_data=text, bytes_data=data)

    async def hear(self, *, within: float = 5.0) -> dict[str, Any]:
        message: dict[str, Any] = await self._socket.receive_json_from(timeout=within)
        return message

    async def hears_nothing(self, *, within: float = 0.15) -> bool:
        return bool(await self._socket.receive_nothing(timeout=within))

    async def closed(self, *, within: float = 5.0) -> int:
        """Wait for the controller to close the socket, ignore what it said before, and return the close code."""
        while True:
            event = await self._socket.receive_output(timeout=within)
            if event["type"] == "websocket.close":
                await self._socket.disconnect(timeout=5)
                return int(event.get("code", 1000))

    async def close(self) -> None:
        await self._socket.disconnect(timeout=5)

    async def vanish(self) -> None:
        """End as an application does whose server is stopped."""
        self._socket.stop()


async def drone_at(
    context: ControllerContext, name: str = "dr-one", *extensions: Any, pool: str = "", instance: str | None = None
) -> Peer:
    """Return a drone that has shaken hands."""
    peer = Peer(context, f"/ctrl/c/{CLUSTER}/drone-socket?pool={pool}")
    assert await peer.open()
    await peer.shake_hands(name, *extensions, instance=instance)
    return peer


async def beating_drone_at(context: ControllerContext, name: str = "dr-one") -> Peer:
    """Return a drone whose clock is known, so that it may be told to run something."""
    drone = await drone_at(context, name)
    await drone.say({"Heartbeat": {"local_time": 1}})
    return drone


async def proxy_at(context: ControllerContext, name: str = "px-one", *extensions: Any, cluster: str = CLUSTER) -> Peer:
    """Return a proxy that has shaken hands."""
    peer = Peer(context, f"/ctrl/c/{cluster}/proxy-socket")
    assert await peer.open()
    await peer.shake_hands(name, *extensions)
    return peer


@dataclass
class Seed:
    """Rows for a test, written past the services."""

    dsn: str

    async def sql(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Run anything; return its rows, if it has any."""
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True, row_factory=dict_row) as connection:
            cursor = await connection.execute(statement.encode(), values or None)
            return await cursor.fetchall() if cursor.description else []

    async def one(self, statement: str, *values: Any) -> dict[str, Any]:
        [row] = await self.sql(statement, *values)
        return row

    async def node(self, name: str) -> int:
        """Return a node's id."""
        return int((await self.one("select id from drones_node where name = %s", name))["id"])

    async def backend(self, drone: str = "dr-one", *, state: dict[str, Any] | None = None, **columns: Any) -> str:
        """Store a backend with its key and its spawn order; return its name."""
        name = draw_name(Prefix.BACKEND, DICE)
        node = await self.node(drone)
        state = state or {"status": "scheduled"}
        facts = {
            "id": name, "cluster": CLUSTER, "drone_id": node, "key_namespace": "", "key_name": f"key-{name}",
            "key_tag": "", "status": state["status"], "state": json.dumps(state), "address": state.get("address"),
            **columns,
        }  # fmt: skip
        places = ", ".join(["%s"] * len(facts))
        await self.sql(f"insert into backends_backend ({', '.join(facts)}) values ({places})", *facts.values())
        await self.sql(
            "insert into backends_backendkey (namespace, name, tag, backend_id, fencing_token, expires_at, renewable)"
            " values ('', %s, '', %s, 1, now() + interval '60 s', true)",
            f"key-{name}",
            name,
        )
        return name

    async def spawn_order(self, backend: str, drone: str = "dr-one") -> str:
        """Store the order to run a backend."""
        name = draw_name(Prefix.ACTION, DICE)
        action = {
            "Spawn": {
                "executable": {"image": "app:1"},
                "key": {
                    "key": {"name": f"key-{backend}", "namespace": "", "tag": ""},
                    "deadlines": {"renew_at": 1, "soft_terminate_at": 2, "hard_terminate_at": 3},
                    "token": 1,
                },
                "static_token": None,
            }
        }
        await self.sql(
            "insert into backends_backendaction (id, backend_id, drone_id, kind, action)"
            " values (%s, %s, %s, 'spawn', %s)",
            name,
            backend,
            await self.node(drone),
            json.dumps(action),
        )
        return name

    async def token(self, backend: str, *, kind: str = "bearer", **columns: Any) -> str:
        """Store a token; return it."""
        token = ("s." if kind == "static" else "") + draw_name(Prefix.BACKEND, DICE)
        facts = {
            "hash": token_hash(token), "backend_id": backend, "kind": kind, "username": None, "auth": None,
            "secret": "the-secret", "expires_at": None if kind == "static" else in_an_hour(),
            **columns,
        }  # fmt: skip
        places = ", ".join(["%s"] * len(facts))
        await self.sql(f"insert into backends_token ({', '.join(facts)}) values ({places})", *facts.values())
        return token

    async def until(self, statement: str, *values: Any, within: float = 5.0) -> None:
        """Wait for a query to return a row."""
        async with asyncio.timeout(within):
            found: list[dict[str, Any]] = []
            while not found:
                await asyncio.sleep(0.01)
                found = await self.sql(statement, *values)

    async def status(self, backend: str) -> BackendStatus:
        row = await self.one("select status from backends_backend where id = %s", backend)
        return BackendStatus(row["status"])


def in_an_hour() -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)


def report(backend: str, event: int, status: str, **facts: Any) -> dict[str, Any]:
    """Return what a drone says of a backend."""
    state: dict[str, Any] = {"status": status, **facts}
    if status in {"waiting", "ready"}:
        state.setdefault("address", "127.0.0.1:49153")
    if status in {"terminating", "hard-terminating", "terminated"}:
        state = {"last_status": "ready", "reason": "external", **state}
    if status == "terminating":
        state.setdefault("termination", "soft")
    body = {"event_id": event, "backend_id": backend, "state": state, "timestamp": 1_700_000_000_000}
    return {"BackendEvent": body}
