"""
How answers go on.
"""

from __future__ import annotations

import pytest

from proxyd.headers import CORS_LINES, judge_response
from proxyd.http1 import CHUNKED, UNTIL_CLOSE, StatusLine
from proxyd.refusals import Refused
from proxyd.response import ORDINARY, Audience, Plan, interim_head, judge_head, lines_for_client, plan_response

LENGTH, CHUNKS = b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("method", "minor", "status", "block", "expected"),
    [
        (b"GET", 1, 200, LENGTH, Plan(3, False, b"content-length: 3\r\n", True, True)),
        (b"GET", 1, 200, CHUNKS, Plan(CHUNKED, True, b"transfer-encoding: chunked\r\n", True, True)),
        (b"GET", 1, 200, b"", Plan(UNTIL_CLOSE, True, b"transfer-encoding: chunked\r\n", True, False)),
        (b"HEAD", 1, 200, LENGTH, Plan(0, False, b"content-length: 3\r\n", True, True)),
        (b"HEAD", 1, 200, CHUNKS, Plan(0, False, b"transfer-encoding: chunked\r\n", True, True)),
        (b"HEAD", 1, 200, b"", Plan(0, False, b"", True, True)),
        (b"GET", 1, 304, LENGTH, Plan(0, False, b"content-length: 3\r\n", True, True)),
        (b"GET", 1, 204, LENGTH, Plan(0, False, b"", True, True)),
        (b"GET", 1, 204, CHUNKS, Plan(0, False, b"", True, True)),
        (b"GET", 0, 200, LENGTH, Plan(3, False, b"content-length: 3\r\nconnection: close\r\n", False, True)),
        (b"GET", 0, 200, CHUNKS, Plan(CHUNKED, False, b"connection: close\r\n", False, True)),
        (b"GET", 0, 200, b"", Plan(UNTIL_CLOSE, False, b"connection: close\r\n", False, False)),
    ],
)
def test_framing(method: bytes, minor: int, status: int, block: bytes, expected: Plan) -> None:
    """By what the backend says, what the client knows, and what the status means."""
    fields = judge_response(block)
    audience = Audience(minor, method == b"HEAD", stays=minor == 1)
    assert plan_response(audience, StatusLine(status, 1), fields=fields) == expected


def test_an_old_client_that_wants_to_stay() -> None:
    """It can where the length is known, and is told so."""
    old = Audience(0, head_only=False, stays=True)
    plan = plan_response(old, StatusLine(200, 1), fields=judge_response(LENGTH))
    assert plan.framing == b"content-length: 3\r\nconnection: keep-alive\r\n"
    plan = plan_response(old, StatusLine(200, 1), fields=judge_response(CHUNKS))
    assert (plan.framing, plan.keeps_client) == (b"connection: close\r\n", False)


@pytest.mark.parametrize(
    ("minor", "block", "expected"),
    [
        (1, LENGTH, True),
        (1, LENGTH + b"Connection: close\r\n", False),
        (0, LENGTH, False),
        (0, LENGTH + b"Connection: keep-alive\r\n", True),
        (1, b"", False),
    ],
)
def test_which_connections_to_backends_are_kept(minor: int, block: bytes, *, expected: bool) -> None:
    """By its version, its words, and how its body ends."""
    plan = plan_response(ORDINARY, StatusLine(200, minor), fields=judge_response(block))
    assert plan.keeps_backend is expected


def test_a_reason_to_hang_up() -> None:
    """Whatever the client wants."""
    plan = plan_response(Audience(1, head_only=False, stays=False), StatusLine(200, 1), fields=judge_response(LENGTH))
    assert (plan.keeps_client, plan.framing) == (False, b"content-length: 3\r\nconnection: close\r\n")


def test_heads() -> None:
    """Our lines behind the backend's; nothing in interim ones."""
    head = judge_head(b"HTTP/1.0 200 OK\r\nX: 1\r\n" + LENGTH, server_line=b"server: p\r\n")
    assert head.lines == b"HTTP/1.1 200 OK\r\nX: 1\r\ncontent-length: 3\r\nserver: p\r\n" + CORS_LINES
    own = judge_response(b"Access-Control-Allow-Origin: x\r\n")
    lines = lines_for_client(b"HTTP/1.1 200", own, framing=b"F\r\n", server_line=b"")
    assert lines == b"HTTP/1.1 200\r\nAccess-Control-Allow-Origin: x\r\nF\r\n"
    early = judge_head(b"HTTP/1.1 103 Early\r\nX: 1\r\n", server_line=b"server: p\r\n")
    assert interim_head(early) == b"HTTP/1.1 103 Early\r\nX: 1\r\n\r\n"
    assert judge_head(b"HTTP/1.1 200 OK\r\n", server_line=b"").fields.length == UNTIL_CLOSE
    for bad in (b"HTTP/2 200\r\n", b"HTTP/1.1 200 OK\r\nX : 1\r\n"):
        with pytest.raises(Refused):
            judge_head(bad, server_line=b"")
