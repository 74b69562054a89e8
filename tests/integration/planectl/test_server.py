"""The demo's application on a real port: the page, the room over WebSockets, and a quick end."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.integration.planectl.test_preflight import free_port


@dataclass
class Application:
    """The running application."""

    process: asyncio.subprocess.Process
    place: str

    @property
    def page(self) -> str:
        return f"http://{self.place}/token/"

    def enter(self, **headers: str) -> connect:
        return connect(f"ws://{self.place}/token/live", additional_headers=headers, proxy=None)


@pytest.fixture
async def application() -> AsyncIterator[Application]:
    """The application as the process runtime starts it."""
    port = free_port()
    facts = {"PORT": str(port), "SESSION_BACKEND_KEY": "demo", "SESSION_BACKEND_ID": "b1"}
    argv = [sys.executable, "-P", "-m", "planectl.demo.backend", "--host", "127.0.0.1"]
    process = await asyncio.create_subprocess_exec(*argv, env={**os.environ, **facts})
    made = Application(process, f"127.0.0.1:{port}")
    async with asyncio.timeout(15), httpx.AsyncClient(trust_env=False) as http:
        while True:
            try:
                await http.get(made.page)
                break
            except httpx.TransportError:
                await asyncio.sleep(0.05)
    yield made
    if process.returncode is None:
        process.kill()
        await process.wait()


async def hear(guest: ClientConnection) -> Any:
    """Return the next message."""
    return json.loads(await asyncio.wait_for(guest.recv(), 5))


async def test_the_page_is_whole(application: Application) -> None:
    """One answer, nothing from elsewhere, and not kept by the browser; whatever the path."""
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(application.page)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert "https://" not in answer.text
        assert (await http.get(f"http://{application.place}/s.static/token?x=1")).text == answer.text


async def test_two_guests_share_a_counter(application: Application) -> None:
    """Each press reaches both; who leaves is seen to leave."""
    async with application.enter() as ada:
        assert await hear(ada) == {"you": 1, "key": "demo", "backend": "b1"}
        assert (await hear(ada))["counter"] == 0
        async with application.enter() as bob:
            assert (await hear(bob))["you"] == 2
            assert len((await hear(bob))["guests"]) == len((await hear(ada))["guests"]) == 2
            await bob.send('{"press": 1}')
            assert (await hear(ada))["counter"] == (await hear(bob))["counter"] == 1
            await ada.send('{"press": -1}')
            assert (await hear(ada))["counter"] == (await hear(bob))["counter"] == 0
        assert len((await hear(ada))["guests"]) == 1


async def test_nonsense_is_ignored(application: Application) -> None:
    """The next press still counts."""
    async with application.enter() as guest:
        await hear(guest)
        await hear(guest)
        for nonsense in ("", "{", "[]", '{"press": 100}', '{"press": true}', b"\xff"):
            await guest.send(nonsense)
        await guest.send('{"press": 1}')
        assert (await hear(guest))["counter"] == 1


async def test_a_name_that_the_proxy_vouches_for_is_used(application: Application) -> None:
    """In UTF-8, as the proxy writes it."""
    async with application.enter(**{"x-verified-username": "Zoë".encode().decode("latin-1")}) as guest:
        await hear(guest)
        assert (await hear(guest))["guests"][0]["name"] == "Zoë"


async def test_it_ends_at_once(application: Application) -> None:
    """With a guest in the room; the guest is told that the server goes away."""
    async with application.enter() as guest:
        await hear(guest)
        application.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(application.process.wait(), 2) == 0
        await guest.wait_closed()
        assert guest.close_code == 1001
