"""The link that stands in for a socket in unit tests."""

from __future__ import annotations

from daemonkit.link import Link, MemoryLink
from protocol.drone_messages import AckAction


def test_it_keeps_what_was_sent_and_drops_what_may_be_dropped() -> None:
    """It behaves as a real one does when it is slow, and when it is closed."""
    memory = MemoryLink()
    link: Link = memory
    link.send(AckAction("ak-1"))
    memory.is_slow = True
    link.send_droppable(AckAction("ak-2"))
    assert memory.take() == [AckAction("ak-1")]
    link.close("why")
    link.close("again")
    link.send(AckAction("ak-3"))
    assert memory.take() == []
    assert memory.closed_because == "why"
