"""
Heartbeats of drones: the drone's own clock, and what it has room for.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from protocol.spawn import Count, Text
from protocol.timestamps import Timestamp


class Capacity(msgspec.Struct, frozen=True):
    """**ext** capacity: what a drone can hold; null where it sets no limit."""

    memory_bytes: Count | None
    cpus: float | None
    backends: Count | None


class Load(msgspec.Struct, frozen=True):
    """**ext** capacity: what a drone holds now."""

    memory_bytes: Count
    cpus: float
    backends: Count


class Heartbeat(msgspec.Struct, frozen=True):
    """A drone lives, and this is its clock. `images` only when it changed, else null."""

    local_time: Timestamp
    capacity: Capacity | UnsetType = UNSET
    load: Load | UnsetType = UNSET
    images: list[Text] | UnsetType | None = UNSET
