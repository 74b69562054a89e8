"""
The status stream as a page sees it: the past first, then what happens, and an end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from backends.api import streams
from backends.api.streams import StreamLimits
from backends.services.connect import connect
from drones.context import ControllerContext
from tests.integration.control_plane import Seed, controller
from tests.integration.fleet import add_drone, ask
from tests.integration.http_peer import OpenRequest
from tests.integration.waiting import until

pytestmark = pytest.mark.postgres


@pytest.fixture
async def context(fresh_database: str) -> AsyncIterator[ControllerContext]:
    async with controller(fresh_database) as running:
        await add_drone(Seed(fresh_database))
        yield running


@pytest.fixture
def seed(fresh_database: str) -> Seed:
    return Seed(fresh_database)


@pytest.fixture
async def backend(context: ControllerContext) -> str:
    return (await connect(context, ask())).backend_id


async def enter(seed: Seed, context: ControllerContext, backend: str, *, status: str, ring: bool = True) -> None:
    """Store a state, as a report does."""
    state = {"status": status, "address": "1.2.3.4:5"} if status in {"waiting", "ready"} else {"status": status}
    if status == "terminated":
        state["last_status"] = "ready"
    await seed.sql(
        "with moved as (update backends_backend set status = %s, state = %s where id = %s)"
        " insert into backends_backendstatechange (backend_id, status, state) values (%s, %s, %s)",
        status, json.dumps(state), backend, backend, status, json.dumps(state),
    )  # fmt: skip
    if ring:
        context.bell.ring("backend", backend)


def event(chunk: bytes | None) -> tuple[str, dict[str, Any]]:
    """Take one event apart, as a client does: lines end in LF, an empty one ends it."""
    assert chunk is not None
    name, data, *rest = chunk.decode().split("\n")
    assert rest == ["", ""]
    assert name.startswith("id: ")
    assert data.startswith("data: ")
    return name.removeprefix("id: "), json.loads(data.removeprefix("data: "))


async def test_the_past_then_what_happens_then_the_end(context: ControllerContext, seed: Seed, backend: str) -> None:
    """And what happens is told at once, not with the next keepalive."""
    await enter(seed, context, backend, status="loading")
    async with OpenRequest(context, f"/pub/b/{backend}/status-stream") as stream:
        head = await stream.start()
        headers = dict(head["headers"])
        assert head["status"] == 200
        assert headers[b"content-type"].startswith(b"text/event-stream")
        assert headers[b"access-control-allow-origin"] == b"*"
        assert event(await stream.chunk())[0] == "scheduled"
        name, data = event(await stream.chunk())
        assert (name, data) == ("loading", {"status": "loading", "time": data["time"]})
        await enter(seed, context, backend, status="ready")
        assert event(await stream.chunk(within=1))[0] == "ready"
        await enter(seed, context, backend, status="terminated")
        name, data = event(await stream.chunk(within=1))
        assert (name, data["exit_error"]) == ("terminated", False)
        assert await stream.chunk() is None
    assert not context.doorbell._subscribers


async def test_a_client_that_comes_back_goes_on_where_it_was(
    context: ControllerContext, seed: Seed, backend: str
) -> None:
    for status in ("loading", "starting"):
        await enter(seed, context, backend, status=status)
    async with OpenRequest(context, f"/pub/b/{backend}/status-stream", last_event_id="loading") as stream:
        await stream.start()
        assert event(await stream.chunk())[0] == "starting"


async def test_a_client_that_has_seen_the_end_need_not_come_back(context: ControllerContext, backend: str) -> None:
    """A browser reconnects for ever after anything but 204."""
    async with OpenRequest(context, f"/pub/b/{backend}/status-stream", last_event_id="terminated") as stream:
        assert (await stream.start())["status"] == 204


async def test_an_id_that_is_none_of_ours_starts_from_the_beginning(context: ControllerContext, backend: str) -> None:
    async with OpenRequest(context, f"/pub/b/{backend}/status-stream", last_event_id="17") as stream:
        await stream.start()
        assert event(await stream.chunk())[0] == "scheduled"


async def test_a_lost_ring_costs_only_time(
    context: ControllerContext, seed: Seed, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comment keeps the connection alive, and with it the backend is looked at again."""
    monkeypatch.setattr(streams, "LIMITS", StreamLimits(keepalive=0.2))
    async with OpenRequest(context, f"/pub/b/{backend}/status-stream") as stream:
        await stream.start()
        await stream.chunk()
        await enter(seed, context, backend, status="loading", ring=False)
        assert await stream.chunk() == b":\n\n"
        assert event(await stream.chunk())[0] == "loading"


async def test_a_stream_has_a_budget(context: ControllerContext, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever does not read costs no more than that."""
    monkeypatch.setattr(streams, "LIMITS", StreamLimits(keepalive=0.01, bytes=100))
    async with OpenRequest(context, f"/pub/b/{backend}/status-stream") as stream:
        await stream.start()
        size = 0
        while chunk := await stream.chunk():
            size += len(chunk)
    assert 0 < size <= 100


async def test_a_client_that_leaves_is_forgotten(context: ControllerContext, backend: str) -> None:
    async with OpenRequest(context, f"/pub/b/{backend}/status-stream") as stream:
        await stream.start()
        stream.leave()
        await until(lambda: not context.doorbell._subscribers)
        assert stream.running is not None
        await asyncio.wait_for(stream.running, 2)


async def test_a_controller_that_ends_ends_its_streams(context: ControllerContext, backend: str) -> None:
    async with OpenRequest(context, f"/pub/b/{backend}/status-stream") as stream:
        await stream.start()
        await stream.chunk()
        context.closing.set()
        assert await stream.chunk(within=1) is None
