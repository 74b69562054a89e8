"""
Reading and writing: what is refused, and with which words.
"""

from __future__ import annotations

import pytest

from protocol.codec import InvalidMessage, MalformedMessage, decode, encode
from protocol.connect import ConnectRequest
from protocol.heartbeats import Heartbeat


def test_what_is_written_is_compact_utf_8() -> None:
    """No spaces, no escapes that are not needed."""
    assert encode(ConnectRequest(user="grüße")) == '{"user":"grüße"}'.encode()


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"{} {}", b"{'a':1}", b'{"user":NaN}', b'{"user":"\\ud800"}'])
def test_what_is_not_json_is_malformed(data: bytes) -> None:
    """A 400 over HTTP, not a 422."""
    with pytest.raises(MalformedMessage) as refusal:
        decode(data, ConnectRequest)
    assert not isinstance(refusal.value, InvalidMessage)


@pytest.mark.parametrize("data", [b"[]", b"null", b'{"user":5}', b'{"key":{"name":1}}', b'{"wait_for_release":-1}'])
def test_what_is_json_of_another_shape_is_invalid(data: bytes) -> None:
    """Well-formed but wrong: another status code over HTTP."""
    with pytest.raises(InvalidMessage):
        decode(data, ConnectRequest)


def test_a_refusal_names_the_field() -> None:
    """Whoever wrote the message can find the mistake."""
    with pytest.raises(InvalidMessage, match=r"\$\.local_time"):
        decode(b'{"local_time":"now"}', Heartbeat)


def test_text_that_is_no_unicode_is_malformed() -> None:
    """A lone surrogate in a str cannot be encoded; it is the peer's mistake, not ours."""
    with pytest.raises(MalformedMessage):
        decode('{"user":"\ud800"}', ConnectRequest)
