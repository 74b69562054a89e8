"""
What stands around a proxy in these tests: a controller behind an in-memory link, raw backends, and raw clients.

Raw, because a well-behaved library hides exactly what a proxy must get right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from daemonkit.link import MemoryLink
from options.types import ControllerAddress
from protocol.channel import Handshake, Version
from protocol.proxy_messages import FromProxy, ToProxy
from protocol.routes import BackendRemoved, RouteInfo, RouteInfoRequest, RouteInfoResponse, RoutePending, TokensRevoked
from proxyd.access_log import AccessLog
from proxyd.config import Limits, Settings
from proxyd.service import EXTENSIONS, Proxy

CLUSTER = "apps.test"
VERSION = Version("1.2.3", "abc")

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class ControllerLink(MemoryLink):
    """A controller that answers questions about tokens from a table, on the next turn of the loop."""

    def __init__(self, proxy: Proxy, routes: dict[str, RouteInfo | None], extensions: list[str]) -> None:
        super().__init__(Handshake(VERSION, "co-fake", extensions=extensions))
        self.proxy = proxy
        self.routes = routes
        self.asked: list[str] = []
        self.in_use: list[str] = []
        self.is_mute = False

    def send(self, message: msgspec.Struct) -> None:
        super().send(message)
        assert isinstance(message, FromProxy)
        if isinstance(message.variant, RouteInfoRequest):
            self.asked.append(message.variant.token)
            if not self.is_mute and message.variant.token in self.routes:
                self.answer(message.variant.token)
        elif not isinstance(message.in_use, msgspec.UnsetType):
            self.in_use += [report.backend for report in message.in_use.backends]
        elif not isinstance(message.keep_alive, msgspec.UnsetType):
            self.in_use.append(message.keep_alive)

    def say(self, message: ToProxy) -> None:
        """Have the proxy receive a message soon."""
        asyncio.get_running_loop().call_soon(self.proxy.received, message)

    def answer(self, token: str) -> None:
        """Answer the question about a token."""
        self.say(ToProxy(route_info_response=RouteInfoResponse(token, self.routes[token])))

    def hold(self, token: str, backend: str) -> None:
        """Say that the answer will take long."""
        self.say(ToProxy(route_pending=RoutePending(token, backend)))

    def revoke(self, backend: str, tokens: list[str] | None, *, close: bool) -> None:
        """Take tokens back."""
        self.say(ToProxy(tokens_revoked=TokensRevoked(backend, tokens, close)))

    def remove(self, backend: str) -> None:
        """Say that a backend is gone."""
        self.say(ToProxy(backend_removed=BackendRemoved(backend)))


@dataclass
class Reply:
    """An answer as a client read it."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    pairs: list[tuple[str, str]] = field(default_factory=list)


class Client:
    """A raw connection to the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def get(self, path: str, *, extra: str = "", host: str = CLUSTER, method: str = "GET") -> Reply:
        """Make a request without a body and read its answer."""
        self.send(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{extra}\r\n".encode())
        return await self.reply(method)

    async def reply(self, method: str = "GET") -> Reply:
        """Read one answer, 1xx included."""
        async with asyncio.timeout(10):
            return await read_reply(self.reader, method)

    async def at_end(self) -> bool:
        """Tell whether the proxy hangs up, having sent nothing more."""
        async with asyncio.timeout(5):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True

    async def close(self) -> None:
        self.writer.close()
        await asyncio.sleep(0)


async def read_head(reader: asyncio.StreamReader) -> tuple[str, list[tuple[str, str]]]:
    """Read a head: its first line, and its headers in lower case."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("utf-8").split("\r\n")
    pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in head[1:] if line)]
    return head[0], pairs


async def read_reply(reader: asyncio.StreamReader, method: str) -> Reply:
    """Read an answer and its body."""
    line, pairs = await read_head(reader)
    reply = Reply(int(line.split()[1]), dict(pairs), pairs=pairs)
    if method == "HEAD" or reply.status in (204, 304) or reply.status < 200:
        return reply
    reply.body = await read_body(reader, reply.headers)
    return reply


async def read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    """Read a body by its framing."""
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += await reader.readexactly(size)
            assert await reader.readexactly(2) == b"\r\n"
        assert await reader.readexactly(2) == b"\r\n"
        return body
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    return await reader.read()


@dataclass
class Seen:
    """A request as a backend saw it."""

    line: str
    pairs: list[tuple[str, str]]
    body: bytes
    connection: int

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.pairs)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]


class Backend:
    """A backend on a port of its own; answers each request with what `answer` holds, or serves by hand."""

    def __init__(self, serve: Serve | None = None) -> None:
        self.seen: list[Seen] = []
        self.connections = 0
        self.open = 0
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
        self._serve = serve or self._by_default
        self._tasks: set[asyncio.Task[Any]] = set()
        self.server: asyncio.Server | None = None

    async def start(self) -> str:
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=2**20)
        host, port = self.server.sockets[0].getsockname()
        return f"{host}:{port}"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()
            self._tasks.discard(task)

    async def _by_default(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self.connections
        while True:
            line, pairs = await read_head(reader)
            headers = dict(pairs)
            has_body = "content-length" in headers or "transfer-encoding" in headers
            body = await read_body(reader, headers) if has_body else b""
            self.seen.append(Seen(line, pairs, body, number))
            writer.write(self.answer)
            if b"connection: close" in self.answer.lower():
                return

    async def stop(self) -> None:
        if self.server is not None:
            self.server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


class World:
    """A listening proxy with its controller, and the backends that a test adds."""

    def __init__(self, limits: Limits | None = None, **settings: Any) -> None:
        self.routes: dict[str, RouteInfo | None] = {}
        self.lines: list[dict[str, Any]] = []
        self._limits = limits or Limits()
        self._settings = settings
        self._backends: list[Backend] = []
        self._clients: list[Client] = []

    async def start(self, *, extensions: list[str] | None = None, connected: bool = True) -> None:
        loop = asyncio.get_running_loop()
        settings = Settings(
            controller=ControllerAddress("http://127.0.0.1:1"),
            cluster=CLUSTER,
            name="px-test",
            http_port=0,
            bind_hosts=("127.0.0.1",),
            limits=self._limits,
            **self._settings,
        )
        self.log = AccessLog(loop.time, lambda: 1_700_000_000.0, write=self._keep_lines)
        self.proxy = Proxy(settings, VERSION, log_to=self.log, loop=loop)
        self.server = await self.proxy.listen()
        self.port = self.server.sockets[0].getsockname()[1]
        known = [str(name) for name in EXTENSIONS] if extensions is None else extensions
        self.link = ControllerLink(self.proxy, self.routes, known)
        self._chores = self.proxy.chores()
        await self._chores.__aenter__()
        if connected:
            self.proxy.connected(self.link)

    def _keep_lines(self, lines: bytes) -> None:
        self.lines += [msgspec.json.decode(line) for line in lines.splitlines()]

    def log_lines(self) -> list[dict[str, Any]]:
        self.log.flush()
        return self.lines

    async def backend(self, token: str = "tok", serve: Serve | None = None, **route: Any) -> Backend:
        """Start a backend, and have a token lead to it."""
        backend = Backend(serve)
        self._backends.append(backend)
        self.lead(token, await backend.start(), **route)
        return backend

    def lead(self, token: str, address: str, **route: Any) -> None:
        """Have the controller say that a token leads to an address."""
        facts: dict[str, Any] = {
            "backend_id": "b1",
            "secret_token": "sssh",
            "cluster": CLUSTER,
            "user": "zoë",
            "user_data": {"a": "ü"},
        }
        self.routes[token] = RouteInfo(address=address, **{**facts, **route})

    async def client(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port, limit=2**20))
        self._clients.append(client)
        return client

    @property
    def in_use(self) -> int:
        """How many requests and tunnels the proxy counts as open."""
        return sum(usage.count for usage in self.proxy.board.activity._usages.values())

    async def stop(self) -> None:
        await self._chores.__aexit__(None, None, None)
        self.server.close()
        for client in self._clients:
            client.writer.transport.abort()
        for connection in list(self.proxy.board.connections):
            connection.cut()
        self.proxy.board.pools.close()
        for backend in self._backends:
            await backend.stop()
        await asyncio.sleep(0.01)


async def eventually(check: Callable[[], bool], *, within: float = 5.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(within):
        while not check():  # noqa: ASYNC110 - what is waited for knows of no event
            await asyncio.sleep(0.005)
