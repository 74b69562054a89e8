"""
Tells the controller that this drone lives and what its clock says: at once after connecting, then at intervals.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec import UNSET

from agentd.clock import Clock
from daemonkit.link import Link
from protocol.channel import Extension
from protocol.drone_messages import FromDrone
from protocol.heartbeats import Capacity, Heartbeat, Load


class HeartbeatSender:
    """Sends heartbeats while there is a connection."""

    def __init__(
        self, clock: Clock, interval: float, *, capacity: Callable[[], Capacity], load: Callable[[], Load]
    ) -> None:
        self._clock = clock
        self._interval = interval
        self._capacity = capacity
        self._load = load
        self._link: Link | None = None

    def connected(self, link: Link) -> None:
        """Send the first one: nothing is scheduled on this drone before it."""
        self._link = link
        self.beat()

    def disconnected(self) -> None:
        """Pause."""
        self._link = None

    def beat(self) -> None:
        """Send one now, if there is somebody to hear it."""
        link = self._link
        if link is None:
            return
        if link.peer.lists(Extension.CAPACITY):
            capacity, load = self._capacity(), self._load()
            heartbeat = Heartbeat(self._clock(), capacity, load)
        else:
            heartbeat = Heartbeat(self._clock(), UNSET, UNSET)
        link.send(FromDrone(heartbeat=heartbeat))

    async def run(self) -> None:
        """Beat at intervals, until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            self.beat()
