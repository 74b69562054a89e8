"""
A controller for tests of daemons: a real WebSocket server that speaks JSON as written in the wire's description.

It knows nothing of our structs, so that it cannot share their mistakes. Tests say what it answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

Json = dict[str, Any]

HANDSHAKE: Json = {
    "version": {"version": "9.9.9", "git_hash": "other"},
    "name": "co-faked",
    "extensions": ["batch", "instance", "capacity"],
}


class Visit:
    """One connection of a daemon."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        assert socket.request is not None
        self.headers = socket.request.headers
        self.path = socket.request.path
        self.handshake: Json = {}
        self.messages: list[Json] = []  #: everything received after the handshake, batches taken apart
        self.frames: list[Json] = []

    async def say(self, message: Json | str | bytes) -> None:
        """Send one frame."""
        await self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    def of_kind(self, kind: str) -> list[Any]:
        """Return the contents of all messages of a kind, oldest first."""
        return [message[kind] for message in self.messages if kind in message]

    def take(self, frame: Json) -> Iterable[Json]:
        """Note one frame, and return the messages in it."""
        self.frames.append(frame)
        messages = frame.get("Batch", [frame])
        self.messages.extend(messages)
        return list(messages)


class FakeController:
    """Accepts daemons. `answer` is called with each message, and what it returns is sent back."""

    def __init__(self) -> None:
        self.handshake: Json | str | None = HANDSHAKE
        self.visits: list[Visit] = []
        self.answer: Callable[[Visit, Json], Iterable[Json]] = lambda _visit, _message: ()
        self.reading = asyncio.Event()
        self.reading.set()
        self.port = 0
        self._arrived = asyncio.Condition()

    @property
    def url(self) -> str:
        """The address that daemons are given."""
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[FakeController]:
        """Listen, on the same port each time; all connections end with the block."""
        async with serve(self._serve, "127.0.0.1", self.port, close_timeout=0.2, max_size=None) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            try:
                yield self
            finally:
                self.reading.set()

    async def visit(self, number: int = 0, *, within: float = 10.0) -> Visit:
        """Wait for the connection with this number, counted from 0, to have shaken hands."""
        async with asyncio.timeout(within), self._arrived:
            await self._arrived.wait_for(lambda: len(self.visits) > number)
        return self.visits[number]

    async def _serve(self, socket: ServerConnection) -> None:
        visit = Visit(socket)
        with contextlib.suppress(ConnectionClosed):
            visit.handshake = json.loads(await socket.recv())
            if self.handshake is not None:
                await visit.say(self.handshake)
            async with self._arrived:
                self.visits.append(visit)
                self._arrived.notify_all()
            await self.reading.wait()
            async for frame in socket:
                for message in visit.take(json.loads(frame)):
                    for answer in self.answer(visit, message):
                        await visit.say(answer)
