"""
Externally tagged unions: exactly one variant, by its name.
"""

from __future__ import annotations

import pytest

from protocol.codec import InvalidMessage, decode
from protocol.drone_messages import AckAction, FromDrone
from protocol.executor_messages import PrepareResult
from protocol.heartbeats import Heartbeat


def test_the_variant_that_is_set_is_found() -> None:
    """By value, to match on, and by name, to log."""
    message = FromDrone(heartbeat=Heartbeat(1))
    assert message.variant == Heartbeat(1)
    assert message.tag == "Heartbeat"


def test_a_variant_may_carry_null() -> None:
    """`Ok` of these results is null, which is not the same as absent."""
    result = decode('{"Ok":null}', PrepareResult)
    assert (result.tag, result.variant) == ("Ok", None)


def test_none_and_two_are_our_own_mistakes() -> None:
    """They are loud."""
    with pytest.raises(ValueError, match="exactly one of Heartbeat, BackendEvent"):
        FromDrone()
    with pytest.raises(ValueError, match="exactly one of"):
        FromDrone(heartbeat=Heartbeat(1), ack_action=AckAction("ak-1"))


@pytest.mark.parametrize(
    "frame",
    ["{}", '{"Telepathy":{}}', '{"Heartbeat":{"local_time":1},"AckAction":{"action_id":"ak-1"}}', '"Heartbeat"'],
)
def test_a_frame_without_one_known_variant_is_refused(frame: str) -> None:
    """A newer peer's new kind of message is skipped, not misread."""
    with pytest.raises(InvalidMessage):
        decode(frame, FromDrone)
