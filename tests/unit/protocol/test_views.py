"""
What the public may know of a backend.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from protocol.backend_state import (
    BackendState,
    BackendStatus,
    HardTerminating,
    Ready,
    Terminated,
    Terminating,
    TerminationKind,
    TerminationReason,
    status_of,
)
from protocol.codec import encode
from protocol.views import view_status
from tests.strategies import backend_states

READY = BackendStatus.READY
SOFT = TerminationKind.SOFT
SWEPT = TerminationReason.SWEPT


def shown(state: BackendState) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(encode(view_status(state, 1)))
    return document


def test_a_running_backend_shows_its_status_and_since_when() -> None:
    """Not its address, which is nobody's business."""
    assert shown(Ready("10.0.0.7:49153")) == {"status": "ready", "time": 1}


def test_an_ending_backend_shows_how_and_why() -> None:
    """A hard end is hard without being told."""
    ending = {"status": "terminating", "time": 1, "termination_reason": "swept", "termination_kind": "soft"}
    assert shown(Terminating(READY, SOFT, SWEPT)) == ending
    killed = {"status": "hard-terminating", "time": 1, "termination_reason": "swept", "termination_kind": "hard"}
    assert shown(HardTerminating(READY, SWEPT)) == killed


@pytest.mark.parametrize(("code", "failed"), [(0, False), (1, True), (137, True), (-1, True), (None, False)])
def test_an_ended_backend_always_shows_whether_it_failed(code: int | None, failed: bool) -> None:
    """An unknown exit code is no error."""
    ended = shown(Terminated(READY, exit_code=code))
    assert ended == {"status": "terminated", "time": 1, "exit_error": failed}


@given(backend_states)
def test_only_what_is_known_is_shown(state: BackendState) -> None:
    """No null, and no `exit_error` before the end."""
    view = shown(state)
    assert None not in view.values()
    assert ("exit_error" in view) == (status_of(state) is BackendStatus.TERMINATED)
    assert {"status", "time"} <= set(view) <= {"status", "time", "termination_reason", "termination_kind", "exit_error"}
