"""
The statuses and their order, and what a state knows.
"""

from __future__ import annotations

import pytest
from hypothesis import given

from protocol.backend_state import (
    BackendState,
    BackendStatus,
    Loading,
    Ready,
    Terminated,
    Waiting,
    address_of,
    last_status_of,
    status_of,
)
from protocol.codec import InvalidMessage, decode
from tests.strategies import backend_states


def test_the_ranks_are_the_published_numbers() -> None:
    """They are stored and compared by others: not ours to change."""
    assert {str(status): status.rank for status in BackendStatus} == {
        "scheduled": 10,
        "loading": 20,
        "starting": 30,
        "waiting": 40,
        "ready": 50,
        "terminating": 60,
        "hard-terminating": 65,
        "terminated": 70,
    }


def test_the_end_begins_with_terminating() -> None:
    """From there on nobody new is let in."""
    ending = [status for status in BackendStatus if status.is_ending]
    assert ending == [BackendStatus.TERMINATING, BackendStatus.HARD_TERMINATING, BackendStatus.TERMINATED]


@given(backend_states)
def test_every_state_has_its_word_and_remembers_a_last_status(state: BackendState) -> None:
    """Before the end, the last status is the status itself."""
    status = status_of(state)
    assert status.is_ending == hasattr(state, "last_status")
    assert last_status_of(state) == getattr(state, "last_status", status)
    assert (address_of(state) is not None) == isinstance(state, Waiting | Ready)


def test_each_word_belongs_to_one_state() -> None:
    """Every status has a state object, in the order of the ranks."""
    words = [status_of(state) for state in (Loading(), Waiting("1.2.3.4:1"), Ready("1.2.3.4:1"))]
    assert words == [BackendStatus.LOADING, BackendStatus.WAITING, BackendStatus.READY]
    assert status_of(Terminated(BackendStatus.READY)) is BackendStatus.TERMINATED


@pytest.mark.parametrize("address", ["10.0.0.7:49153", "[::1]:80", "[fe80::1]:65535"])
def test_an_address_is_ip_and_port(address: str) -> None:
    """IPv6 in brackets."""
    state: BackendState = decode(f'{{"status":"ready","address":"{address}"}}', BackendState)  # type: ignore[arg-type]
    assert address_of(state) == address


@pytest.mark.parametrize("address", ["", "10.0.0.7", "host:80", "::1:80", "1.2.3.4:", "1.2.3.4:80\\n", "1.2.3.4:80/x"])
def test_anything_else_is_no_address(address: str) -> None:
    """Proxies connect to it as it is, so it has to be one."""
    with pytest.raises(InvalidMessage):
        decode(f'{{"status":"ready","address":"{address}"}}', BackendState)  # type: ignore[arg-type]
