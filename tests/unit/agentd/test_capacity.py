"""What a machine holds."""

from __future__ import annotations

from agentd.capacity import judge_load, parse_meminfo, read_capacity, read_load
from protocol.heartbeats import Load

MEMINFO = """MemTotal:       1000 kB
MemFree:         100 kB
MemAvailable:    400 kB
HugePages_Total:       0
"""


def test_the_load_of_a_machine() -> None:
    """Memory that is not available is in use; figures without a unit are no memory."""
    figures = parse_meminfo(MEMINFO)
    assert figures == {"MemTotal": 1_024_000, "MemFree": 102_400, "MemAvailable": 409_600}
    assert judge_load(figures, load_average=0.256, backends=3) == Load(614_400, 0.26, 3)


def test_this_machine_can_be_read() -> None:
    """The kernel's files look as expected."""
    capacity, load = read_capacity(), read_load(2)
    assert capacity.memory_bytes is not None
    assert 0 < load.memory_bytes < capacity.memory_bytes
    assert load.backends == 2
