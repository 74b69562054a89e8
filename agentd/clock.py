"""
The drone's own clock: steady, over suspension and steps of the wall clock too, and the same in every run since boot.

It is CLOCK_BOOTTIME plus an offset that is fixed once per boot and kept in the journal. Deadlines are compared with
nothing else, and with no time of another machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class BootOffset:
    """What to add to the time since a certain boot, in milliseconds."""

    boot_id: str
    offset: int


def choose_offset(kept: BootOffset | None, boot_id: str, *, wall: int, since_boot: int) -> BootOffset:
    """Return the offset of this boot: the one that was kept, else one that makes the clock agree with the wall now."""
    if kept is not None and kept.boot_id == boot_id:
        return kept
    return BootOffset(boot_id, wall - since_boot)


def read_boot_id() -> str:
    """Return what the kernel calls this boot."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def since_boot_ms() -> int:
    """Return milliseconds since boot, suspension included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def wall_ms() -> int:
    """Return what the wall clock says, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


#: Milliseconds on this drone's own clock.
Clock = Callable[[], int]


def steady_clock(offset: BootOffset, since_boot: Callable[[], int] = since_boot_ms) -> Clock:
    """Return the clock with this offset."""

    def now() -> int:
        return since_boot() + offset.offset

    return now
