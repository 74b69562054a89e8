"""Heartbeats, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib

from msgspec import UNSET

from agentd.heartbeat import HeartbeatSender
from daemonkit.link import MemoryLink
from protocol.channel import Handshake, Version
from protocol.drone_messages import FromDrone
from protocol.heartbeats import Capacity, Heartbeat, Load
from tests.virtual_time import run_in_virtual_time

CAPACITY, LOAD = Capacity(8, 2.0, None), Load(4, 0.5, 3)


def beats(link: MemoryLink) -> list[Heartbeat]:
    """Return the heartbeats sent since the last time."""
    return [m.heartbeat for m in link.take() if isinstance(m, FromDrone) and m.heartbeat]


def test_the_first_is_sent_at_once_and_then_one_per_interval() -> None:
    """While there is a connection."""

    async def play() -> None:
        loop = asyncio.get_running_loop()
        sender = HeartbeatSender(lambda: int(loop.time()), 7.0, capacity=lambda: CAPACITY, load=lambda: LOAD)
        task = asyncio.create_task(sender.run())
        await asyncio.sleep(8)
        link = MemoryLink()
        sender.connected(link)
        assert beats(link) == [Heartbeat(8, UNSET, UNSET)]
        await asyncio.sleep(14)
        assert [beat.local_time for beat in beats(link)] == [14, 21]
        sender.disconnected()
        await asyncio.sleep(14)
        assert beats(link) == []
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    run_in_virtual_time(play())


def test_capacity_is_told_to_who_asked_for_it() -> None:
    """A published controller gets the published heartbeat."""
    sender = HeartbeatSender(lambda: 5, 7.0, capacity=lambda: CAPACITY, load=lambda: LOAD)
    link = MemoryLink(Handshake(Version("1", "x"), "co-a", extensions=["capacity"]))
    sender.connected(link)
    assert beats(link) == [Heartbeat(5, CAPACITY, LOAD)]
