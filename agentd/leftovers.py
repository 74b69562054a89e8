"""
What an earlier run of this drone left behind: its containers are killed and removed, its backends reported as ended.

Until an agent can adopt backends, it starts with none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from agentd.journal import Leftover
from agentd.runtime.interface import Alive, Runtime, RuntimeFailure
from protocol.backend_state import (
    BackendState,
    BackendStatus,
    HardTerminating,
    Terminated,
    Terminating,
    TerminationKind,
    TerminationReason,
    last_status_of,
)

log = structlog.get_logger(__name__)

_AT_ONCE = 8
_LOOKS = 100
_PAUSE = 0.1


def judge_leftover(leftover: Leftover, *, was_killed: bool) -> Terminated:
    """Return how a backend ended whose agent did not live to see it."""
    state = leftover.state
    last_status = BackendStatus.SCHEDULED if state is None else last_status_of(state)
    kind = TerminationKind.HARD if was_killed else None
    reason = state.reason if isinstance(state, Terminating | HardTerminating) else TerminationReason.INTERNAL_ERROR
    return Terminated(last_status, kind, reason)


async def kill_leftovers(runtime: Runtime) -> set[str]:
    """
    Kill and remove everything of this drone that the engine knows, and return the names.

    Raises:
        RuntimeFailure: the engine does not answer, or something cannot be killed.
    """
    names = await runtime.list_own()
    turns = asyncio.Semaphore(_AT_ONCE)

    async def end(backend: str) -> None:
        async with turns:
            await _end(runtime, backend)

    await asyncio.gather(*(end(backend) for backend in names))
    return set(names)


async def _end(runtime: Runtime, backend: str) -> None:
    for _ in range(_LOOKS):
        await runtime.terminate(backend, hard=True)
        if not isinstance(await runtime.inspect(backend), Alive):
            await runtime.remove(backend)
            log.info("leftover_removed", backend=backend)
            return
        await asyncio.sleep(_PAUSE)
    raise RuntimeFailure(f"the backend {backend} of an earlier run cannot be killed")


def report_leftovers(
    leftovers: list[Leftover], killed: set[str], *, report: Callable[[str, BackendState], None]
) -> None:
    """Report the end of every backend that an earlier run took up."""
    for leftover in leftovers:
        report(leftover.name, judge_leftover(leftover, was_killed=leftover.name in killed))
