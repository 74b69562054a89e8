"""
Questions: asked once per key, timed out, asked again after a reconnect.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from daemonkit.lookups import Lookups, Patience


def _lookups(*, window: int = 1000, connected: bool = True) -> Lookups[str, int]:
    lookups: Lookups[str, int] = Lookups(Patience(answer=5, held=300), window=window)
    if connected:
        lookups.connected(tells_of_holding=True)
    return lookups


def test_a_key_is_asked_about_once() -> None:
    """However many wait for it; and all of them are answered."""
    lookups = _lookups()
    for waiter in range(3):
        lookups.want("a", waiter, now=0)
    assert lookups.due() == ["a"]
    lookups.want("a", 3, now=1)
    assert lookups.due() == []
    assert lookups.answer("a") == [0, 1, 2, 3]
    assert lookups.answer("a") == []
    lookups.want("a", 4, now=2)
    assert lookups.due() == ["a"]


def test_nothing_is_asked_while_nobody_listens() -> None:
    """Lesson: a question sent while the controller was away never got an answer."""
    lookups = _lookups(connected=False)
    lookups.want("a", 1, now=0)
    assert lookups.due() == []
    lookups.connected(tells_of_holding=True)
    assert lookups.due() == ["a"]
    lookups.disconnected()
    lookups.want("b", 1, now=0)
    assert lookups.due() == []
    lookups.connected(tells_of_holding=True)
    assert sorted(lookups.due()) == ["a", "b"]


def test_patience_ends_for_each_who_waits() -> None:
    """Counted from when each came; an unknown key leaves nobody hanging."""
    lookups = _lookups()
    lookups.want("a", 1, now=0)
    lookups.want("a", 2, now=3)
    assert lookups.expire(4.9) == []
    assert lookups.expire(5) == [("a", 1)]
    assert lookups.expire(8) == [("a", 2)]
    assert len(lookups) == 0


def test_a_held_answer_is_waited_for_longer() -> None:
    """Also over a reconnect."""
    lookups = _lookups()
    lookups.want("a", 1, now=0)
    lookups.due()
    assert lookups.hold("a") == [1]
    assert lookups.hold("unknown") == []
    lookups.disconnected()
    assert lookups.expire(299) == []
    lookups.connected(tells_of_holding=True)
    assert lookups.due() == ["a"]
    assert lookups.expire(299) == []
    assert lookups.expire(300) == [("a", 1)]


def test_a_peer_that_does_not_tell_may_always_hold() -> None:
    """Only while it is the one that is connected."""
    lookups = _lookups(connected=False)
    lookups.want("a", 1, now=0)
    lookups.connected(tells_of_holding=False)
    lookups.want("b", 1, now=0)
    assert lookups.expire(299) == []
    lookups.disconnected()
    lookups.want("c", 1, now=0)
    assert lookups.expire(299) == [("c", 1)]


def test_only_so_many_questions_are_open() -> None:
    """The others stand in line until one is answered, held, given up or forgotten."""
    lookups = _lookups(window=1)
    for key in "abcdef":
        lookups.want(key, 1, now=0)
    assert lookups.due() == ["a"]
    assert lookups.due() == []
    lookups.answer("a")
    assert lookups.due() == ["b"]
    lookups.hold("b")
    lookups.hold("b")
    assert lookups.due() == ["c"]
    lookups.forget("c", 1)
    assert lookups.due() == ["d"]
    lookups.answer("b")  # was held, so not counted: its answer makes no further room
    assert lookups.due() == []
    lookups.forget("e", 1)  # was not asked yet
    assert lookups.due() == []
    lookups.expire(5)
    assert len(lookups) == 0


def test_who_leaves_is_not_answered() -> None:
    """And the last takes the question along."""
    lookups = _lookups()
    lookups.want("a", 1, now=0)
    lookups.want("a", 2, now=0)
    lookups.forget("a", 1)
    lookups.forget("a", 9)
    lookups.forget("b", 1)
    assert lookups.answer("a") == [2]
    lookups.want("a", 1, now=0)
    lookups.forget("a", 1)
    assert lookups.due() == []


class Stories(RuleBasedStateMachine):
    """Whatever happens in whatever order."""

    keys = Bundle("keys")

    def __init__(self) -> None:
        super().__init__()
        self.lookups: Lookups[str, int] = Lookups(Patience(answer=5, held=300), window=3)
        self.now = 0.0
        self.waiting: dict[str, set[int]] = {}
        self.open: set[str] = set()
        self.held: set[str] = set()
        self.is_connected = False
        self.next_waiter = 0

    @rule(target=keys, key=st.sampled_from("abcdefgh"))
    def want(self, key: str) -> str:
        self.next_waiter += 1
        self.lookups.want(key, self.next_waiter, now=self.now)
        self.waiting.setdefault(key, set()).add(self.next_waiter)
        return key

    @rule(key=consumes(keys))
    def answer(self, key: str) -> None:
        assert set(self.lookups.answer(key)) == self.waiting.pop(key, set())
        self.open.discard(key)
        self.held.discard(key)

    @rule(key=keys)
    def hold(self, key: str) -> None:
        if self.lookups.hold(key):
            self.held.add(key)

    @rule(seconds=st.floats(0, 200))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for key, waiter in self.lookups.expire(self.now):
            self.waiting[key].remove(waiter)
            if not self.waiting[key]:
                del self.waiting[key]
                self.open.discard(key)
                self.held.discard(key)

    @rule()
    def connect(self) -> None:
        self.is_connected = True
        self.open.clear()
        self.lookups.connected(tells_of_holding=True)

    @rule()
    def disconnect(self) -> None:
        self.is_connected = False
        self.lookups.disconnected()

    @rule()
    def ask(self) -> None:
        for key in self.lookups.due():
            assert self.is_connected
            assert key in self.waiting
            assert key not in self.open, "asked twice on one connection"
            self.open.add(key)
        assert len(self.open - self.held) <= 3
        if self.is_connected and len(self.open - self.held) < 3:
            assert self.open == set(self.waiting), "there was room, and somebody was left in line"

    @invariant()
    def nobody_is_kept_for_nothing(self) -> None:
        assert len(self.lookups) == len(self.waiting)


TestStories = Stories.TestCase


@given(st.lists(st.floats(0, 100), max_size=20))
def test_everybody_is_let_go_in_the_end(arrivals: list[float]) -> None:
    """Answered or not."""
    lookups = _lookups()
    for waiter, now in enumerate(sorted(arrivals)):
        lookups.want("a", waiter, now=now)
    assert [waiter for _, waiter in lookups.expire(105)] == list(range(len(arrivals)))
    assert len(lookups) == 0
