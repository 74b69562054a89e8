"""
What a controller takes from a drone, and what not.
"""

from __future__ import annotations

import pytest

from protocol.codec import InvalidMessage, decode
from protocol.drone_messages import FromDrone
from tests.factories import BACKEND


def test_a_batch_keeps_its_order() -> None:
    """It stands for the messages within it, one after the other."""
    frame = '{"Batch":[{"AckAction":{"action_id":"ak-2"}},{"AckAction":{"action_id":"ak-1"}}]}'
    batch = decode(frame, FromDrone).batch
    assert isinstance(batch, list)
    assert [message.variant.action_id for message in batch] == ["ak-2", "ak-1"]


@pytest.mark.parametrize(
    "frame",
    [
        '{"AckAction":{"action_id":"ak-\\u0000"}}',
        '{"RenewKey":{"backend":"\\u0000","local_time":1}}',
        f'{{"RenewKey":{{"backend":"{BACKEND}","local_time":{2**63}}}}}',
        f'{{"BackendEvent":{{"event_id":{2**63},"backend_id":"{BACKEND}","state":{{"status":"loading"}},"timestamp":1}}}}',
        f'{{"BackendEvent":{{"event_id":1,"backend_id":"{BACKEND}","state":{{"status":"lurking"}},"timestamp":1}}}}',
        '{"Heartbeat":{"local_time":"now"}}',
        '{"Heartbeat":{}}',
    ],
)
def test_what_the_database_could_not_hold_does_not_parse(frame: str) -> None:
    """NUL in a text, numbers beyond 64 bits, words that are no status: logged and skipped, never stored."""
    with pytest.raises(InvalidMessage):
        decode(frame, FromDrone)
