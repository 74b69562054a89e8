"""Samples from what the engine says, on both versions of cgroups."""

from __future__ import annotations

from typing import Any

import pytest

from agentd.runtime.docker.cgroup_stats import CpuReading, metrics_between, read_cpu
from protocol.metrics import BackendMetrics

VERSION_1 = {
    "usage": 1000,
    "limit": 5000,
    "stats": {
        "rss": 1, "cache": 1, "total_rss": 300, "total_cache": 400, "total_active_anon": 10, "total_active_file": 20,
        "total_inactive_anon": 30, "total_inactive_file": 40, "total_unevictable": 50, "inactive_file": 7,
    },
}  # fmt: skip
VERSION_2 = {
    "usage": 1000,
    "limit": 2**64 - 1,
    "stats": {
        "anon": 1, "file": 2, "kernel_stack": 4, "sock": 8, "slab": 16, "active_anon": 10, "active_file": 20,
        "inactive_anon": 30, "inactive_file": 40, "unevictable": 50,
    },
}  # fmt: skip


def stats(memory: Any, used: int = 900, machine: int = 9000) -> dict[str, Any]:
    return {"cpu_stats": {"cpu_usage": {"total_usage": used}, "system_cpu_usage": machine}, "memory_stats": memory}


@pytest.mark.parametrize(("memory", "total", "limit"), [(VERSION_1, 700, 5000), (VERSION_2, 31, 2**63 - 1)])
def test_memory_is_counted_as_the_wire_says(memory: Any, total: int, limit: int) -> None:
    """Used is usage minus inactive file; CPU is the difference to the sample before."""
    assert metrics_between("be1", stats(memory), before=CpuReading(600, 5000)) == BackendMetrics(
        backend_id="be1",
        mem_used=960,
        mem_total=total,
        mem_active=30,
        mem_inactive=70,
        mem_unevictable=50,
        mem_limit=limit,
        cpu_used=300,
        sys_cpu=4000,
    )


def test_the_first_sample_has_nothing_to_compare_with() -> None:
    """It only gives the counters."""
    assert metrics_between("be1", stats(VERSION_1), before=None) is None
    assert read_cpu(stats(VERSION_1)) == CpuReading(900, 9000)


@pytest.mark.parametrize(
    "empty",
    [
        {},
        {"cpu_stats": {"cpu_usage": {"total_usage": 0}}, "memory_stats": {}},
        stats({}),
        stats({"usage": 1, "stats": {"odd": 1}}),
    ],
)
def test_a_container_that_does_not_run_has_no_sample(empty: dict[str, Any]) -> None:
    """The engine answers with empty parts."""
    assert metrics_between("be1", empty, before=CpuReading(0, 0)) is None


def test_counters_that_began_anew_give_nothing_negative() -> None:
    """As after a restart by hand."""
    sample = metrics_between("be1", stats(VERSION_2, used=5, machine=5), before=CpuReading(600, 5000))
    assert sample is not None
    assert (sample.cpu_used, sample.sys_cpu) == (0, 0)
