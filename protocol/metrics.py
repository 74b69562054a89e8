"""
Usage samples of one backend, as drones report them: bytes of memory, nanoseconds of CPU since the sample before.
"""

from __future__ import annotations

import msgspec

from protocol.names import BackendName


class BackendMetrics(msgspec.Struct, frozen=True):
    """
    One sample.

    On cgroup v1 `mem_total` is total_rss + total_cache, on v2 file + anon + kernel_stack + sock + slab; `mem_used` is
    usage minus inactive file; `sys_cpu` is the whole machine's CPU time in the interval.
    """

    backend_id: BackendName
    mem_used: int
    mem_total: int
    mem_active: int
    mem_inactive: int
    mem_unevictable: int
    mem_limit: int
    cpu_used: int
    sys_cpu: int
