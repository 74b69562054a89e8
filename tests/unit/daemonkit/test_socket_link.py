"""The sending side of a connection, without one."""

from __future__ import annotations

import asyncio

import pytest

from daemonkit.outbox import OutboxLimits
from daemonkit.socket_link import SocketLink
from protocol.channel import Handshake, Version
from protocol.drone_messages import AckAction

PEER = Handshake(Version("1", "x"), "co-a")
MESSAGE = AckAction("ak-1")


async def test_a_full_queue_closes_the_link_and_says_why() -> None:
    """There is nobody to wait for: what is lost is said again on the next connection."""
    link = SocketLink(PEER, OutboxLimits(frames=2))
    for _ in range(3):
        link.send(MESSAGE)
    assert link.closed_because == "the controller does not read fast enough"
    await link.wait_closed()


async def test_droppable_messages_never_close_it() -> None:
    """They are counted instead."""
    link = SocketLink(PEER, OutboxLimits(frames=2))
    for _ in range(5):
        link.send_droppable(MESSAGE)
    assert link.closed_because is None
    assert link.dropped == 4


async def test_a_closed_link_holds_nothing_and_takes_nothing() -> None:
    """The first reason stays, and what is sent afterwards is gone."""
    link = SocketLink(PEER, OutboxLimits())
    link.send(MESSAGE)
    link.close("first")
    link.close("second")
    link.send(MESSAGE)
    link.send_droppable(MESSAGE)
    assert link.closed_because == "first"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(link.take(), 0.01)


async def test_the_writer_is_woken() -> None:
    """A writer that waits gets what is sent then."""
    link = SocketLink(PEER, OutboxLimits())
    writer = asyncio.create_task(link.take())
    await asyncio.sleep(0)
    link.send(MESSAGE)
    assert await writer == [b'{"action_id":"ak-1"}']
