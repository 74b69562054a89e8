"""
From an order to what a plain process is started with, and what of the order is left out. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from agentd.runtime.interface import StartFailed, StartOrder
from agentd.runtime.session_environment import session_environment
from protocol.spawn import Executable

#: All that a backend sees of the agent's environment, which may hold secrets.
INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "SHELL", "TMPDIR", "TZ", "USER")

#: Below the range from which Linux takes the near ends of outgoing connections, so that none of these is in the way.
_PORTS: Final = range(20_000, 32_000)
_ATTEMPTS: Final = 200


def process_environment(order: StartOrder, *, port: int, agent: Mapping[str, str]) -> dict[str, str]:
    """Return a process's whole environment."""
    inherited = {name: agent[name] for name in INHERITED if name in agent}
    return inherited | session_environment(order, port=port)


def choose_port(dice: Random, *, is_free: Callable[[int], bool]) -> int:
    """
    Draw a port that is free.

    Raises:
        StartFailed: many draws, and none was.
    """
    for _ in range(_ATTEMPTS):
        port = dice.choice(_PORTS)
        if is_free(port):
            return port
    raise StartFailed("there is no free port")


def left_out_of(executable: Executable) -> list[str]:
    """Name what was asked for and a plain process does not get. CPU time for each process it does get."""
    limits = executable.resource_limits
    asked = {
        "mount": bool(executable.mount),
        "network_name": bool(executable.network_name),
        "port": executable.port is not None,
        "readiness.port": executable.readiness is not None and executable.readiness.port is not None,
        "cpu_period": limits is not None and (limits.cpu_period or limits.cpu_period_percent) is not None,
        # RLIMIT_AS counts address space, of which many programs reserve far more than they use.
        "memory_limit_bytes": limits is not None and limits.memory_limit_bytes is not None,
        "disk_limit_bytes": limits is not None and limits.disk_limit_bytes is not None,
    }
    return [name for name, is_asked in asked.items() if is_asked]
