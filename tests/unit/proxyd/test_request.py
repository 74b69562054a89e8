"""
Requests as a whole: checks over line and headers, and the head that a backend sees.
"""

from __future__ import annotations

import pytest

from proxyd.addressing import Address, Place, locate
from proxyd.headers import judge_request
from proxyd.http1 import read_request_line
from proxyd.refusals import Refused
from proxyd.request import Request, check_head, head_for_backend, judge_admission, judge_line
from tests.unit.proxyd.routes_at_hand import route


def _request(line: bytes, block: bytes = b"Host: a.test\r\n") -> Request:
    parsed = read_request_line(line)
    address = locate(parsed.target)
    assert isinstance(address, Address)
    return Request(parsed.method, parsed.minor, judge_request(block), address, 0.0)


@pytest.mark.parametrize(
    ("line", "block", "status"),
    [
        (b"GET / HTTP/1.1", b"", 400),
        (b"GET / HTTP/1.1", b"Host:\r\n", 400),
        (b"GET / HTTP/1.0", b"", None),
        (b"GET / HTTP/1.1", b"Host: a\r\n", None),
        (b"POST / HTTP/1.0", b"Host: a\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"GET http://A:443/ HTTP/1.1", b"Host: a\r\n", None),
        (b"GET http://b/ HTTP/1.1", b"Host: a\r\n", 400),
        (b"GET http://a\\b/ HTTP/1.1", b"Host: a\r\n", 400),
    ],
)
def test_line_and_headers_together(line: bytes, block: bytes, status: int | None) -> None:
    """One host, and chunks only for who knows them."""
    parsed, fields = read_request_line(line), judge_request(block)
    if status is None:
        check_head(parsed, fields)
        return
    with pytest.raises(Refused) as refused:
        check_head(parsed, fields)
    assert refused.value.status == status


def test_targets() -> None:
    """Line and address together, or a refusal."""
    target = judge_line(b"GET /t/a?b HTTP/1.1")
    assert target.line.method == b"GET"
    assert target.address == Address(b"t", b"/a?b", b"/t/a")
    assert judge_line(b"GET /ready HTTP/1.1").address is Place.READY
    with pytest.raises(Refused):
        judge_line(b"GET /t#a HTTP/1.1")


def test_admission() -> None:
    """No Host 400, another's Host 403."""
    known = route(subdomain="x")
    assert judge_admission(known, b"") == 400
    assert judge_admission(known, b"a.test") == 403
    assert judge_admission(known, b"x.a.test") is None


def test_persistence() -> None:
    """By version, and by what Connection says."""
    for line, block, expected in [
        (b"GET /t HTTP/1.1", b"", True),
        (b"GET /t HTTP/1.1", b"Connection: close\r\n", False),
        (b"GET /t HTTP/1.0", b"", False),
        (b"GET /t HTTP/1.0", b"Connection: keep-alive\r\n", True),
        (b"GET /t HTTP/1.0", b"Connection: keep-alive, close\r\n", False),
    ]:
        assert _request(line, block).is_persistent is expected


def test_what_may_be_sent_twice() -> None:
    """Only without harm, and without a body."""
    assert _request(b"GET /t HTTP/1.1").may_be_repeated
    assert not _request(b"POST /t HTTP/1.1").may_be_repeated
    assert not _request(b"PUT /t HTTP/1.1", b"Content-Length: 1\r\n").may_be_repeated
    assert not _request(b"PUT /t HTTP/1.1", b"Transfer-Encoding: chunked\r\n").may_be_repeated


def test_the_head_for_a_backend() -> None:
    """Always HTTP/1.1, whatever the client speaks."""
    head = head_for_backend(_request(b"GET /t/a?b HTTP/1.0"), route(), forwarded_line=b"x-forwarded-for: 1.2.3.4\r\n")
    assert head == (
        b"GET /a?b HTTP/1.1\r\nhost: a.test\r\n"
        b"x-verified-backend: b1\r\nx-verified-secret: sssh\r\nx-verified-user-data: {}\r\nx-forwarded-proto: http\r\n"
        b"x-verified-path: /t/a\r\nx-forwarded-for: 1.2.3.4\r\n\r\n"
    )
