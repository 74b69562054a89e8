"""
Tells the controller which backends are in use: at once when one comes into use, and all of them at each heartbeat.
"""

from __future__ import annotations

from collections.abc import Callable

from daemonkit.link import Link
from protocol.channel import Extension
from protocol.proxy_messages import BackendInUse, FromProxy, InUse
from proxyd.activity import Activity, Usage


class Keepalive:
    """The hand of `activity`."""

    def __init__(self, clock: Callable[[], float], activity: Activity) -> None:
        self._clock = clock
        self._activity = activity
        self._link: Link | None = None

    def connected(self, link: Link) -> None:
        """Use a connection, and tell it what was in use meanwhile."""
        self._link = link
        self.tick()

    def disconnected(self) -> None:
        """Remember what is to be told until the next connection."""
        self._link = None

    def answered(self, usage: Usage) -> None:
        """Tell of a backend that came into use by answering."""
        now = self._clock()
        if not self._activity.answered(usage, now):
            return
        if self._link is None:
            usage.owed = True
        else:
            _send(self._link, [self._activity.told(usage, now)])

    def tick(self) -> None:
        """Tell of all that is in use; once per heartbeat."""
        if self._link is None:
            return
        reports = self._activity.report(self._clock())
        if reports:
            _send(self._link, reports)


def _send(link: Link, reports: list[BackendInUse]) -> None:
    if link.peer.lists(Extension.IN_USE):
        link.send(FromProxy(in_use=InUse(reports)))
        return
    for report in reports:
        link.send(FromProxy(keep_alive=report.backend))
