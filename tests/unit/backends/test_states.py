"""What a report changes, as a table and as properties."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.states import Accepted, Effect, Stale, effects_of, judge_report, supersedes
from protocol.backend_state import BackendState, BackendStatus, status_of
from tests.strategies import structs

statuses = st.sampled_from(BackendStatus)
states: st.SearchStrategy[BackendState] = st.one_of([structs(kind) for kind in BackendState.__args__])


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (BackendStatus.LOADING, {Effect.ANNOUNCE}),
        (BackendStatus.READY, {Effect.ANNOUNCE}),
        (BackendStatus.TERMINATING, {Effect.ANNOUNCE, Effect.DROP_ROUTES}),
        (BackendStatus.HARD_TERMINATING, {Effect.ANNOUNCE, Effect.DROP_ROUTES}),
        (BackendStatus.TERMINATED, set(Effect)),
    ],
)
def test_the_consequences_of_a_status(status: BackendStatus, expected: set[Effect]) -> None:
    """The key is released at the very end only: until then the process may still act as the owner."""
    assert effects_of(status) == expected


@given(st.lists(states, max_size=30))
def test_status_only_moves_forward(story: list[BackendState]) -> None:
    """Whatever is reported in whatever order, no status is entered twice or left backwards."""

    def step(life: list[BackendStatus], reported: BackendState) -> list[BackendStatus]:
        verdict = judge_report(life[-1], reported)
        return life if isinstance(verdict, Stale) else [*life, status_of(reported)]

    life = reduce(step, story, [BackendStatus.SCHEDULED])
    assert [status.rank for status in life] == sorted({status.rank for status in life})


@given(statuses, states)
def test_a_report_is_accepted_once(current: BackendStatus, reported: BackendState) -> None:
    """The second time it is stale, so it may arrive twice."""
    if isinstance(judge_report(current, reported), Accepted):
        assert judge_report(status_of(reported), reported) == Stale()


@given(statuses, statuses)
def test_of_two_statuses_one_supersedes_the_other_unless_they_are_the_same(
    one: BackendStatus, other: BackendStatus
) -> None:
    """A total order."""
    assert supersedes(one, other) + supersedes(other, one) == (one is not other)


@given(statuses)
def test_nothing_supersedes_terminated(status: BackendStatus) -> None:
    """Gone is gone."""
    assert not supersedes(status, BackendStatus.TERMINATED)
