"""The pace of asking whether a backend answers, and what is asked."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.runtime.readiness import ProbeProtocol, answer_limit, connect_limit, probe_request, retry_pause

waits = st.floats(0, 10_000)


@given(waits)
def test_pauses_are_short_and_grow_with_the_wait(elapsed: float) -> None:
    """Never so long that the first answer is noticed late, never so short that asking is work."""
    assert 0.005 <= retry_pause(elapsed) <= 0.020
    assert retry_pause(elapsed) <= retry_pause(elapsed + 1)


def test_a_backend_that_starts_within_half_a_second_is_asked_every_five_milliseconds() -> None:
    """So that it is noticed within ten."""
    assert retry_pause(0.5) == 0.005


@given(waits)
def test_an_attempt_never_takes_for_ever_and_never_gives_up_on_a_slow_one(elapsed: float) -> None:
    """A lost connection costs no more than what was waited already, once that is a moment."""
    assert 0.25 <= connect_limit(elapsed) <= 5
    assert 2 <= answer_limit(elapsed) <= 30


def test_the_request_is_one_that_any_server_answers() -> None:
    """With a Host, and without hope for more than one answer."""
    assert probe_request("127.0.0.1:5000", "/health?x=1").split(b"\r\n") == [
        b"GET /health?x=1 HTTP/1.1",
        b"Host: 127.0.0.1:5000",
        b"User-Agent: plane-drone",
        b"Accept: */*",
        b"Connection: close",
        b"",
        b"",
    ]


class Wire(asyncio.Transport):
    """A transport that only remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data


@pytest.mark.parametrize(
    ("pieces", "is_answer"),
    [
        ([b"HTTP/1.1 200 OK\r\n"], True),
        ([b"HTTP/1.0 503 "], True),
        ([b"HT", b"TP", b"/1.1 404"], True),
        ([b"SSH-2.0-OpenSSH"], False),
        ([b"HTT"], False),
        ([], False),
    ],
)
async def test_any_status_line_is_an_answer_and_nothing_else(pieces: list[bytes], is_answer: bool) -> None:
    """A forwarder that accepts and hangs up says nothing; another protocol's greeting is no HTTP."""
    protocol, wire = ProbeProtocol(b"GET"), Wire()
    protocol.connection_made(wire)
    for piece in pieces:
        protocol.data_received(piece)
    protocol.connection_lost(None)
    assert wire.written == b"GET"
    assert await protocol.answered is is_answer


@given(st.from_regex(r"^/[^\x00-\x20\x7f]*\Z", fullmatch=True))
def test_no_path_breaks_out_of_the_request_line(path: str) -> None:
    """Whatever the wire lets through."""
    lines = probe_request("a:1", path).split(b"\r\n")
    assert len(lines) == 7
    assert lines[0].count(b" ") == 2
