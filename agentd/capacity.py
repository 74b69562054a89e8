"""
What this machine can hold, and what it holds now, as heartbeats tell it (**ext** capacity).
"""

from __future__ import annotations

import os
from pathlib import Path

from protocol.heartbeats import Capacity, Load

_MEMINFO = Path("/proc/meminfo")


def parse_meminfo(text: str) -> dict[str, int]:
    """Return the kernel's memory figures in bytes."""
    rows = (line.split() for line in text.splitlines())
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if len(row) == 3 and row[2] == "kB"}


def judge_load(meminfo: dict[str, int], *, load_average: float, backends: int) -> Load:
    """Return what a machine with these figures holds."""
    used = meminfo.get("MemTotal", 0) - meminfo.get("MemAvailable", 0)
    return Load(memory_bytes=max(used, 0), cpus=round(load_average, 2), backends=backends)


def read_capacity() -> Capacity:
    """Look at this machine; it sets no limit to the number of backends."""
    return Capacity(parse_meminfo(_MEMINFO.read_text()).get("MemTotal"), float(os.cpu_count() or 1), None)


def read_load(backends: int) -> Load:
    """Look at this machine now."""
    return judge_load(parse_meminfo(_MEMINFO.read_text()), load_average=os.getloadavg()[0], backends=backends)
