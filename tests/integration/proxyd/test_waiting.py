"""
Requests whose route is not known yet, and what a controller may say or fail to say about it.
"""

from __future__ import annotations

import asyncio

from proxyd.config import Limits
from tests.integration.proxyd.peers import World, eventually


async def test_a_request_is_held_until_its_backend_is_ready() -> None:
    """Far longer than the patience for an answer, once the controller has said that it takes long."""
    world = World(Limits(answer=0.2))
    await world.start()
    world.link.is_mute = True
    await world.backend()
    client = await world.client()
    client.send(b"POST /tok/ HTTP/1.1\r\nHost: apps.test\r\nContent-Length: 5\r\n\r\nhello")
    await eventually(lambda: world.link.asked == ["tok"])
    world.link.hold("tok", "b1")
    await asyncio.sleep(0.7)
    world.link.answer("tok")
    assert (await client.reply()).status == 200
    await world.stop()


async def test_many_who_wait_cost_one_question(world: World) -> None:
    """And all are served by its answer."""
    backend = await world.backend()
    world.link.is_mute = True
    clients = [await world.client() for _ in range(20)]
    for client in clients:
        client.send(b"GET /tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n")
    await eventually(lambda: world.proxy.board.routes._holding.total == 20)
    world.link.answer("tok")
    for client in clients:
        assert (await client.reply()).status == 200
    assert world.link.asked == ["tok"]
    assert len(backend.seen) == 20


async def test_silence_is_503() -> None:
    """Lesson: an unknown token left all who waited hanging."""
    world = World(Limits(answer=0.3))
    await world.start()
    client = await world.client()
    reply = await client.get("/never-answered/")
    assert (reply.status, reply.headers["retry-after"]) == (503, "5")
    assert world.proxy.board.routes._holding.total == 0
    await world.stop()


async def test_holding_has_a_limit_in_time() -> None:
    """503 when the backend does not become ready."""
    world = World(Limits(answer=0.1, held=0.6))
    await world.start()
    client = await world.client()
    client.send(b"GET /tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n")
    await eventually(lambda: world.link.asked == ["tok"])
    world.link.hold("tok", "b1")
    await asyncio.sleep(0.3)
    assert world.proxy.board.routes._holding.total == 1
    reply = await client.reply()
    assert (reply.status, "retry-after" in reply.headers) == (503, True)
    await world.stop()


async def test_holding_has_a_limit_in_number() -> None:
    """Per backend, over its tokens, and in all; whoever is too many is told at once."""
    world = World(Limits(held_per_backend=2, held_in_all=3))
    await world.start()
    replies = []

    async def ask(token: str) -> None:
        client = await world.client()
        replies.append((token, (await client.get(f"/{token}/")).status))

    tasks = [asyncio.create_task(ask(token)) for token in ("t1", "t1", "t2")]
    await eventually(lambda: world.proxy.board.routes._holding.total == 3)
    await ask("t3")
    assert replies == [("t3", 503)]  # too many in all
    world.link.hold("t1", "b1")
    world.link.hold("t2", "b1")
    await eventually(lambda: ("t2", 503) in replies)  # too many for the backend
    assert world.proxy.board.routes._holding.total == 2
    for task in tasks:
        task.cancel()
    await world.stop()


async def test_a_client_that_leaves_is_forgotten(world: World) -> None:
    """Its place is free again."""
    client = await world.client()
    client.send(b"GET /tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n")
    await eventually(lambda: world.proxy.board.routes._holding.total == 1)
    await client.close()
    await eventually(lambda: world.proxy.board.routes._holding.total == 0)
    assert len(world.proxy.board.routes._lookups) == 0


async def test_a_question_is_asked_again_after_a_reconnect() -> None:
    """Lesson: a question sent while the controller was away never got an answer."""
    world = World()
    await world.start(connected=False)
    await world.backend()
    client = await world.client()
    client.send(b"GET /tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n")
    await asyncio.sleep(0.1)
    assert world.link.asked == []
    world.link.is_mute = True
    world.proxy.connected(world.link)
    world.proxy.disconnected()
    world.link.is_mute = False
    world.proxy.connected(world.link)
    assert world.link.asked == ["tok", "tok"]
    assert (await client.reply()).status == 200
    await world.stop()


async def test_a_controller_that_does_not_tell_of_holding_is_waited_for() -> None:
    """A published one just holds its answer."""
    world = World(Limits(answer=0.1))
    await world.start(extensions=[])
    await world.backend()
    world.link.is_mute = True
    client = await world.client()
    client.send(b"GET /tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n")
    await asyncio.sleep(0.6)
    world.link.answer("tok")
    assert (await client.reply()).status == 200
    world.proxy.board.keepalive.tick()
    await eventually(lambda: "b1" in world.link.in_use)
    await world.stop()


async def test_a_wrong_token_is_not_wrong_for_ever(world: World) -> None:
    """Lesson: a token minted a moment later never worked. An answer about it counts at once."""
    client = await world.client()
    world.routes["tok"] = None
    for _ in range(3):
        assert (await client.get("/tok/")).status == 410
    assert world.link.asked == ["tok"]
    await world.backend()
    world.link.answer("tok")
    await asyncio.sleep(0.01)
    assert (await client.get("/tok/")).status == 200


async def test_a_backend_that_is_removed_is_asked_about_again(world: World) -> None:
    """And its idle connections are closed."""
    backend = await world.backend()
    client = await world.client()
    assert (await client.get("/tok/")).status == 200
    world.routes["tok"] = None
    world.link.remove("b1")
    await eventually(lambda: backend.open == 0)
    assert (await client.get("/tok/")).status == 410


async def test_routes_are_doubted_after_a_reconnect(world: World) -> None:
    """A removal may have been missed: the known route serves once more, and is asked about meanwhile."""
    await world.backend()
    client = await world.client()
    assert (await client.get("/tok/")).status == 200
    world.proxy.disconnected()
    world.routes["tok"] = None
    world.proxy.connected(world.link)
    assert (await client.get("/tok/")).status == 200
    await eventually(lambda: world.link.asked == ["tok", "tok"])
    await asyncio.sleep(0.02)
    assert (await client.get("/tok/")).status == 410


async def test_an_expired_route_is_asked_about_again(world: World) -> None:
    """Not used past its time; refreshed a little before."""
    await world.backend(expires_in_ms=200)
    client = await world.client()
    assert (await client.get("/tok/")).status == 200
    world.routes["tok"] = None
    await asyncio.sleep(0.25)
    assert (await client.get("/tok/")).status == 410
    assert world.link.asked == ["tok", "tok"]
