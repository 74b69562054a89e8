"""The client for asyncio over an in-memory transport: the same calls, the same streams."""

from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from planectl.async_client import AsyncClient
from planectl.calls import ApiFailure, ControllerUnreachable
from protocol.connect import ConnectRequest
from tests.unit.planectl.test_client import CONNECTED, events, said


def client(answer: Callable[[httpx.Request], httpx.Response]) -> AsyncClient:
    """Return a client whose requests are answered by a function, and which does not pause."""

    async def hurry(_: float) -> None:
        return

    return AsyncClient("http://tok@c:1", transport=httpx.MockTransport(answer), sleep=hurry)


async def test_calls() -> None:
    """Each to its route, each answer in its type."""
    answers: dict[str, Any] = {
        "/ctrl/connect": CONNECTED,
        "/ctrl/b/b1/soft-terminate": None,
        "/pub/b/b1/status": {"status": "ready", "time": 3},
        "/ctrl/c/x/state": {"drones": [], "proxies": []},
        "/ctrl/status": {"status": "ok", "version": "1", "hash": "h"},
    }
    async with client(lambda request: said(answers[request.url.path])) as asked:
        assert (await asked.connect(ConnectRequest())).url == "http://c/t/"
        await asked.terminate("b1")
        assert (await asked.status("b1")).time == 3
        assert (await asked.cluster_state("x")).proxies == []
        assert (await asked.controller_status()).status == "ok"


async def test_errors() -> None:
    """An error answer, and no answer."""
    with pytest.raises(ApiFailure):
        await client(lambda _: httpx.Response(500)).status("b")

    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("too slow")

    with pytest.raises(ControllerUnreachable, match="too slow"):
        await client(refuse).status("b")


async def test_a_stream_is_resumed_where_it_broke_off() -> None:
    """Breaks and errors that pass are not the reader's business."""
    answers = [events("scheduled"), httpx.Response(502), events("scheduled", "ready"), events("terminated")]
    words = [view.status async for view in client(lambda _: answers.pop(0)).status_stream("b")]
    assert words == ["scheduled", "ready", "terminated"]


async def test_a_stream_may_be_left_early() -> None:
    """Closing it asks nothing more."""
    answers = [events("scheduled", "ready", "terminated")]
    async with aclosing(client(lambda _: answers.pop(0)).status_stream("b")) as views:
        async for view in views:
            assert view.status == "scheduled"
            break
    assert answers == []
