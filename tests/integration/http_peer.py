"""
A controller's HTTP routes without a server: the ASGI application with real services behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Self

import httpx

from drones.context import ControllerContext
from plane_site.asgi import ControllerApplication


@contextlib.asynccontextmanager
async def client_of(context: ControllerContext, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client whose requests go straight to the application."""
    transport = httpx.ASGITransport(ControllerApplication(context))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080", headers=headers) as client:
        yield client


class OpenRequest:
    """A request whose answer is read while it is still being written."""

    def __init__(self, context: ControllerContext, path: str, **headers: str) -> None:
        self._context = context
        named = {"host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
        self._scope: dict[str, Any] = {
            "type": "http", "method": "GET", "path": path, "query_string": b"", "client": ["127.0.0.1", 1],
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        }  # fmt: skip
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._incoming.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        application = ControllerApplication(self._context)
        self.running = asyncio.create_task(application(self._scope, self._incoming.get, self._outgoing.put))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.running is not None
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)

    async def start(self) -> dict[str, Any]:
        """Wait for the head of the answer."""
        head = await self._take(5.0)
        assert head["type"] == "http.response.start"
        return head

    async def chunk(self, *, within: float = 5.0) -> bytes | None:
        """Wait for the next piece of the answer; None when it is complete."""
        message = await self._take(within)
        body: bytes = message.get("body", b"")
        return body if message.get("more_body") or body else None

    async def _take(self, within: float) -> dict[str, Any]:
        async with asyncio.timeout(within):
            return await self._outgoing.get()

    def leave(self) -> None:
        """Close the connection, as the client."""
        self._incoming.put_nowait({"type": "http.disconnect"})
