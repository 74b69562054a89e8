"""
What a proxy tells the controller of backends in use.
"""

from __future__ import annotations

import asyncio

from tests.integration.proxyd.peers import World, eventually, read_head


async def test_a_short_request_counts_at_once(world: World) -> None:
    """Not only what happens to be open at a heartbeat; but many in a row are told once."""
    await world.backend()
    client = await world.client()
    for _ in range(10):
        await client.get("/tok/")
    assert world.link.in_use == ["b1"]
    world.proxy.board.keepalive.tick()
    assert world.link.in_use == ["b1", "b1"]  # the nine others, together


async def test_an_open_download_counts_at_every_heartbeat(world: World) -> None:
    """Lesson: idle detection that counted only WebSockets stopped backends in the middle of a download."""
    end = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        await end.wait()

    await world.backend(serve=serve)
    client = await world.client()
    client.send(b"GET /tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n")
    await read_head(client.reader)
    for beats in range(2, 5):
        world.proxy.board.keepalive.tick()
        assert world.link.in_use == ["b1"] * beats
    end.set()
    await eventually(lambda: world.in_use == 0)
    world.proxy.board.keepalive.tick()
    assert len(world.link.in_use) == 4


async def test_an_upload_without_an_answer_counts(world: World) -> None:
    """It may take hours."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await reader.read()

    await world.backend(serve=serve)
    client = await world.client()
    client.send(b"POST /tok/ HTTP/1.1\r\nHost: apps.test\r\nContent-Length: 1000\r\n\r\nabc")
    await eventually(lambda: world.in_use == 1)
    assert world.link.in_use == []
    world.proxy.board.keepalive.tick()
    assert world.link.in_use == ["b1"]


async def test_use_while_the_controller_is_away_is_told_afterwards(world: World) -> None:
    """Counts survive a reconnect."""
    await world.backend()
    client = await world.client()
    await client.get("/tok/")
    world.proxy.disconnected()
    await asyncio.sleep(1.1)
    await client.get("/tok/")
    world.proxy.board.keepalive.tick()
    assert world.link.in_use == ["b1"]
    world.proxy.connected(world.link)
    assert world.link.in_use == ["b1", "b1"]
