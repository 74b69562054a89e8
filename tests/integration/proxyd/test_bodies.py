"""
Bodies through a listening proxy: both framings, both ways, large ones, broken ones, and answers without any.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import struct

import pytest

from tests.integration.proxyd.peers import World, eventually, read_head

MEGABYTE = 1024 * 1024


async def test_a_body_with_a_length_goes_up(world: World) -> None:
    """Whole, in pieces, and with the next request right behind it."""
    backend = await world.backend()
    client = await world.client()
    client.send(b"POST /tok/ HTTP/1.1\r\nHost: apps.test\r\nContent-Length: 10\r\n\r\n01234")
    await asyncio.sleep(0.02)
    client.send(b"56789GET /tok/next HTTP/1.1\r\nHost: apps.test\r\n\r\n")
    assert (await client.reply()).status == 200
    assert (await client.reply()).status == 200
    assert [(seen.line.split()[1], seen.body) for seen in backend.seen] == [("/", b"0123456789"), ("/next", b"")]


async def test_a_chunked_body_goes_up_in_chunks(world: World) -> None:
    """Framed anew: extensions and trailers end here, whatever is cut where."""
    backend = await world.backend()
    client = await world.client()
    head = b"POST /tok/ HTTP/1.1\r\nHost: apps.test\r\nTransfer-Encoding: Chunked\r\n\r\n"
    for piece in (head, b"5;x=1\r\nhel", b"lo\r", b"\n6\r\n world\r\n0\r\nX-Verified-Username: eve\r\n", b"\r\n"):
        client.send(piece)
        await asyncio.sleep(0.01)
    assert (await client.reply()).status == 200
    [seen] = backend.seen
    assert seen.body == b"hello world"
    assert seen.all("transfer-encoding") == ["chunked"]
    assert (await client.get("/tok/")).status == 200


async def test_bad_chunks_are_refused(world: World) -> None:
    """And what would have followed them is never taken for a request."""
    backend = await world.backend()
    for chunk in (
        b"-5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"5\nhello\r\n",
        b"5\r\nhelloX\r\n",
        b"\r\n",
    ):
        client = await world.client()
        client.send(b"POST /tok/ HTTP/1.1\r\nHost: apps.test\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk)
        client.send(b"0\r\n\r\nGET /tok/smuggled HTTP/1.1\r\nHost: apps.test\r\n\r\n")
        assert (await client.reply()).status == 400, chunk
        assert await client.at_end()
    assert backend.seen == []
    assert world.in_use == 0


async def test_a_chunked_answer_comes_down_in_chunks(world: World) -> None:
    """Its connection is used again."""
    backend = await world.backend()
    backend.answer = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n1\r\n!\r\n0\r\nT: x\r\n\r\n"
    client = await world.client()
    for _ in range(3):
        reply = await client.get("/tok/")
        assert (reply.body, reply.headers["transfer-encoding"]) == (b"hello!", "chunked")
    assert backend.connections == 1


async def test_an_answer_that_ends_with_its_connection_comes_down_in_chunks(world: World) -> None:
    """So that the client's own connection can stay."""
    backend = await world.backend()
    backend.answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end"
    client = await world.client()
    for _ in range(2):
        assert (await client.get("/tok/")).body == b"until the end"
    assert backend.connections == 2


async def test_answers_without_a_body(world: World) -> None:
    """HEAD keeps the length it tells of, 304 too; 204 has none. The connection is used again after each."""
    backend = await world.backend()
    client = await world.client()
    for method, status, fields, length in [
        ("HEAD", "200 OK", b"Content-Length: 5000\r\n", "5000"),
        ("GET", "304 Not Modified", b'Content-Length: 77\r\nETag: "x"\r\n', "77"),
        ("GET", "204 No Content", b"", None),
        ("GET", "204 No Content", b"Content-Length: 0\r\n", None),
        ("HEAD", "200 OK", b"Transfer-Encoding: chunked\r\n", None),
        ("HEAD", "200 OK", b"", None),
    ]:
        backend.answer = f"HTTP/1.1 {status}\r\n".encode() + fields + b"\r\n"
        reply = await client.get("/tok/", method=method)
        assert (str(reply.status), reply.headers.get("content-length")) == (status.split()[0], length)
    backend.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    assert (await client.get("/tok/")).body == b"ok"
    assert (await client.get("/wrong", method="HEAD")).status == 410 if world.routes.setdefault("wrong", None) else True
    assert backend.connections == 1


async def test_a_backend_that_dies_in_the_middle_is_noticed(world: World) -> None:
    """By length, by chunks, and by a reset: a client never takes half an answer for a whole."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, _ = await read_head(reader)
        framing = b"Content-Length: 100" if b"length" in line.encode() else b"Transfer-Encoding: chunked"
        writer.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n5\r\nhello\r\n")
        await writer.drain()

    await world.backend(serve=serve)
    for path in ("/tok/length", "/tok/chunks"):
        client = await world.client()
        client.send(f"GET {path} HTTP/1.1\r\nHost: apps.test\r\n\r\n".encode())
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.reply()
    assert world.in_use == 0


async def test_a_reset_is_not_the_end_of_an_endless_answer(world: World) -> None:
    """Where the end of the connection is the end of the body, only a clean one counts."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhalf of it")
        await asyncio.sleep(0.05)
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    await world.backend(serve=serve)
    client = await world.client()
    client.send(b"GET /tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n")
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await client.reply()


async def test_fifty_megabytes_up_with_little_memory(world: World) -> None:
    """A backend that reads slowly slows its client down; nothing is gathered in between."""
    size = 50 * MEGABYTE
    released = asyncio.Event()
    received = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        await read_head(reader)
        await released.wait()
        while received < size:
            received += len(await reader.read(MEGABYTE))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")

    await world.backend(serve=serve)
    client = await world.client()
    client.send(b"POST /tok/ HTTP/1.1\r\nHost: apps.test\r\nContent-Length: %d\r\n\r\n" % size)
    before = _memory()
    sending = asyncio.create_task(_send(client.writer, size))
    await asyncio.sleep(0.3)
    # Stopped by back-pressure: what is on its way fits into the sockets' buffers.
    assert not sending.done()
    released.set()
    async with asyncio.timeout(30):
        await sending
        assert (await client.reply()).body == b"done"
    assert received == size
    assert _memory() - before < 20 * MEGABYTE


async def test_fifty_megabytes_down_with_little_memory(world: World) -> None:
    """A client that reads slowly slows its backend down."""
    size = 50 * MEGABYTE
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // MEGABYTE):
            writer.write(bytes(MEGABYTE))
            await writer.drain()
            sent += MEGABYTE

    await world.backend(serve=serve)
    client = await world.client()
    before = _memory()
    client.send(b"GET /tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n")
    await asyncio.sleep(0.3)
    stuck_at = sent
    assert stuck_at < size
    await asyncio.sleep(0.1)
    assert sent == stuck_at
    async with asyncio.timeout(30):
        await read_head(client.reader)
        received = 0
        while received < size:
            received += len(await client.reader.read(MEGABYTE))
    assert _memory() - before < 20 * MEGABYTE
    await eventually(lambda: world.in_use == 0)


async def test_an_upload_and_its_answer_at_the_same_time(world: World) -> None:
    """An echo that answers while it still reads."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        for _ in range(3):
            writer.write(await reader.readexactly(2))

    await world.backend(serve=serve)
    client = await world.client()
    client.send(b"POST /tok/ HTTP/1.1\r\nHost: apps.test\r\nContent-Length: 6\r\n\r\n")
    await read_head(client.reader)
    for piece in (b"ab", b"cd", b"ef"):
        client.send(piece)
        assert await client.reader.readexactly(2) == piece


async def test_an_answer_that_comes_before_the_body_ends(world: World) -> None:
    """The client gets it, and its connection is closed: the rest of the body is nobody's."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        await writer.drain()
        await reader.read()

    await world.backend(serve=serve)
    client = await world.client()
    client.send(b"POST /tok/ HTTP/1.1\r\nHost: apps.test\r\nContent-Length: 1000000\r\n\r\nbeginning")
    reply = await client.reply()
    assert (reply.status, reply.body, reply.headers["connection"]) == (413, b"big", "close")
    client.send(b"GET /tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n")
    assert await client.at_end()
    assert world.in_use == 0


async def test_continue_is_the_backends_to_say(world: World) -> None:
    """100 goes through, and the body after it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, pairs = await read_head(reader)
        assert dict(pairs)["expect"] == "100-continue"
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(3)
        writer.write(
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + body
        )

    await world.backend(serve=serve)
    client = await world.client()
    client.send(b"PUT /tok/ HTTP/1.1\r\nHost: apps.test\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n")
    assert (await client.reply()).status == 100
    client.send(b"abc")
    assert (await client.reply()).headers == {"link": "</x>"}
    assert (await client.reply()).body == b"abc"


async def test_a_client_that_breaks_off_takes_its_request_along(world: World) -> None:
    """The backend sees its connection go, and nothing counts as open."""
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await read_head(reader)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        gone.set()

    await world.backend(serve=serve)
    client = await world.client()
    client.send(b"POST /tok/ HTTP/1.1\r\nHost: apps.test\r\nContent-Length: 10\r\n\r\nabc")
    await eventually(lambda: world.in_use == 1)
    client.writer.write_eof()  # the body can never be whole
    async with asyncio.timeout(5):
        await gone.wait()
    assert world.in_use == 0


async def _send(writer: asyncio.StreamWriter, size: int) -> None:
    for _ in range(size // MEGABYTE):
        writer.write(bytes(MEGABYTE))
        await writer.drain()


def _memory() -> int:
    """The most this process has ever used."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
