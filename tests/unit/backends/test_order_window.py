"""Orders on their way to one drone."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from backends.order_window import OrderWindow

SIZE, PATIENCE = 5, 30.0


class WindowStory(RuleBasedStateMachine):
    """A sender that obeys the window, and a drone that acknowledges some orders, late or never."""

    def __init__(self) -> None:
        super().__init__()
        self.window = OrderWindow(size=SIZE, resend_after=PATIENCE)
        self.now = 0.0
        self.sent: dict[str, float] = {}
        self.numbers = 0

    @rule(seconds=st.floats(0, 40))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(count=st.integers(1, 10))
    def send(self, count: int) -> None:
        """Send as many as there is room for."""
        for _ in range(min(count, self.window.room(self.now))):
            self.numbers += 1
            order = f"ak-{self.numbers}"
            self.window.sent([order], self.now)
            self.sent[order] = self.now

    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        """One of those sent, or one that is not known."""
        order = data.draw(st.sampled_from([*self.sent, "ak-unknown"]))
        self.window.settled([order])
        self.sent.pop(order, None)

    @rule()
    def send_again(self) -> None:
        """Those that are overdue, as far as there is room."""
        again = self.window.overdue(self.now)[: self.window.room(self.now)]
        self.window.sent(again, self.now)
        self.sent.update(dict.fromkeys(again, self.now))

    @invariant()
    def never_more_on_their_way_than_the_window_holds(self) -> None:
        assert len(self.window.in_flight(self.now)) <= SIZE
        assert self.window.room(self.now) == SIZE - len(self.window.in_flight(self.now))

    @invariant()
    def each_order_is_either_on_its_way_or_overdue(self) -> None:
        flying, overdue = self.window.in_flight(self.now), self.window.overdue(self.now)
        assert sorted(flying + overdue) == sorted(self.sent)
        assert len(self.window) == len(self.sent)
        assert all(self.now - self.sent[order] < PATIENCE for order in flying)


TestWindow = WindowStory.TestCase
