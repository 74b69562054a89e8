"""
How answers go on.
"""

from __future__ import annotations

import pytest

from proxyd.addressing import Address
from proxyd.headers import judge_request, judge_response
from proxyd.http1 import CHUNKED, UNTIL_CLOSE, StatusLine
from proxyd.request import Request
from proxyd.response import Plan, head_for_client, interim_head, plan_response
from tests.unit.proxyd.routes_at_hand import route

LENGTH, CHUNKS = b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"


def _request(method: bytes = b"GET", minor: int = 1, block: bytes = b"") -> Request:
    return Request(method, minor, judge_request(b"Host: a\r\n" + block), Address(b"t", b"/", b"/t"), 0.0)


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
    assert plan_response(_request(method, minor), StatusLine(status, 1), fields=fields, may_keep=True) == expected


def test_an_old_client_that_wants_to_stay() -> None:
    """It can where the length is known, and is told so."""
    old = _request(minor=0, block=b"Connection: keep-alive\r\n")
    plan = plan_response(old, StatusLine(200, 1), fields=judge_response(LENGTH), may_keep=True)
    assert plan.framing == b"content-length: 3\r\nconnection: keep-alive\r\n"
    plan = plan_response(old, StatusLine(200, 1), fields=judge_response(CHUNKS), may_keep=True)
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
    plan = plan_response(_request(), StatusLine(200, minor), fields=judge_response(block), may_keep=True)
    assert plan.keeps_backend is expected


def test_a_reason_to_hang_up() -> None:
    """Whatever the client wants."""
    plan = plan_response(_request(), StatusLine(200, 1), fields=judge_response(LENGTH), may_keep=False)
    assert (plan.keeps_client, plan.framing) == (False, b"content-length: 3\r\nconnection: close\r\n")


def test_heads() -> None:
    """Our lines behind the backend's; nothing in interim ones."""
    fields = judge_response(b"X: 1\r\n" + LENGTH)
    head = head_for_client(b"HTTP/1.0 200 OK", fields, framing=b"F\r\n", route=route(), server_line=b"server: p\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nX: 1\r\nF\r\nserver: p\r\naccess-control-allow-origin: *\r\n")
    assert head.endswith(b"x-plane-backend-id: b1\r\n\r\n")
    own = judge_response(b"Access-Control-Allow-Origin: x\r\n")
    head = head_for_client(b"HTTP/1.1 200", own, framing=b"", route=route(), server_line=b"")
    assert head == b"HTTP/1.1 200\r\nAccess-Control-Allow-Origin: x\r\nx-plane-backend-id: b1\r\n\r\n"
    assert interim_head(b"HTTP/1.1 103 Early", fields) == b"HTTP/1.1 103 Early\r\nX: 1\r\n\r\n"
