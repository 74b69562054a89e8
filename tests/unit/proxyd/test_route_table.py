"""
The table of routes: bounded, forgetful on order, and never wrong about a backend.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from proxyd.route_table import REFRESH_PAUSE, RouteTable
from tests.unit.proxyd.routes_at_hand import route


def test_the_least_used_leave_first() -> None:
    """Use counts, not age."""
    table = RouteTable(good=2)
    for token in ("a", "b"):
        table.add(route(token))
    table.find(b"a", 0)
    table.add(route("c"))
    assert table.find(b"b", 0) is None
    assert table.find(b"a", 0) is not None
    assert len(table) == 2


def test_wrong_tokens_cannot_push_out_good_ones() -> None:
    """Lesson: kept with the good ones, they did."""
    table = RouteTable(good=2, wrong=3)
    table.add(route("a"))
    for number in range(100):
        table.add_wrong(b"%d" % number, 0)
    assert table.find(b"a", 0) is not None
    assert [table.is_wrong(token, 0) for token in (b"96", b"97", b"98", b"99")] == [False, True, True, True]


def test_wrong_is_not_for_ever() -> None:
    """Lesson: a token minted a moment later never worked."""
    table = RouteTable(wrong_for=5)
    table.add_wrong(b"a", 10)
    assert table.is_wrong(b"a", 14.9)
    assert not table.is_wrong(b"a", 15)
    table.add_wrong(b"b", 10)
    table.add(route("b"))
    assert not table.is_wrong(b"b", 10)
    table.expire(15)
    assert not table._wrong


def test_a_wrong_answer_takes_the_route_along() -> None:
    """It was good once, and is not any more."""
    table = RouteTable()
    table.add(route("a"))
    table.add_wrong(b"a", 0)
    assert table.find(b"a", 0) is None


def test_a_backend_goes_with_all_its_routes_or_some() -> None:
    """And with nobody else's."""
    table = RouteTable()
    for token, backend in (("a", "b1"), ("b", "b1"), ("c", "b1"), ("d", "b2")):
        table.add(route(token, backend_id=backend))
    table.drop_backend("b1", [b"a", b"d", b"x"])
    assert [table.find(token, 0) is not None for token in (b"a", b"b", b"c", b"d")] == [False, True, True, True]
    table.drop_backend("b1")
    table.drop_backend("b1")
    assert [table.find(token, 0) is not None for token in (b"b", b"c", b"d")] == [False, False, True]
    assert table._by_backend == {"b2": {b"d"}}


def test_an_expired_route_is_not_found() -> None:
    """From its last moment on."""
    table = RouteTable()
    table.add(route("a", now=0, expires_in_ms=10_000))
    assert table.find(b"a", 9.9) is not None
    assert table.find(b"a", 10) is None
    assert len(table) == 0


def test_a_doubted_route_is_asked_about_once_per_pause() -> None:
    """By whoever uses it."""
    table = RouteTable()
    table.add(route("a"))
    found = table.find(b"a", 5)
    assert found is not None
    assert not table.wants_refresh(found, 5)
    table.doubt(5)
    assert table.wants_refresh(found, 5)
    assert not table.wants_refresh(found, 5 + REFRESH_PAUSE - 1)
    assert table.wants_refresh(found, 5 + REFRESH_PAUSE)


class Stories(RuleBasedStateMachine):
    """Against a model that forgets nothing but what it is told to."""

    tokens = st.sampled_from(["a", "b", "c", "d", "e", "f"])
    backends = st.sampled_from(["b1", "b2", "b3"])

    def __init__(self) -> None:
        super().__init__()
        self.table = RouteTable(good=4, wrong=2, wrong_for=5)
        self.model: dict[str, str] = {}
        self.now = 0.0

    @rule(token=tokens, backend=backends)
    def add(self, token: str, backend: str) -> None:
        self.table.add(route(token, backend_id=backend))
        self.model.pop(token, None)
        self.model[token] = backend
        if len(self.model) > 4:
            del self.model[next(iter(self.model))]

    @rule(token=tokens)
    def add_wrong(self, token: str) -> None:
        self.table.add_wrong(token.encode(), self.now)
        self.model.pop(token, None)
        assert self.table.is_wrong(token.encode(), self.now)

    @rule(backend=backends, tokens=st.none() | st.lists(tokens))
    def drop(self, backend: str, tokens: list[str] | None) -> None:
        self.table.drop_backend(backend, None if tokens is None else [token.encode() for token in tokens])
        for token, owner in list(self.model.items()):
            if owner == backend and (tokens is None or token in tokens):
                del self.model[token]

    @rule(token=tokens)
    def find(self, token: str) -> None:
        found = self.table.find(token.encode(), self.now)
        assert (found.backend if found else None) == self.model.get(token)
        if found:
            self.model[token] = self.model.pop(token)

    @rule(seconds=st.floats(0, 10))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.table.expire(self.now)

    @invariant()
    def it_holds_together(self) -> None:
        assert len(self.table) == len(self.model)
        assert sum(map(len, self.table._by_backend.values())) == len(self.model)
        assert all(self.table._by_backend.values())
        assert len(self.table._wrong) <= 2


TestStories = Stories.TestCase
