"""
WebSockets and other upgrades through a listening proxy.
"""

from __future__ import annotations

import asyncio
import contextlib

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket

from proxyd.config import Limits
from tests.integration.proxyd.peers import Client, World, eventually, read_head

#: As Firefox has it: `Connection` is a list.
ASK = b"GET /tok/ws HTTP/1.1\r\nHost: apps.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo/1\r\n\r\n"
AGREE = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n"


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    _, pairs = await read_head(reader)
    assert dict(pairs)["connection"] == "upgrade"
    assert dict(pairs)["upgrade"] == "echo/1"
    writer.write(AGREE + b"welcome")
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write(b"bye")


async def _open(world: World) -> Client:
    client = await world.client()
    client.send(ASK)
    line, pairs = await read_head(client.reader)
    assert line == "HTTP/1.1 101 Switching Protocols"
    headers = dict(pairs)
    assert headers["connection"] == "upgrade"
    assert headers["upgrade"] == "echo/1"
    assert headers["x-plane-backend-id"] == "b1"
    return client


async def test_a_websocket_echoes(world: World) -> None:
    """A real client and a real server, text and large frames, and the count of what is open."""

    async def echo(socket: ServerConnection) -> None:
        async for message in socket:
            await socket.send(message)

    async with serve_websocket(echo, "127.0.0.1", 0, max_size=None) as server:
        host, port = next(iter(server.sockets)).getsockname()
        world.lead("tok", f"{host}:{port}", cluster=f"127.0.0.1:{world.port}")
        async with connect(
            f"ws://127.0.0.1:{world.port}/tok/ws", max_size=None, compression=None, proxy=None
        ) as socket:
            await socket.send("hello")
            assert await socket.recv() == "hello"
            big = b"x" * 3_000_000
            await socket.send(big)
            assert await socket.recv() == big
            assert world.in_use == 1
        await eventually(lambda: world.in_use == 0)
    await eventually(lambda: any(line["event"] == "tunnel_ended" for line in world.log_lines()))
    [line] = world.log_lines()
    assert (line["status"], line["path"]) == (101, "/ws")
    assert line["sent"] > 3_000_000
    assert line["received"] > 3_000_000


async def test_each_side_of_a_tunnel_may_stop_first(world: World) -> None:
    """The other goes on until it stops as well."""
    await world.backend(serve=_echo)
    client = await _open(world)
    assert await client.reader.readexactly(7) == b"welcome"
    client.send(b"some bytes")
    assert await client.reader.readexactly(10) == b"some bytes"
    client.writer.write_eof()
    async with asyncio.timeout(5):
        assert await client.reader.read() == b"bye"
    await eventually(lambda: world.in_use == 0)
    await eventually(lambda: not world.proxy.board.connections)


async def test_bytes_sent_before_the_agreement_are_not_lost(world: World) -> None:
    """They wait, and go through the tunnel."""
    await world.backend(serve=_echo)
    client = await world.client()
    client.send(ASK + b"early")
    await read_head(client.reader)
    async with asyncio.timeout(5):
        assert await client.reader.readexactly(12) == b"welcomeearly"


async def test_a_tunnel_slows_its_faster_side_down(world: World) -> None:
    """Nobody gathers what nobody reads."""
    await world.backend(serve=_echo)
    client = await _open(world)
    client.send(bytes(120 * 1024 * 1024))  # read by nobody: the echo's own buffers fill, and then ours
    await asyncio.sleep(0.5)
    assert client.writer.transport.get_write_buffer_size() > 32 * 1024 * 1024
    received = 0
    async with asyncio.timeout(30):
        while received < 120 * 1024 * 1024:
            received += len(await client.reader.read(2**20))


async def test_a_refused_upgrade_is_an_ordinary_answer(world: World) -> None:
    """And the connection goes on."""
    backend = await world.backend()
    client = await world.client()
    client.send(ASK)
    assert (await client.reply()).body == b"hello"
    assert (await client.get("/tok/")).status == 200
    assert backend.connections == 1


async def test_nobody_tunnels_http_2(world: World) -> None:
    """It would carry requests past us, with verified headers of the client's own making."""
    backend = await world.backend()
    client = await world.client()
    await client.get("/tok/", extra="Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n")
    [seen] = backend.seen
    assert {"connection", "upgrade", "http2-settings"}.isdisjoint(seen.headers)


async def test_an_upgrade_that_nobody_asked_for_is_502(world: World) -> None:
    """A backend cannot turn a plain request into a tunnel."""
    backend = await world.backend()
    backend.answer = AGREE
    client = await world.client()
    assert (await client.get("/tok/")).status == 502


async def test_a_revoked_token_closes_its_websocket(world: World) -> None:
    """And not that of another user of the same backend."""
    backend = await world.backend(serve=_echo)
    assert backend.server is not None
    host, port = backend.server.sockets[0].getsockname()
    world.lead("other", f"{host}:{port}")
    mine = await _open(world)
    theirs = await world.client()
    theirs.send(ASK.replace(b"/tok/", b"/other/"))
    await read_head(theirs.reader)
    assert world.in_use == 2
    world.routes["tok"] = None
    world.link.revoke("b1", ["tok"], close=True)
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionError):
            assert await mine.reader.read() in (b"welcome", b"")
    await eventually(lambda: world.in_use == 1)
    theirs.send(b"still here")
    assert await theirs.reader.readexactly(17) == b"welcomestill here"
    again = await world.client()
    assert (await again.get("/tok/")).status == 410


async def test_a_revocation_without_close_leaves_what_is_open(world: World) -> None:
    """New requests are refused, open ones go on."""
    await world.backend(serve=_echo)
    client = await _open(world)
    world.routes["tok"] = None
    world.link.revoke("b1", None, close=False)
    await asyncio.sleep(0.02)
    client.send(b"x")
    assert await client.reader.readexactly(8) == b"welcomex"
    assert (await (await world.client()).get("/tok/")).status == 410


async def test_the_end_of_a_backend_ends_its_tunnels(world: World) -> None:
    """The client sees its connection go, also one that would never hang up by itself."""
    backend = await world.backend(serve=_echo)
    client = await _open(world)
    await backend.stop()
    async with asyncio.timeout(5):
        await client.reader.read()
    assert world.in_use == 1  # as far as we can see, the backend may only have stopped sending
    world.link.remove("b1")
    await eventually(lambda: world.in_use == 0)


async def test_a_tunnel_of_which_one_side_has_stopped_ends_when_nothing_moves() -> None:
    """A side that is gone looks like one that only listens, for a while."""
    world = World(Limits(half_closed=0.2))
    await world.start()
    backend = await world.backend(serve=_echo)
    await _open(world)
    await backend.stop()
    await eventually(lambda: world.in_use == 0)
    await world.stop()
