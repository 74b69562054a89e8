"""The pure parts of the control channel; the rest meets a real server in tests/integration/daemonkit."""

from __future__ import annotations

import pytest

from daemonkit.control_channel import HandshakeRefused, judge_handshake, unpack
from protocol.drone_messages import AckEvent, ToDrone


def ack(event_id: int) -> ToDrone:
    """Return the shortest message."""
    return ToDrone(ack_event=AckEvent(event_id))


def test_batches_in_batches_come_apart_in_order() -> None:
    """However deep."""
    message = ToDrone(batch=[ack(1), ToDrone(batch=[ack(2), ToDrone(batch=[]), ack(3)]), ack(4)])
    assert list(unpack(message)) == [ack(1), ack(2), ack(3), ack(4)]
    assert list(unpack(ack(1))) == [ack(1)]


@pytest.mark.parametrize(
    "frame",
    ["", "{}", "[]", '{"version":{"version":"1","git_hash":"x"},"name":"dr-other"}', b"\xff"],
)
def test_what_is_no_handshake_of_a_controller_is_refused(frame: str | bytes) -> None:
    """Junk, and other kinds of nodes."""
    with pytest.raises(HandshakeRefused):
        judge_handshake(frame)


def test_unknown_fields_of_a_handshake_are_ignored() -> None:
    """Peers may say more than we know."""
    peer = judge_handshake('{"version":{"version":"1","git_hash":"x"},"name":"co-a","later":true}')
    assert peer.name == "co-a"
