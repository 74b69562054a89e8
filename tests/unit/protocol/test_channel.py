"""
Handshakes.
"""

from __future__ import annotations

import pytest

from protocol.channel import Extension, Handshake
from protocol.codec import InvalidMessage, decode
from tests.factories import make_handshake


def test_a_published_peer_lists_nothing() -> None:
    """So it is sent nothing of ours."""
    assert not any(make_handshake().lists(extension) for extension in Extension)


def test_a_peer_of_ours_lists_what_it_knows() -> None:
    """What it does not list it is not sent."""
    peer = make_handshake("px-1", Extension.BATCH)
    assert peer.lists(Extension.BATCH)
    assert not peer.lists(Extension.LOGS)


def test_an_extension_nobody_knows_is_no_error() -> None:
    """A newer peer may list more."""
    frame = '{"version":{"version":"9","git_hash":"f"},"name":"dr-1","extensions":["telepathy","batch"]}'
    assert decode(frame, Handshake).lists(Extension.BATCH)


@pytest.mark.parametrize("name", ["", "dr-", "xx-1", "1", "dr-A", "ak-1"])
def test_a_wrong_name_does_not_parse(name: str) -> None:
    """A handshake that does not parse closes the socket."""
    with pytest.raises(InvalidMessage):
        decode(f'{{"version":{{"version":"1","git_hash":"f"}},"name":"{name}"}}', Handshake)
