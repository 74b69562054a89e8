"""
How many may wait.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from proxyd.holding import Holding


def test_room_in_all_and_per_backend() -> None:
    """Whoever is too many is not admitted; who leaves makes room."""
    holding = Holding(per_backend=2, in_all=3)
    assert [holding.admit(b"a") for _ in range(3)] == [True, True, False]
    assert holding.admit(b"b")
    assert not holding.admit(b"c")
    holding.release(b"a")
    assert holding.admit(b"c")
    assert holding.total == 3


def test_tokens_of_one_backend_share_its_room() -> None:
    """Once the controller has named it."""
    holding = Holding(per_backend=3, in_all=100)
    for token in (b"a", b"a", b"b", b"b"):
        assert holding.admit(token)
    assert holding.name_backend(b"a", "b1") == 0
    assert holding.name_backend(b"b", "b1") == 1
    holding.release(b"b")
    assert not holding.admit(b"a")
    holding.release(b"a", 2)
    assert holding.admit(b"b")


def test_a_token_that_nobody_waits_for_is_not_remembered() -> None:
    """A late notice is no leak."""
    holding = Holding()
    assert holding.name_backend(b"a", "b1") == 0
    assert not holding._by_token
    assert not holding._backend_of


def test_nobody_leaves_who_never_came() -> None:
    """That would be our mistake."""
    with pytest.raises(AssertionError):
        Holding().release(b"a")


class Stories(RuleBasedStateMachine):
    """Counts add up and are never negative."""

    tokens = st.sampled_from([b"a", b"b", b"c", b"d"])

    def __init__(self) -> None:
        super().__init__()
        self.holding = Holding(per_backend=3, in_all=6)
        self.waiting: Counter[bytes] = Counter()

    @rule(token=tokens)
    def admit(self, token: bytes) -> None:
        if self.holding.admit(token):
            self.waiting[token] += 1

    @precondition(lambda self: self.waiting.total() > 0)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        token = data.draw(st.sampled_from(sorted(+self.waiting)))
        count = data.draw(st.integers(1, self.waiting[token]))
        self.holding.release(token, count)
        self.waiting[token] -= count

    @rule(token=tokens, backend=st.sampled_from(["b1", "b2"]))
    def name(self, token: bytes, backend: str) -> None:
        excess = self.holding.name_backend(token, backend)
        if excess:
            self.holding.release(token, excess)
            self.waiting[token] -= excess

    @invariant()
    def it_adds_up(self) -> None:
        holding = self.holding
        assert holding.total == self.waiting.total() == holding._by_token.total() <= 6
        assert all(0 <= count <= 3 for count in holding._by_backend.values())
        assert set(holding._backend_of) <= set(+self.waiting)


TestStories = Stories.TestCase
