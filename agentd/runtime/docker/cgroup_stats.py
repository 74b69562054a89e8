"""
From the engine's account of a container's cgroup (version 1 or 2) to the sample that a drone sends. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from protocol.metrics import BackendMetrics

_LARGEST = 2**63 - 1  # what a cgroup says when it has no limit may be larger


@dataclass(frozen=True)
class CpuReading:
    """CPU time since the container, and since the machine, began; nanoseconds."""

    container: int
    machine: int


@dataclass(frozen=True)
class _Memory:
    total: int
    active: int
    inactive: int
    inactive_file: int
    unevictable: int


def read_cpu(stats: Mapping[str, Any]) -> CpuReading | None:
    """Return the CPU counters; None for a container that is not running."""
    cpu = stats.get("cpu_stats") or {}
    used = (cpu.get("cpu_usage") or {}).get("total_usage")
    machine = cpu.get("system_cpu_usage")
    if used is None or machine is None:
        return None
    return CpuReading(int(used), int(machine))


def metrics_between(backend: str, stats: Mapping[str, Any], *, before: CpuReading | None) -> BackendMetrics | None:
    """Return the sample for the time since `before`; None for the first, and for a container that is not running."""
    now = read_cpu(stats)
    memory_stats = stats.get("memory_stats") or {}
    memory = _read_memory(memory_stats.get("stats") or {})
    usage = memory_stats.get("usage")
    if before is None or now is None or memory is None or usage is None:
        return None
    return BackendMetrics(
        backend_id=backend,
        mem_used=max(0, int(usage) - memory.inactive_file),
        mem_total=memory.total,
        mem_active=memory.active,
        mem_inactive=memory.inactive,
        mem_unevictable=memory.unevictable,
        mem_limit=min(int(memory_stats.get("limit", 0)), _LARGEST),
        # A container that was restarted by hand counts from zero again.
        cpu_used=max(0, now.container - before.container),
        sys_cpu=max(0, now.machine - before.machine),
    )


def _read_memory(counters: Mapping[str, Any]) -> _Memory | None:
    if "total_rss" in counters:
        return _read_version_1(counters)
    if "anon" in counters:
        return _read_version_2(counters)
    return None


def _sum(counters: Mapping[str, Any], *names: str) -> int:
    return sum(int(counters.get(name, 0)) for name in names)


def _read_version_1(counters: Mapping[str, Any]) -> _Memory:
    return _Memory(
        total=_sum(counters, "total_rss", "total_cache"),
        active=_sum(counters, "total_active_anon", "total_active_file"),
        inactive=_sum(counters, "total_inactive_anon", "total_inactive_file"),
        inactive_file=_sum(counters, "total_inactive_file"),
        unevictable=_sum(counters, "total_unevictable"),
    )


def _read_version_2(counters: Mapping[str, Any]) -> _Memory:
    return _Memory(
        total=_sum(counters, "file", "anon", "kernel_stack", "sock", "slab"),
        active=_sum(counters, "active_anon", "active_file"),
        inactive=_sum(counters, "inactive_anon", "inactive_file"),
        inactive_file=_sum(counters, "inactive_file"),
        unevictable=_sum(counters, "unevictable"),
    )
