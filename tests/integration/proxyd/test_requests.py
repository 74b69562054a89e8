"""
Ordinary requests through a listening proxy: what backend and client see.
"""

from __future__ import annotations

from tests.integration.proxyd.peers import World


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
