"""
Which containers are believed alive and whose end has been told, so that no end is missed, whether the event of it came,
came twice, or never came. Pure.

Three things are heard: that a container was started, what the event stream says, and now and then a full list.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Listed:
    """One of our containers in the engine's list."""

    container_id: str
    backend: str
    has_ended: bool


@dataclass(frozen=True)
class Vanished:
    """A container that was alive, and that the engine no longer knows."""

    container_id: str
    backend: str


class ExitLedger:
    """Remembers what is known of each container until the engine has forgotten it."""

    def __init__(self) -> None:
        self._alive: dict[str, str] = {}
        self._told: set[str] = set()

    def started(self, container_id: str, backend: str) -> None:
        """Note a container that runs; its end may have been told already."""
        if container_id not in self._told:
            self._alive[container_id] = backend

    def ended(self, container_id: str) -> bool:
        """Note that a container's process ended; return whether that is news."""
        self._alive.pop(container_id, None)
        if container_id in self._told:
            return False
        self._told.add(container_id)
        return True

    def destroyed(self, container_id: str) -> bool:
        """Note that a container was removed; return whether its end is news."""
        was_alive = self._alive.pop(container_id, None) is not None
        self._told.discard(container_id)
        return was_alive

    def known(self) -> frozenset[str]:
        """Return all containers known now: take this before asking for a list, and give it back with the list."""
        return frozenset(self._alive) | frozenset(self._told)

    def compare(self, rows: Iterable[Listed], known_before: frozenset[str]) -> list[Listed | Vanished]:
        """
        Learn from a full list, and return the ends in it that have not been told.

        What became known only while the list was on its way may be missing from it, and is left alone.
        """
        listed = {row.container_id: row for row in rows}
        gone = known_before - listed.keys()
        self._told -= gone
        vanished = [
            Vanished(container_id, self._alive.pop(container_id)) for container_id in sorted(gone & self._alive.keys())
        ]
        for row in listed.values():
            if not row.has_ended:
                self.started(row.container_id, row.backend)
        return [*vanished, *(row for row in listed.values() if row.has_ended and row.container_id not in self._told)]
