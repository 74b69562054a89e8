"""Process trees are measured from the text of /proc."""

from __future__ import annotations

from agentd.runtime.process_stats import (
    Machine,
    ProcessLine,
    TreeReading,
    metrics_between,
    parse_machine,
    parse_stat,
    read_tree,
)

STAT = "42 (a) b( c) S 7 42 42 0 -1 4194304 100 0 0 0 11 12 13 14 20 0 1 0 12345 1000000 250 18446744073709551615 1 1"
MACHINE = Machine(ticks_per_second=100, page_size=4096, cpu_ticks=1000, memory_bytes=10**9)


def test_a_name_with_parentheses_confuses_nobody() -> None:
    """The fields count from the last one."""
    assert parse_stat(STAT) == ProcessLine(parent=7, ticks=11 + 12 + 13 + 14, pages=250)


def test_the_machine_is_read() -> None:
    """All eight kinds of time; guest time is in them already."""
    stat = "cpu  1 2 3 4 5 6 7 8 100 100\ncpu0 1 2 3 4 5 6 7 8 0 0\n"
    machine = parse_machine(stat, "MemFree: 1 kB\nMemTotal:  2048 kB\n", ticks_per_second=100, page_size=4096)
    assert machine == Machine(100, 4096, 36, 2048 * 1024)


def test_a_tree_is_added_up_without_its_root() -> None:
    """The root is the keeper, not the backend; strangers do not count."""
    processes = {
        1: ProcessLine(0, 500, 500),
        10: ProcessLine(1, 1, 1000),
        11: ProcessLine(10, 5, 10),
        12: ProcessLine(11, 7, 20),
        13: ProcessLine(1, 900, 900),
    }
    assert read_tree(10, processes, machine=MACHINE) == TreeReading(13 * 10**7, 1000 * 10**7, 30 * 4096, 10**9)
    assert read_tree(99, processes, machine=MACHINE) is None


def test_a_sample_is_what_was_used_in_between() -> None:
    """CPU as a difference, which never is negative; memory as it is."""
    sample = metrics_between("be1", TreeReading(130, 1500, 7, 50), before=TreeReading(100, 1000, 1, 50))
    assert (sample.cpu_used, sample.sys_cpu, sample.mem_used, sample.mem_limit) == (30, 500, 7, 50)
    assert metrics_between("be1", TreeReading(90, 1, 1, 5), before=TreeReading(100, 1, 1, 5)).cpu_used == 0
