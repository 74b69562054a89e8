"""
What a process and all below it use, from /proc: CPU time and resident memory. Parsing is pure; one function reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from protocol.metrics import BackendMetrics


@dataclass(frozen=True)
class ProcessLine:
    """What matters of one line of /proc/PID/stat: the parent, CPU ticks (reaped children's too), resident pages."""

    parent: int
    ticks: int
    pages: int


@dataclass(frozen=True)
class Machine:
    """The machine's units and totals."""

    ticks_per_second: int
    page_size: int
    cpu_ticks: int
    memory_bytes: int


@dataclass(frozen=True)
class TreeReading:
    """The use of one process tree, and the machine's CPU time, at one moment; nanoseconds and bytes."""

    cpu: int
    machine_cpu: int
    resident: int
    memory_bytes: int


def parse_stat(text: str) -> ProcessLine:
    """Parse /proc/PID/stat. The program's name stands in parentheses and may hold anything."""
    fields = text.rpartition(")")[2].split()
    return ProcessLine(int(fields[1]), sum(map(int, fields[11:15])), int(fields[21]))


def parse_machine(stat: str, meminfo: str, *, ticks_per_second: int, page_size: int) -> Machine:
    """Parse /proc/stat and /proc/meminfo."""
    cpu = stat.split("\n", 1)[0].split()[1:9]
    total = next(line.split()[1] for line in meminfo.splitlines() if line.startswith("MemTotal:"))
    return Machine(ticks_per_second, page_size, sum(map(int, cpu)), int(total) * 1024)


def read_tree(root: int, processes: Mapping[int, ProcessLine], *, machine: Machine) -> TreeReading | None:
    """Add up all below a root; the root's own memory, which is the agent's doing, is left out."""
    if root not in processes:
        return None
    members = {root}
    grown = True
    while grown:
        found = {pid for pid, line in processes.items() if line.parent in members} - members
        members |= found
        grown = bool(found)
    nanoseconds = 1_000_000_000 // machine.ticks_per_second
    return TreeReading(
        cpu=sum(processes[pid].ticks for pid in members) * nanoseconds,
        machine_cpu=machine.cpu_ticks * nanoseconds,
        resident=sum(processes[pid].pages for pid in members - {root}) * machine.page_size,
        memory_bytes=machine.memory_bytes,
    )


def metrics_between(backend: str, now: TreeReading, *, before: TreeReading) -> BackendMetrics:
    """Return the sample; a process has no cgroup to tell active memory from inactive, so all of it counts as active."""
    return BackendMetrics(
        backend_id=backend,
        mem_used=now.resident,
        mem_total=now.resident,
        mem_active=now.resident,
        mem_inactive=0,
        mem_unevictable=0,
        mem_limit=now.memory_bytes,
        cpu_used=max(0, now.cpu - before.cpu),
        sys_cpu=max(0, now.machine_cpu - before.machine_cpu),
    )


def measure_tree(root: int, proc: Path, *, ticks_per_second: int, page_size: int) -> TreeReading | None:
    """Read one process tree from a /proc; None when its root is gone."""
    processes = {}
    for entry in proc.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                processes[int(entry.name)] = parse_stat((entry / "stat").read_text(errors="replace"))
    stat, meminfo = (proc / "stat").read_text(), (proc / "meminfo").read_text()
    machine = parse_machine(stat, meminfo, ticks_per_second=ticks_per_second, page_size=page_size)
    return read_tree(root, processes, machine=machine)
