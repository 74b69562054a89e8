"""
Heads: what RFC 9112 allows, and what we refuse because it can be read in two ways.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyd.http1 import (
    CHUNKED,
    MAX_FIELDS,
    MAX_LINE,
    RequestLine,
    StatusLine,
    has_bare_line_end,
    list_tokens,
    read_fields,
    read_framing,
    read_request_line,
    read_status_line,
)
from proxyd.refusals import Refused

names = st.text("!#$%&'*+-.^_`|~0123456789abcXYZ", min_size=1, max_size=12).map(str.encode)
values = st.binary(max_size=20).map(lambda raw: bytes(byte for byte in raw if byte >= 0x20 and byte != 0x7F))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GET / HTTP/1.1", RequestLine(b"GET", b"/", 1)),
        (b"M-SEARCH /a?b=%20 HTTP/1.0", RequestLine(b"M-SEARCH", b"/a?b=%20", 0)),
        (b"GET http://a.test HTTP/1.1", RequestLine(b"GET", b"/", 1, b"a.test")),
        (b"GET HTTPS://a.test:80/x?y HTTP/1.1", RequestLine(b"GET", b"/x?y", 1, b"a.test:80")),
        (b"GET http://a.test?y HTTP/1.1", RequestLine(b"GET", b"/?y", 1, b"a.test")),
    ],
)
def test_request_lines(line: bytes, expected: RequestLine) -> None:
    """In origin form and in absolute form."""
    assert read_request_line(line) == expected


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"", 400),
        (b"GET /", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b"GET / HTTP/1.2", 400),
        (b"GET / HTTP/3.0", 505),
        (b"PRI * HTTP/2.0", 505),
        (b"GET /\x7f HTTP/1.1", 400),
        (b"GET /\x80 HTTP/1.1", 400),
        (b"GET /# HTTP/1.1", 400),
        (b"GET * HTTP/1.1", 400),
        (b"GET a.test HTTP/1.1", 400),
        (b"GET ftp://a.test/ HTTP/1.1", 400),
        (b"GET http://eve@a.test/ HTTP/1.1", 400),
        (b"GET http:///x HTTP/1.1", 400),
        (b"TRACE / HTTP/1.1", 405),
        (b"CONNECT a.test:443 HTTP/1.1", 405),
        (b"GET /" + b"a" * MAX_LINE + b" HTTP/1.1", 414),
    ],
)
def test_refused_request_lines(line: bytes, status: int) -> None:
    """Each with its status."""
    with pytest.raises(Refused) as refused:
        read_request_line(line)
    assert refused.value.status == status


def test_status_lines() -> None:
    """With a reason, with an empty one, and with none."""
    assert read_status_line(b"HTTP/1.1 200 OK") == StatusLine(200, 1)
    assert read_status_line(b"HTTP/1.0 404 ") == StatusLine(404, 0)
    assert read_status_line(b"HTTP/1.1 599") == StatusLine(599, 1)
    for line in (b"", b"HTTP/1.1 20 OK", b"HTTP/1.1 099 X", b"HTTP/2 200", b"HTTP/1.1 200 a\nb", b"ICY 200 OK"):
        with pytest.raises(Refused):
            read_status_line(line)


@given(st.lists(st.tuples(names, values), max_size=10))
def test_clean_fields_are_read_as_they_are(fields: list[tuple[bytes, bytes]]) -> None:
    """Any names and values that the rules allow, but for those that llhttp judges itself."""
    special = {b"content-length", b"transfer-encoding", b"connection", b"upgrade"}
    clean = [(name, value) for name, value in fields if name.lower() not in special]
    block = b"".join(b"%b: %b \t\r\n" % field for field in clean)
    assert [(name, value.rstrip(b" \t")) for name, value in read_fields(block)] == [
        (name, value.strip(b" \t")) for name, value in clean
    ]


@given(st.binary(max_size=80))
def test_what_is_read_is_clean(noise: bytes) -> None:
    """Whatever bytes come: refused, or names and values without anything that could end a line."""
    block = noise + b"\r\n"
    try:
        fields = read_fields(block)
    except Refused:
        return
    assert len(fields) == block.count(b"\n")
    for name, value in fields:
        assert name
        assert not set(name) & set(b" \t\r\n:\x00")
        assert not set(value) & set(b"\r\n\x00\x0b\x7f")


@pytest.mark.parametrize(
    "block",
    [
        b"X: a\x00\r\n",
        b"X: a\x0b\r\n",
        b"X: a\x7f\r\n",
        b"X: a\rY: b\r\n",
        b"X: a\nY: b\r\n",
        b"X: a\r\n b\r\n",
        b" X: a\r\n",
        b"X : a\r\n",
        b"X\t: a\r\n",
        b": a\r\n",
        b"X\r\n",
        b"X Y: a\r\n",
        b"X: a\r\n\r\nY: b\r\n",
        b"X: a\r\n" * (MAX_FIELDS + 1),
    ],
)
def test_unclean_fields_are_refused(block: bytes) -> None:
    """See RFC 9112, 5 and 2.2."""
    with pytest.raises(Refused):
        read_fields(block)


@pytest.mark.parametrize("block", [b"X: a\x00\r\n", b"X: a\rb\r\n", b"X: a\nb\r\n", b"X: a\x7f\r\n", b"X: a\r\n b\r\n"])
def test_our_own_rules_hold_without_those_of_llhttp(block: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A parser that lets everything pass, as an older or laxer one might."""

    class Lax:
        def __init__(self, collector: Any) -> None:
            self._collector = collector

        def feed_data(self, data: bytes) -> None:
            self._collector.on_header(b"X", data)

    monkeypatch.setattr("httptools.HttpRequestParser", Lax)
    assert read_fields(b"X: a\r\n")
    with pytest.raises(Refused):
        read_fields(block)


def test_framing() -> None:
    """One length, or chunks, or neither; never two of anything."""
    assert read_framing(None, None, otherwise=7) == 7
    assert read_framing([b"0"], None, otherwise=7) == 0
    assert read_framing([b"123"], None, otherwise=7) == 123
    assert read_framing(None, [b"CHUNKED"], otherwise=7) == CHUNKED
    for lengths, codings in [
        ([b"1", b"1"], None),
        ([b""], None),
        ([b"1,1"], None),
        ([b"+1"], None),
        ([b"\xb2"], None),
        ([b"1" * 19], None),
        ([b"1"], [b"chunked"]),
        (None, [b"chunked", b"chunked"]),
        (None, [b"gzip"]),
        (None, [b"gzip, chunked"]),
        (None, [b""]),
    ]:
        with pytest.raises(Refused):
            read_framing(lengths, codings, otherwise=0)


def test_tokens_are_lists() -> None:
    """Lesson: Firefox sends `Connection: keep-alive, Upgrade`."""
    assert list_tokens([b"keep-alive, Upgrade", b" ,close\t,"]) == {b"keep-alive", b"upgrade", b"close"}


def test_bare_line_ends_show_early() -> None:
    """Before the head is whole."""
    assert has_bare_line_end(b"GET / HTTP/1.1\nHost")
    assert not has_bare_line_end(b"GET / HTTP/1.1\r\nHost")
    assert not has_bare_line_end(b"GET / HTTP/1.1\r")
