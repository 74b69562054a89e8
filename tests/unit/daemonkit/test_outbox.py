"""The queue before a socket."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from daemonkit.outbox import Outbox, OutboxLimits, join_batch

LIMITS = OutboxLimits(frames=10, bytes=100, batch_frames=4, batch_bytes=30)


def test_it_is_bounded_in_number_and_in_bytes() -> None:
    """Whichever limit comes first refuses the frame."""
    outbox = Outbox(LIMITS)
    assert [outbox.put(b"x") for _ in range(11)] == [True] * 10 + [False]
    outbox.clear()
    assert [outbox.put(b"x" * 50) for _ in range(3)] == [True, True, False]


def test_droppable_frames_give_way_when_half_of_it_is_taken() -> None:
    """Metrics leave room for reports, and are counted."""
    outbox = Outbox(LIMITS)
    assert [outbox.put_droppable(b"x") for _ in range(6)] == [True] * 5 + [False]
    assert outbox.dropped == 1
    assert outbox.put(b"x")


def test_an_oversized_frame_is_taken_alone() -> None:
    """A frame larger than a batch still goes out."""
    outbox = Outbox(LIMITS)
    for frame in (b"a" * 40, b"b", b"c"):
        outbox.put(frame)
    assert outbox.take() == [b"a" * 40]
    assert outbox.take() == [b"b", b"c"]
    assert outbox.take() == []


@given(st.lists(st.one_of(st.binary(max_size=40), st.none()), max_size=60))
def test_what_was_accepted_comes_out_once_and_in_order(story: list[bytes | None]) -> None:
    """Any mixture of puts and takes (None) keeps order, loses nothing, and stays within the limits."""
    outbox = Outbox(LIMITS)
    accepted: list[bytes] = []
    taken: list[bytes] = []
    for frame in story:
        if frame is None:
            batch = outbox.take()
            assert len(batch) <= LIMITS.batch_frames
            assert len(batch) == 1 or sum(map(len, batch)) <= LIMITS.batch_bytes
            taken += batch
        elif outbox.put(frame):
            accepted.append(frame)
        assert len(outbox) <= LIMITS.frames
    while outbox:
        taken += outbox.take()
    assert taken == accepted
    assert [outbox.put(b"x" * 10) for _ in range(11)] == [True] * 10 + [False]  # sizes were given back, too


def test_a_batch_is_one_message_of_the_wire() -> None:
    """Encoded messages are put together without being read again."""
    assert json.loads(join_batch([b'{"A":1}', b'{"B":2}'])) == {"Batch": [{"A": 1}, {"B": 2}]}
