"""No end is missed and none is told for ever."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agentd.runtime.docker.exit_ledger import ExitLedger, Listed, Vanished


def test_an_event_is_told_once() -> None:
    """However often it comes, and whether or not the start was noted before."""
    ledger = ExitLedger()
    assert ledger.ended("c1")
    ledger.started("c1", "be1")
    assert not ledger.ended("c1")
    assert ledger.compare([Listed("c1", "be1", has_ended=True)], ledger.known()) == []


def test_an_end_that_no_event_told_is_found_in_the_list() -> None:
    """And offered again until it has been told, since looking at it may fail."""
    ledger = ExitLedger()
    ledger.started("c1", "be1")
    row = Listed("c1", "be1", has_ended=True)
    assert ledger.compare([row], ledger.known()) == [row]
    assert ledger.compare([row], ledger.known()) == [row]
    assert ledger.ended("c1")
    assert ledger.compare([row], ledger.known()) == []


def test_a_container_that_vanished_is_told() -> None:
    """Somebody removed it while nobody listened."""
    ledger = ExitLedger()
    ledger.started("c1", "be1")
    assert ledger.compare([], ledger.known()) == [Vanished("c1", "be1")]
    assert ledger.compare([], ledger.known()) == []


def test_a_container_started_while_the_list_was_made_has_not_vanished() -> None:
    """The list may be older than the container."""
    ledger = ExitLedger()
    known_before = ledger.known()
    ledger.started("c1", "be1")
    assert ledger.compare([], known_before) == []
    assert ledger.destroyed("c1")


def test_our_own_removal_is_no_news() -> None:
    """The end was told before."""
    ledger = ExitLedger()
    ledger.started("c1", "be1")
    assert ledger.ended("c1")
    assert not ledger.destroyed("c1")
    assert not ledger.destroyed("c2")


class Engine(RuleBasedStateMachine):
    """Containers come and go, events get lost, lists come late; in the end every end has been told."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = ExitLedger()
        self.running: set[str] = set()
        self.exited: set[str] = set()
        self.over: set[str] = set()
        self.told: list[str] = []
        self.count = 0

    @rule()
    def start(self) -> None:
        self.count += 1
        self.running.add(f"c{self.count}")
        self.ledger.started(f"c{self.count}", f"b{self.count}")

    @rule(is_heard=st.booleans(), data=st.data())
    def die(self, is_heard: bool, data: st.DataObject) -> None:
        if self.running:
            chosen = data.draw(st.sampled_from(sorted(self.running)))
            self.running.remove(chosen)
            self.exited.add(chosen)
            self.over.add(chosen)
            if is_heard and self.ledger.ended(chosen):
                self.told.append(chosen)

    @rule(is_heard=st.booleans(), data=st.data())
    def remove(self, is_heard: bool, data: st.DataObject) -> None:
        if self.exited:
            chosen = data.draw(st.sampled_from(sorted(self.exited)))
            self.exited.remove(chosen)
            if is_heard and self.ledger.destroyed(chosen):
                self.told.append(chosen)

    @rule()
    def compare(self) -> None:
        rows = [Listed(name, name, has_ended=False) for name in self.running]
        rows += [Listed(name, name, has_ended=True) for name in self.exited]
        for missed in self.ledger.compare(rows, self.ledger.known()):
            if isinstance(missed, Vanished) or self.ledger.ended(missed.container_id):
                self.told.append(missed.container_id)
        assert self.over == set(self.told), "after a list, nothing is missed"
        assert self.ledger.known() == self.running | self.exited, "and nothing is kept that the engine has forgotten"

    @invariant()
    def none_is_told_twice_or_too_early(self) -> None:
        assert len(self.told) == len(set(self.told))
        assert set(self.told) <= self.over


TestEngine = Engine.TestCase
