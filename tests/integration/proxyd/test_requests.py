"""
Ordinary requests through a listening proxy: what backend and client see.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from unittest import mock

from proxyd.config import Limits
from tests.integration.proxyd.peers import World, eventually
from tests.unit.proxyd.routes_at_hand import route


async def test_a_request_reaches_its_backend_and_the_answer_its_client(world: World) -> None:
    """Token cut, verified headers set, answer passed on with ours added."""
    backend = await world.backend()
    client = await world.client()
    reply = await client.get("/tok/a/b?q=1&r=%20")
    assert (reply.status, reply.body) == (200, b"hello")
    assert reply.headers["x-plane-backend-id"] == "b1"
    assert reply.headers["server"] == "Plane/1.2.3-abc"
    assert reply.headers["access-control-allow-headers"] == "*, Authorization"
    [seen] = backend.seen
    assert seen.line == "GET /a/b?q=1&r=%20 HTTP/1.1"
    assert seen.headers == {
        "host": "apps.test",
        "x-verified-backend": "b1",
        "x-verified-secret": "sssh",
        "x-verified-username": "zoë",
        "x-verified-user-data": '{"a":"\\u00fc"}',
        "x-verified-path": "/tok/a/b",
        "x-forwarded-proto": "http",
        "x-forwarded-for": "127.0.0.1",
    }


async def test_connections_are_kept_on_both_sides(world: World) -> None:
    """Many requests, one connection in front and one behind; one question to the controller."""
    backend = await world.backend()
    client = await world.client()
    for _ in range(20):
        assert (await client.get("/tok/")).status == 200
    assert backend.connections == 1
    assert world.link.asked == ["tok"]


async def test_a_token_without_a_slash_leads_to_the_root(world: World) -> None:
    """Lesson: no trailing slash after the token; the query stays."""
    backend = await world.backend()
    client = await world.client()
    await client.get("/tok")
    await client.get("/tok?x=1")
    assert [seen.line for seen in backend.seen] == ["GET / HTTP/1.1", "GET /?x=1 HTTP/1.1"]
    assert backend.seen[1].headers["x-verified-path"] == "/tok"


async def test_a_static_token_stays_in_the_path(world: World) -> None:
    """And brings neither user nor secret."""
    backend = await world.backend("s.stat", secret_token="", user=None, user_data=None)
    client = await world.client()
    await client.get("/s.stat/a?b")
    [seen] = backend.seen
    assert seen.line == "GET /s.stat/a?b HTTP/1.1"
    assert seen.headers["x-verified-secret"] == ""
    assert not {"x-verified-username", "x-verified-user-data"} & set(seen.headers)


async def test_nobody_can_bring_headers_of_ours(world: World) -> None:
    """However they are spelt: some servers read `_` as `-`."""
    backend = await world.backend()
    client = await world.client()
    extra = (
        "X-Verified-Username: eve\r\nX_Verified_Username: eve\r\nx-VERIFIED_secret: eve\r\nX-Verified-New: eve\r\n"
        "X-Forwarded-For: 6.6.6.6\r\nX_Forwarded_Proto: https\r\nContent_Length: 3\r\nTransfer_Encoding: chunked\r\n"
    )
    await client.get("/tok/", extra=extra)
    [seen] = backend.seen
    assert "eve" not in str(seen)
    assert seen.all("x-forwarded-for") == ["127.0.0.1"]
    assert {"x_forwarded_proto", "content_length", "transfer_encoding"}.isdisjoint(seen.headers)


async def test_headers_between_two_neighbours_end_here(world: World) -> None:
    """Also those that Connection names; but never Host, framing or our own."""
    backend = await world.backend()
    backend.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive, X-Inner\r\n"
        b"X-Inner: 1\r\nServer: gunicorn\r\nX-Kept: 1\r\n\r\nok"
    )
    client = await world.client()
    names = "close-not, Host, X-Gone, content-length, x-verified-username, X-Forwarded-For"
    extra = f"Connection: {names}\r\nX-Gone: 1\r\nX-Stays: 1\r\nTE: trailers\r\nProxy-Connection: keep-alive\r\n"
    reply = await client.get("/tok/", extra=extra + "Content-Length: 0\r\n")
    [seen] = backend.seen
    assert {"connection", "x-gone", "te", "proxy-connection"}.isdisjoint(seen.headers)
    assert {"host", "x-stays", "content-length", "x-verified-username", "x-forwarded-for"} <= set(seen.headers)
    assert {"connection", "keep-alive", "x-inner"}.isdisjoint(reply.headers)
    assert [value for name, value in reply.pairs if name == "server"] == ["Plane/1.2.3-abc"]
    assert reply.headers["x-kept"] == "1"


async def test_what_an_application_says_about_origins_stays(world: World) -> None:
    """Lesson: CORS headers of the application overwritten. Any of the three is enough."""
    backend = await world.backend()
    backend.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nAccess-Control-Allow-Methods: GET\r\n\r\nok"
    client = await world.client()
    reply = await client.get("/tok/")
    cors = [pair for pair in reply.pairs if pair[0].startswith("access-control")]
    assert cors == [("access-control-allow-methods", "GET")]


async def test_the_proxys_own_answers(world: World) -> None:
    """Each with its status, the server's name and leave for other origins."""
    await world.backend(subdomain="sub")
    await world.backend("open")
    world.routes["wrong"] = None
    client = await world.client()
    for path, host, status in [
        ("/", "apps.test", 400),
        ("//x", "apps.test", 400),
        ("/wrong/", "apps.test", 410),
        ("/not~a~token/", "apps.test", 410),
        ("/tok/", "apps.test", 403),
        ("/tok/", "other.apps.test", 403),
        ("/tok/", "SUB.Apps.test:443", 200),
        ("/open/", "elsewhere.test", 403),
        ("/open/", "notapps.test", 403),
        ("/open/", "APPS.TEST:443", 200),
        ("/open/", "any.apps.test", 200),
        ("/open/", "apps.test:80", 403),
        ("/ready", "whatever", 200),
    ]:
        reply = await client.get(path, host=host)
        assert reply.status == status, (path, host)
        assert reply.headers["server"] == "Plane/1.2.3-abc"
        assert reply.headers["access-control-allow-origin"] == "*"
    assert "not~a~token" not in world.link.asked


async def test_no_host_is_no_request(world: World) -> None:
    """In HTTP/1.1 always, in HTTP/1.0 when a backend is wanted; but its health may be asked without."""
    await world.backend()
    for head, status in [
        (b"GET /tok/ HTTP/1.1\r\n\r\n", 400),
        (b"GET /tok/ HTTP/1.1\r\nHost:\r\n\r\n", 400),
        (b"GET /tok/ HTTP/1.0\r\n\r\n", 400),
        (b"GET /ready HTTP/1.0\r\n\r\n", 200),
    ]:
        client = await world.client()
        client.send(head)
        assert (await client.reply()).status == status, head


async def test_the_root_leads_where_the_operator_said() -> None:
    """301 to the configured URL, and to nothing else."""
    world = World(root_redirect_url="https://example.com/start")
    await world.start()
    reply = await (await world.client()).get("/")
    assert (reply.status, reply.headers["location"]) == (301, "https://example.com/start")
    await world.stop()


async def test_a_proxy_is_ready_once_it_has_met_a_controller() -> None:
    """And stays so while the controller is away: what it knows goes on working."""
    world = World()
    await world.start(connected=False)
    client = await world.client()
    assert (await client.get("/ready")).status == 503
    world.proxy.connected(world.link)
    assert (await client.get("/ready")).status == 200
    await world.backend()
    assert (await client.get("/tok/")).status == 200
    world.proxy.disconnected()
    assert (await client.get("/ready")).status == 200
    assert (await client.get("/tok/")).status == 200
    await world.stop()


async def test_a_backend_that_refuses_is_502_and_no_use(world: World) -> None:
    """Lesson: counting failed requests kept dead backends alive."""
    backend = await world.backend()
    await backend.stop()
    client = await world.client()
    for _ in range(2):
        reply = await client.get("/tok/")
        assert (reply.status, reply.headers["x-plane-backend-id"]) == (502, "b1")
    world.proxy.board.keepalive.tick()
    assert world.link.in_use == []
    assert world.in_use == 0
    await eventually(lambda: world.link.asked == ["tok", "tok"])  # doubted, and asked about again


async def test_a_backend_that_hangs_up_instead_of_answering_is_502(world: World) -> None:
    """Also when it talks nonsense, or more of it than a head may have."""
    for answer in (b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000):

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes = answer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()

        await world.backend(f"tok{len(answer)}", serve)
        client = await world.client()
        assert (await client.get(f"/tok{len(answer)}/")).status == 502
        assert world.in_use == 0


async def test_answers_with_two_meanings_are_502(world: World) -> None:
    """A client must not be made to read another length than we do."""
    backend = await world.backend()
    client = await world.client()
    for fields in (
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Content-Length : 5\r\n",
        b"X: a\r\n b\r\n",
        b"X: a\nY: b\r\n",
    ):
        backend.answer = b"HTTP/1.1 200 OK\r\n" + fields + b"\r\nhello"
        assert (await client.get("/tok/")).status == 502, fields


async def test_the_log_names_no_token(world: World) -> None:
    """One line for each request, with the path behind the token."""
    await world.backend()
    await world.backend("s.hidden")
    client = await world.client()
    await client.get("/tok/a/b?secret=1")
    await client.get("/s.hidden/c")
    await client.get("//hidden/d")
    await client.get("/ready")
    lines = world.log_lines()
    assert [(line["event"], line["backend"], line["path"], line["status"], line["sent"]) for line in lines] == [
        ("request_served", "b1", "/a/b", 200, 5),
        ("request_served", "b1", "/c", 200, 5),
        ("request_refused", "", "/", 400, 0),
        ("request_refused", "", "/ready", 200, 0),
    ]
    assert all(line["seconds"] >= 0 and line["client"] == "127.0.0.1" for line in lines)
    assert "hidden" not in str(lines)


async def test_trace_and_connect_are_not_for_us(world: World) -> None:
    """TRACE would show a client the secret that we add."""
    backend = await world.backend()
    for method in ("TRACE", "CONNECT"):
        client = await world.client()
        assert (await client.get("/tok/", method=method)).status == 405
    assert backend.seen == []


def _deaf_port(stack: contextlib.ExitStack) -> int:
    """Return a port where connections are neither accepted nor refused: its queue is full."""
    listener = stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    port: int = listener.getsockname()[1]
    for _ in range(3):
        caller = stack.enter_context(socket.socket())
        caller.setblocking(False)
        caller.connect_ex(("127.0.0.1", port))
    return port


async def test_a_backend_that_does_not_accept_is_504_and_no_use() -> None:
    """After the limit on connecting, not when the kernel gives up; and it may be tried again."""
    world = World(Limits(connect=0.2))
    await world.start()
    with contextlib.ExitStack() as stack:
        world.lead("tok", f"127.0.0.1:{_deaf_port(stack)}")
        client = await world.client()
        for _ in range(2):
            reply = await client.get("/tok/")
            assert (reply.status, reply.headers["x-plane-backend-id"]) == (504, "b1")
    world.proxy.board.keepalive.tick()
    assert world.link.in_use == []
    assert world.proxy.board.pools._open == {}
    await world.stop()


async def test_a_client_that_leaves_while_we_connect_leaves_nothing_behind(world: World) -> None:
    """Neither a count nor a connection."""
    with contextlib.ExitStack() as stack:
        world.lead("tok", f"127.0.0.1:{_deaf_port(stack)}")
        client = await world.client()
        client.send(b"GET /tok/ HTTP/1.1\r\nHost: apps.test\r\n\r\n")
        await eventually(lambda: sum(world.proxy.board.pools._open.values()) == 1)
        # A reset, so that it cannot be taken for a client that only stops sending.
        linger = struct.pack("ii", 1, 0)
        client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        client.writer.transport.abort()
        await eventually(lambda: world.proxy.board.pools._open == {})
        assert not world.proxy.board.connections


async def test_a_connection_made_too_late_is_closed(world: World) -> None:
    """Its request was given up in the same turn of the loop in which it was made."""
    backend = await world.backend()
    speaker = mock.Mock()
    known = route("tok", address=world.routes["tok"].address)  # type: ignore[union-attr]
    for turns in range(12):
        task = world.proxy.board.pools.connect(known, speaker)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        for call in speaker.connected.call_args_list:
            call.args[0].transport.abort()
        speaker.reset_mock()
    await eventually(lambda: world.proxy.board.pools._open == {})
    await eventually(lambda: backend.open == 0)
