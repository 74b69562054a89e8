"""
Heads that two parsers could read differently: refused here, and never seen by a backend.
"""

from __future__ import annotations

import pytest

from tests.integration.proxyd.peers import World

#: Behind each of these heads, a request that a fooled backend would take for one of its own.
SMUGGLED = b"GET /tok/smuggled HTTP/1.1\r\nHost: apps.test\r\n\r\n"


def _post(fields: bytes) -> bytes:
    return b"POST /tok/ HTTP/1.1\r\nHost: apps.test\r\n" + fields + b"\r\n"


HOSTILE = {
    "two lengths": (_post(b"Content-Length: 5\r\nContent-Length: 6\r\n"), 400),
    "two equal lengths": (_post(b"Content-Length: 5\r\nContent-Length: 5\r\n"), 400),
    "a list of lengths": (_post(b"Content-Length: 5, 5\r\n"), 400),
    "a signed length": (_post(b"Content-Length: +5\r\n"), 400),
    "a negative length": (_post(b"Content-Length: -5\r\n"), 400),
    "a hexadecimal length": (_post(b"Content-Length: 0x5\r\n"), 400),
    "an empty length": (_post(b"Content-Length:\r\n"), 400),
    "an endless length": (_post(b"Content-Length: 99999999999999999999999\r\n"), 400),
    "length and chunks": (_post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400),
    "chunks and length": (_post(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400),
    "two codings": (_post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400),
    "another coding": (_post(b"Transfer-Encoding: gzip\r\n"), 400),
    "another coding before": (_post(b"Transfer-Encoding: gzip, chunked\r\n"), 501),
    "another coding after": (_post(b"Transfer-Encoding: chunked, identity\r\n"), 400),
    "an odd coding": (_post(b"Transfer-Encoding: xchunked\r\n"), 400),
    "a quoted coding": (_post(b'Transfer-Encoding: "chunked"\r\n'), 400),
    "a coding behind a control": (_post(b"Transfer-Encoding: \x0bchunked\r\n"), 400),
    "a space before the colon": (_post(b"Transfer-Encoding : chunked\r\n"), 400),
    "a tab before the colon": (_post(b"Content-Length\t: 5\r\n"), 400),
    "a folded line": (_post(b"X: a\r\n Transfer-Encoding: chunked\r\n"), 400),
    "a folded first line": (b"POST /tok/ HTTP/1.1\r\n Host: apps.test\r\n\r\n", 400),
    "a line without a colon": (_post(b"Transfer-Encoding\r\n"), 400),
    "a line without a name": (_post(b": chunked\r\n"), 400),
    "a name with a space": (_post(b"X Y: 1\r\n"), 400),
    "a bare LF": (_post(b"X: a\nTransfer-Encoding: chunked\r\n"), 400),
    "a bare CR": (_post(b"X: a\rTransfer-Encoding: chunked\r\n"), 400),
    "a NUL": (_post(b"X: a\x00b\r\n"), 400),
    "a control character": (_post(b"X: a\x1bb\r\n"), 400),
    "a DEL": (_post(b"X: a\x7fb\r\n"), 400),
    "only LF": (b"GET /tok/ HTTP/1.1\nHost: apps.test\n\n", 400),
    "two hosts": (_post(b"Host: apps.test\r\n"), 400),
    "a host with a path": (b"GET /tok/ HTTP/1.1\r\nHost: apps.test/x\r\n\r\n", 400),
    "a host with a user": (b"GET /tok/ HTTP/1.1\r\nHost: eve@apps.test\r\n\r\n", 400),
    "two hosts in one": (b"GET /tok/ HTTP/1.1\r\nHost: apps.test, evil.test\r\n\r\n", 400),
    "a URL of another host": (b"GET http://evil.test/tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n", 400),
    "no version": (b"GET /tok/\r\nHost: apps.test\r\n\r\n", 400),
    "another version": (b"GET /tok/ HTTP/2.0\r\nHost: apps.test\r\n\r\n", 505),
    "a longer version": (b"GET /tok/ HTTP/1.10\r\nHost: apps.test\r\n\r\n", 400),
    "a small version": (b"GET /tok/ http/1.1\r\nHost: apps.test\r\n\r\n", 400),
    "a space in the target": (b"GET /tok/a b HTTP/1.1\r\nHost: apps.test\r\n\r\n", 400),
    "a tab in the line": (b"GET\t/tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n", 400),
    "two spaces": (b"GET  /tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n", 400),
    "a raw byte in the target": (b"GET /tok/\xff HTTP/1.1\r\nHost: apps.test\r\n\r\n", 400),
    "a fragment": (b"GET /tok/#a HTTP/1.1\r\nHost: apps.test\r\n\r\n", 400),
    "an odd method": (b"G(T /tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n", 400),
    "no target": (b"GET HTTP/1.1\r\nHost: apps.test\r\n\r\n", 400),
    "an asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: apps.test\r\n\r\n", 400),
    "chunks in HTTP/1.0": (b"POST /tok/ HTTP/1.0\r\nHost: apps.test\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "another expectation": (_post(b"Expect: 200-ok\r\n"), 417),
    "a long line": (b"GET /tok/" + b"a" * 9000 + b" HTTP/1.1\r\nHost: apps.test\r\n\r\n", 414),
    "an endless line": (b"GET /tok/" + b"a" * 50_000, 414),
    "a long head": (_post(b"X: " + b"a" * 40_000 + b"\r\n"), 431),
    "an endless head": (b"GET /tok/ HTTP/1.1\r\nX: " + b"a" * 50_000, 431),
    "many headers": (_post(b"X: a\r\n" * 300), 431),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_head_ends_here(world: World, name: str) -> None:
    """Refused with its status, hung up on, and whatever follows it dropped."""
    head, status = HOSTILE[name]
    backend = await world.backend()
    client = await world.client()
    client.send(head + SMUGGLED)
    reply = await client.reply()
    assert (reply.status, reply.headers["connection"]) == (status, "close")
    assert await client.at_end()
    assert backend.seen == []
    assert world.in_use == 0


async def test_one_empty_line_before_a_request_is_tolerated(world: World) -> None:
    """As RFC 9112 asks for; more of them are not."""
    await world.backend()
    client = await world.client()
    client.send(b"\r\nGET /tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n")
    assert (await client.reply()).status == 200
    client.send(b"\r\n" * 10_000 + b"GET /tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n")
    assert (await client.reply()).status == 400


async def test_a_whole_url_as_target_is_understood(world: World) -> None:
    """When it names the host that Host names (RFC 9112, 3.2.2)."""
    backend = await world.backend()
    client = await world.client()
    client.send(b"GET http://Apps.Test/tok/a?b HTTP/1.1\r\nHost: apps.test\r\n\r\n")
    assert (await client.reply()).status == 200
    assert backend.seen[0].line == "GET /a?b HTTP/1.1"


async def test_a_head_may_come_byte_by_byte(world: World) -> None:
    """However the network cuts it."""
    backend = await world.backend()
    client = await world.client()
    for byte in b"GET /tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n":
        client.send(bytes([byte]))
        await client.writer.drain()
    assert (await client.reply()).status == 200
    assert len(backend.seen) == 1
