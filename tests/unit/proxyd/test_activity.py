"""
What counts as use, and when it is told.
"""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from protocol.proxy_messages import BackendInUse
from proxyd.activity import Activity, Usage


def test_the_first_answer_is_told_at_once() -> None:
    """The next only when the backend comes into use anew, and not within a second."""
    activity = Activity()
    first = activity.begin("b1", 10.0)
    assert activity.answered(first, 10.5)
    assert activity.told(first, 10.5) == BackendInUse("b1", connections=1, for_ms=500)
    second = activity.begin("b1", 10.6)
    assert second is first
    assert not activity.answered(second, 10.6)  # it was in use already
    first.end()
    second.end()
    third = activity.begin("b1", 11.0)
    assert not activity.answered(third, 11.0)  # too soon, but not forgotten
    third.end()
    assert activity.report(12.0) == [BackendInUse("b1", connections=2, for_ms=0)]
    assert activity.report(19.0) == []
    assert len(activity) == 0


def test_what_fails_is_no_use() -> None:
    """Lesson: counting failed requests kept dead backends alive."""
    activity = Activity()
    activity.begin("b1", 0.0).end()
    assert activity.report(7.0) == []


def test_what_is_open_at_a_report_counts() -> None:
    """An upload has no answer for hours."""
    activity = Activity()
    activity.begin("b1", 0.0)
    assert activity.report(7.0) == [BackendInUse("b1", connections=1, for_ms=7000)]
    assert activity.report(14.0) == [BackendInUse("b1", connections=1, for_ms=14000)]


def test_no_count_goes_below_zero() -> None:
    """Lesson: counters below zero after the entry was made anew. An end belongs to its own entry."""
    activity = Activity()
    old = activity.begin("b1", 0.0)
    old.end()
    activity.report(7.0)
    new = activity.begin("b1", 8.0)
    assert new is not old
    with pytest.raises(AssertionError):
        old.end()
    assert new.count == 1


def test_a_new_controller_can_be_told_everything() -> None:
    """When the old one is gone before it could pass on what it heard."""
    activity = Activity()
    usage = activity.begin("b1", 0.0)
    activity.answered(usage, 0.0)
    activity.told(usage, 0.0)
    usage.end()
    usage.owed = True
    assert [report.backend for report in activity.report(0.1)] == ["b1"]


class Stories(RuleBasedStateMachine):
    """Whatever is opened and closed: the counts are right, and every use is told by the next report."""

    backends = st.sampled_from(["b1", "b2", "b3"])

    def __init__(self) -> None:
        super().__init__()
        self.activity = Activity()
        self.now = 0.0
        self.open: list[Usage] = []
        self.untold: set[str] = set()
        self.told_at: dict[str, float] = {}

    @rule(backend=backends)
    def begin(self, backend: str) -> None:
        self.open.append(self.activity.begin(backend, self.now))

    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        if not self.open:
            return
        usage = data.draw(st.sampled_from(self.open))
        if usage.fresh:
            self.untold.add(usage.backend)
        if self.activity.answered(usage, self.now):
            assert self.now - self.told_at.get(usage.backend, -9.0) >= 1.0, "more than once a second"
            self.activity.told(usage, self.now)
            self.told_at[usage.backend] = self.now
            self.untold.discard(usage.backend)

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        if self.open:
            self.open.pop(data.draw(st.integers(0, len(self.open) - 1))).end()

    @rule(seconds=st.floats(0, 10))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def report(self) -> None:
        told = {report.backend for report in self.activity.report(self.now)}
        assert told == self.untold | {usage.backend for usage in self.open}
        self.told_at |= dict.fromkeys(told, self.now)
        self.untold.clear()

    @invariant()
    def counts_are_right(self) -> None:
        for backend, usage in self.activity._usages.items():
            assert usage.count == sum(one.backend == backend for one in self.open)


TestStories = Stories.TestCase
