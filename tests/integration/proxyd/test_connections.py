"""
How connections are kept, shared and ended on both sides of a proxy.
"""

from __future__ import annotations

import asyncio

from proxyd.config import Limits
from proxyd.frontend import Frontend
from tests.integration.proxyd.peers import World, eventually, read_head


async def test_requests_sent_ahead_are_answered_in_order(world: World) -> None:
    """One at a time, also two thousand of them at once."""
    backend = await world.backend()
    client = await world.client()
    for number in range(100):
        client.send(f"GET /tok/{number} HTTP/1.1\r\nHost: apps.test\r\n\r\n".encode())
    for _ in range(100):
        assert (await client.reply()).status == 200
    assert [seen.line for seen in backend.seen] == [f"GET /{number} HTTP/1.1" for number in range(100)]
    client.send(b"GET /ready HTTP/1.1\r\nHost: apps.test\r\n\r\n" * 2000)
    for _ in range(2000):
        assert (await client.reply()).status == 200


async def test_a_client_that_sends_ahead_without_end_is_slowed_down(world: World) -> None:
    """What is kept is bounded."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await reader.read()

    await world.backend(serve=serve)
    client = await world.client()
    client.send(b"GET /tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n")
    client.send(bytes(20 * 1024 * 1024))
    await asyncio.sleep(0.3)
    assert client.writer.transport.get_write_buffer_size() > 8 * 1024 * 1024


async def test_each_request_sent_ahead_lets_in_no_more_than_it_takes_off(world: World) -> None:
    """Else one client takes all memory, and all time to copy it."""
    await world.backend()
    client = await world.client()
    client.send(b"GET /tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n" * 200_000)
    kept = 0
    for _ in range(300):
        await client.reply()
        [connection] = world.proxy.board.connections
        assert isinstance(connection, Frontend)
        kept = max(kept, len(connection._kept))
    # What the loop reads at once may come on top.
    assert world.proxy.board.limits.kept < kept < world.proxy.board.limits.kept + 300 * 1024


async def test_http_1_0_clients(world: World) -> None:
    """They know no chunks, and keep their connection only when they say so."""
    backend = await world.backend()
    backend.answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    client = await world.client()
    client.send(b"GET /tok/ HTTP/1.0\r\nHost: apps.test\r\nConnection: keep-alive\r\n\r\n")
    reply = await client.reply()
    assert reply.body == b"hello"
    assert "transfer-encoding" not in reply.headers
    backend.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    client = await world.client()
    for _ in range(2):
        client.send(b"GET /tok/ HTTP/1.0\r\nHost: apps.test\r\nConnection: Keep-Alive\r\n\r\n")
        reply = await client.reply()
        assert (reply.body, reply.headers["connection"]) == (b"ok", "keep-alive")
    client.send(b"GET /tok/ HTTP/1.0\r\nHost: apps.test\r\n\r\n")
    assert (await client.reply()).headers["connection"] == "close"
    assert await client.at_end()


async def test_http_1_0_backends(world: World) -> None:
    """Their connections are not used again unless they say so."""
    backend = await world.backend()
    backend.answer = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"
    client = await world.client()
    for _ in range(2):
        assert (await client.get("/tok/")).body == b"ok"
    assert backend.connections == 2


async def test_who_asks_to_close_is_closed(world: World) -> None:
    """Connection is a list, and close may stand anywhere in it."""
    await world.backend()
    client = await world.client()
    reply = await client.get("/tok/", extra="Connection: x, Close\r\n")
    assert reply.headers["connection"] == "close"
    assert await client.at_end()


async def test_a_half_closed_client_still_gets_its_answer(world: World) -> None:
    """It has said all it wanted to say, and listens."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await asyncio.sleep(0.1)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nafter")

    await world.backend(serve=serve)
    client = await world.client()
    client.send(b"GET /tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n")
    client.writer.write_eof()
    assert (await client.reply()).body == b"after"
    assert await client.at_end()


async def test_a_half_closed_client_that_is_really_gone_is_not_waited_for() -> None:
    """An answer that never begins does not keep its backend in use for ever."""
    world = World(Limits(half_closed=0.2))
    await world.start()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await reader.read()

    await world.backend(serve=serve)
    client = await world.client()
    client.send(b"GET /tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n")
    await eventually(lambda: world.in_use == 1)
    await client.close()
    await eventually(lambda: world.in_use == 0)
    await world.stop()


async def test_a_pooled_connection_that_dies_is_replaced_once(world: World) -> None:
    """The backend hung up just when the request was on its way: nobody notices."""
    answered = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        await read_head(reader)
        answered += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await read_head(reader)  # the second request on this connection gets no answer

    backend = await world.backend(serve=serve)
    client = await world.client()
    assert (await client.get("/tok/")).body == b"ok"
    assert (await client.get("/tok/")).body == b"ok"
    assert (answered, backend.connections) == (2, 2)
    # Once, not for ever; and not at all for what must not be done twice.
    assert (await client.get("/tok/", method="POST")).status == 502
    assert world.in_use == 0


async def test_what_must_not_be_done_twice_gets_no_old_connection() -> None:
    """A connection that has rested for long may be closed at the other end."""
    world = World(Limits(fresh_backend=0.01))
    await world.start()
    backend = await world.backend()
    client = await world.client()
    await client.get("/tok/")
    await asyncio.sleep(0.05)
    await client.get("/tok/")
    assert backend.connections == 1
    await asyncio.sleep(0.05)
    await client.get("/tok/", method="POST", extra="Content-Length: 0\r\n")
    assert backend.connections == 2
    await world.stop()


async def test_a_backend_that_speaks_unasked_is_not_used_again(world: World) -> None:
    """Or the next client would take it for the answer to its own request."""
    backend = await world.backend()
    backend.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" * 2
    first, second = await world.client(), await world.client()
    assert (await first.get("/tok/")).body == b"ok"
    backend.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes"
    assert (await second.get("/tok/")).body == b"yes"
    assert backend.connections == 2


async def test_a_backend_that_speaks_while_nobody_asks_is_hung_up_on(world: World) -> None:
    """Whatever it says, later than its answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await asyncio.sleep(0.05)
            writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")

    backend = await world.backend(serve=serve)
    client = await world.client()
    assert (await client.get("/tok/")).body == b"ok"
    await eventually(lambda: backend.open == 0)
    assert (await client.get("/tok/")).body == b"ok"
    assert backend.connections == 2


async def test_idle_connections_end() -> None:
    """In front after the idle limit, behind after theirs, and a head that never comes ends with 408."""
    world = World(Limits(idle_client=0.3, head=0.3, idle_backend=0.3))
    await world.start()
    backend = await world.backend()
    client, slow, silent = await world.client(), await world.client(), await world.client()
    await client.get("/tok/")
    slow.send(b"GET /tok/ HTT")
    assert (await slow.reply()).status == 408
    assert await client.at_end()
    assert await silent.at_end()
    await eventually(lambda: backend.open == 0)
    await eventually(lambda: not world.proxy.board.connections)
    await world.stop()


async def test_a_stop_lets_requests_end(world: World) -> None:
    """Idle connections go at once; what is in flight is answered, and told to close."""
    release = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await release.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    await world.backend(serve=serve)
    busy, idle = await world.client(), await world.client()
    await idle.get("/ready")
    busy.send(b"GET /tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n")
    await eventually(lambda: world.in_use == 1)
    draining = asyncio.create_task(world.proxy.drain())
    assert await idle.at_end()
    assert not draining.done()
    release.set()
    reply = await busy.reply()
    assert (reply.body, reply.headers["connection"]) == (b"ok", "close")
    async with asyncio.timeout(5):
        await draining


async def test_a_stop_does_not_wait_for_ever() -> None:
    """Whoever never ends is ended."""
    world = World(Limits(stop=0.2))
    await world.start()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await reader.read()

    await world.backend(serve=serve)
    client = await world.client()
    client.send(b"GET /tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n")
    await eventually(lambda: world.in_use == 1)
    async with asyncio.timeout(5):
        await world.proxy.drain()
    assert world.in_use == 0
    assert await client.at_end()
    await world.stop()
