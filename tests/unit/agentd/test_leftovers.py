"""What earlier runs left behind."""

from __future__ import annotations

import pytest

from agentd.journal import Leftover
from agentd.leftovers import judge_leftover, kill_leftovers, report_leftovers
from agentd.runtime.interface import Alive, Exited, RuntimeFailure
from agentd.runtime.memory import MemoryRuntime
from protocol.backend_state import (
    BackendState,
    BackendStatus,
    Ready,
    Terminated,
    Terminating,
    TerminationKind,
    TerminationReason,
)
from tests.virtual_time import run_in_virtual_time

READY = Ready("10.0.0.7:49153")
INTERNAL = TerminationReason.INTERNAL_ERROR


def test_everything_of_this_drone_is_killed_and_removed() -> None:
    """What runs, what ended, and what takes a while to die."""
    runtime = MemoryRuntime()
    runtime.containers = {"b1": Alive(), "b2": Exited(0), "slow": Alive()}
    runtime.script("slow").exit_delay = 3
    assert run_in_virtual_time(kill_leftovers(runtime)) == {"b1", "b2", "slow"}
    assert not runtime.containers
    assert ("terminate", "b1") not in runtime.calls


def test_what_cannot_be_killed_is_told() -> None:
    """An agent must not begin beside it."""
    runtime = MemoryRuntime()
    runtime.containers = {"b1": Alive()}
    runtime.script("b1").exit_delay = 10**6
    with pytest.raises(RuntimeFailure, match="b1 of an earlier run cannot be killed"):
        run_in_virtual_time(kill_leftovers(runtime))


@pytest.mark.parametrize(
    ("state", "was_killed", "expected"),
    [
        (None, False, Terminated(BackendStatus.SCHEDULED, None, INTERNAL)),
        (READY, False, Terminated(BackendStatus.READY, None, INTERNAL)),
        (READY, True, Terminated(BackendStatus.READY, TerminationKind.HARD, INTERNAL)),
        (
            Terminating(BackendStatus.READY, TerminationKind.SOFT, TerminationReason.SWEPT),
            True,
            Terminated(BackendStatus.READY, TerminationKind.HARD, TerminationReason.SWEPT),
        ),
    ],
)
def test_how_it_ended(state: BackendState | None, was_killed: bool, expected: Terminated) -> None:
    """The reason of an end that had begun stays; nothing is made up."""
    assert judge_leftover(Leftover("b1", state), was_killed=was_killed) == expected


def test_each_is_reported_once() -> None:
    """Those that were killed, and those that nobody found."""
    told: list[tuple[str, BackendState]] = []
    left = [Leftover("b1", READY), Leftover("b2", None)]
    report_leftovers(left, {"b1", "unknown"}, report=lambda backend, state: told.append((backend, state)))
    assert told == [
        ("b1", Terminated(BackendStatus.READY, TerminationKind.HARD, INTERNAL)),
        ("b2", Terminated(BackendStatus.SCHEDULED, None, INTERNAL)),
    ]
