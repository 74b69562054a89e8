"""What a plain process is started with."""

from __future__ import annotations

from random import Random

import pytest

from agentd.runtime.interface import StartFailed
from agentd.runtime.process_order import choose_port, left_out_of, process_environment
from protocol.spawn import Executable, Readiness, ResourceLimits
from tests.unit.agentd.runtime.orders import IMAGE, order


def test_the_agents_secrets_stay_with_the_agent() -> None:
    """Only the names of the list are inherited."""
    agent = {"PATH": "/bin", "PLANE_CONTROLLER_URL": "http://token@controller", "AWS_SECRET": "x", "LANG": "C"}
    made = process_environment(order(), port=20001, agent=agent)
    assert made == {"PATH": "/bin", "LANG": "C", "PORT": "20001", "SESSION_BACKEND_ID": "be1"}


def test_the_request_wins_over_what_is_inherited_and_the_session_over_both() -> None:
    """In this order."""
    asked = Executable(image=IMAGE, env={"LANG": "de", "PORT": "1"})
    made = process_environment(order(asked), port=20001, agent={"LANG": "C", "PORT": "2"})
    assert (made["LANG"], made["PORT"]) == ("de", "20001")


def test_a_port_in_use_is_not_chosen() -> None:
    """However often the dice fall on it."""
    first = choose_port(Random(1), is_free=lambda _: True)
    assert choose_port(Random(1), is_free=lambda port: port != first) != first


def test_no_free_port_is_a_failed_start() -> None:
    """Not an endless search."""
    with pytest.raises(StartFailed, match="no free port"):
        choose_port(Random(1), is_free=lambda _: False)


def test_what_a_process_cannot_have_is_named() -> None:
    """So that the log can say it; the limit on CPU time is kept."""
    asked = Executable(
        image=IMAGE,
        mount=True,
        network_name="n",
        port=3000,
        readiness=Readiness(port=3001),
        resource_limits=ResourceLimits(
            cpu_period_percent=50, cpu_time_limit=3, memory_limit_bytes=1, disk_limit_bytes=1
        ),
    )
    assert left_out_of(asked) == [
        "mount", "network_name", "port", "readiness.port", "cpu_period", "memory_limit_bytes", "disk_limit_bytes",
    ]  # fmt: skip
    assert left_out_of(Executable(image=IMAGE, resource_limits=ResourceLimits(cpu_time_limit=1), mount=False)) == []
