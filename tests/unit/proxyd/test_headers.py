"""
What header blocks mean, and what of them goes on.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyd.headers import is_ours, judge_request, judge_response
from proxyd.http1 import CHUNKED, UNTIL_CLOSE, read_fields
from proxyd.refusals import Refused

HOST = b"Host: a.test\r\n"

header_names = st.sampled_from(
    [
        "X-Verified-Username",
        "x_verified_secret",
        "X-Verified_Path",
        "X-VERIFIED-",
        "X-Forwarded-For",
        "X_Forwarded_For",
        "x-forwarded_proto",
        "X-Forwarded-Host",
        "Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Proxy-Connection",
        "Upgrade",
        "Cookie",
        "X-Other",
        "Content_Length",
        "Transfer_Encoding",
        "Accept",
    ]
)
header_values = st.sampled_from(
    ["1", "close", "keep-alive, Upgrade", "X-Other, Host", "websocket", "h2c", "x-verified-path"]
)


def test_an_ordinary_request() -> None:
    """Host first, the rest as it came."""
    fields = judge_request(b"Accept: */*\r\nhOST: A.Test:443\r\nCookie: a=b\r\nContent-Length: 5\r\n")
    assert fields.host == b"a.test"
    assert fields.length == 5
    assert not fields.says_close
    assert not fields.says_keep_alive
    assert not fields.upgrades
    assert fields.lines == b"host: A.Test:443\r\nAccept: */*\r\nCookie: a=b\r\ncontent-length: 5\r\n"


@given(st.lists(st.tuples(header_names, header_values), max_size=12))
def test_a_backend_never_sees_what_is_not_for_it(headers: list[tuple[str, str]]) -> None:
    """Whatever is sent: nothing of ours, nothing hop-by-hop, and Host once."""
    block = HOST + "".join(f"{name}: {value}\r\n" for name, value in headers).encode()
    lines = read_fields(judge_request(block).lines)
    seen = [name.lower() for name, _ in lines]
    assert seen.count(b"host") == 1
    assert not [name for name in seen if is_ours(name.replace(b"_", b"-"))]
    assert not {b"keep-alive", b"te", b"trailer", b"proxy-connection", b"content_length"} & set(seen)
    assert [value for name, value in lines if name == b"connection"] in ([], [b"upgrade"])
    assert seen.count(b"cookie") in (0, sum(name == "Cookie" for name, _ in headers))


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (b"Host: b.test\r\n", 400),
        (b"Expect: 100-continue, x\r\n", 417),
        (b"Expect: 100-continue\r\nExpect: 100-continue\r\n", 417),
        (b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Transfer-Encoding: deflate, chunked\r\n", 501),
    ],
)
def test_refused_requests(fields: bytes, status: int) -> None:
    """Each with its status."""
    with pytest.raises(Refused) as refused:
        judge_request(HOST + fields)
    assert refused.value.status == status


def test_what_connection_names_goes_but_not_what_holds_the_message_together() -> None:
    """A client cannot have Host, framing or our own headers dropped."""
    fields = judge_request(
        HOST + b"Connection: Host, X-A, Content-Length, close\r\nX-A: 1\r\nX-B: 2\r\nContent-Length: 1\r\n"
    )
    assert fields.lines == b"host: a.test\r\nX-B: 2\r\ncontent-length: 1\r\n"
    assert fields.says_close


def test_upgrades() -> None:
    """Only when Connection lists it, and never HTTP/2."""
    both = judge_request(HOST + b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n")
    assert both.upgrades
    assert both.lines.endswith(b"connection: upgrade\r\nupgrade: websocket\r\n")
    assert not judge_request(HOST + b"Upgrade: websocket\r\n").upgrades
    assert not judge_request(HOST + b"Connection: upgrade\r\nUpgrade: H2C\r\n").upgrades
    mixed = judge_request(HOST + b"Connection: upgrade\r\nUpgrade: h2c, websocket\r\n")
    assert mixed.lines.endswith(b"upgrade: websocket\r\n")


def test_chunks_are_said_in_our_own_words() -> None:
    """And asked-for continuation goes on."""
    fields = judge_request(HOST + b"Transfer-Encoding: CHUNKED\r\nExpect: 100-Continue\r\n")
    assert fields.length == CHUNKED
    assert fields.lines == b"host: a.test\r\ntransfer-encoding: chunked\r\nexpect: 100-continue\r\n"


def test_responses() -> None:
    """Framing is left out, the server's own name and ours too; leave for other origins is noticed."""
    fields = judge_response(
        b"Server: x\r\nX-Plane-Backend-Id: y\r\nContent-Length: 3\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
        b"Connection: X-A, close\r\nX-A: 1\r\n"
    )
    assert fields.lines == b"Set-Cookie: a\r\nSet-Cookie: b\r\n"
    assert (fields.length, fields.says_close, fields.has_cors) == (3, True, False)
    assert judge_response(b"ACCESS-Control-allow-Origin: x\r\n").has_cors
    assert judge_response(b"").length == UNTIL_CLOSE
    assert judge_response(b"Transfer-Encoding: chunked\r\n").length == CHUNKED
    switched = judge_response(b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n")
    assert (switched.upgrade, switched.lines) == (b"websocket", b"Sec-WebSocket-Accept: x\r\n")
    with pytest.raises(Refused):
        judge_response(b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n")
