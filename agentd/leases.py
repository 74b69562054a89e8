"""
What a lease on a key demands of its backend, and when. Decides; sends nothing, kills nothing.

Times are milliseconds on this drone's own clock, and are compared with nothing else. An answer replaces the deadlines
even when the new ones are earlier (early is safe), but nothing brings a lease back once its end has begun.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from protocol.keys import Deadlines

#: Renewal is asked for again after this share of the time between renewal and soft end has passed without an answer.
_RETRIES = 3
_SHORTEST_RETRY = 50


class LeaseCommand(enum.Enum):
    """What is to be done about a lease."""

    LET_START = "let-start"  #: The key may be relied on: begin.
    ASK_RENEWAL = "ask-renewal"  #: Ask the controller, with the clock as it is when asking.
    END_SOFTLY = "end-softly"  #: The lease could not be renewed in time, or was refused.
    KILL = "kill"  #: In a moment somebody else may have the key.


@dataclass(frozen=True)
class Tick:
    """Time has passed."""

    now: int


@dataclass(frozen=True)
class Reconnected:
    """What was asked before may never be answered."""

    now: int


@dataclass(frozen=True)
class RenewalAnswered:
    """The controller's answer: new deadlines, or None when the key cannot be renewed."""

    deadlines: Deadlines | None
    now: int


Event = Tick | Reconnected | RenewalAnswered


@dataclass(frozen=True)
class Held:
    """The key is ours until the soft deadline."""

    deadlines: Deadlines
    not_before: int | None = None  #: when asking (again) would not be a storm
    let_start: bool = False  #: whether the backend was allowed to begin

    @property
    def soft_at(self) -> int:
        """When silence becomes the end; never after the hard deadline, whatever a controller sends."""
        return min(self.deadlines.soft_terminate_at, self.deadlines.hard_terminate_at)

    @property
    def ask_at(self) -> int:
        """When to ask for renewal (again)."""
        renew_at = self.deadlines.renew_at
        return renew_at if self.not_before is None else max(renew_at, self.not_before)

    def asked(self, now: int) -> Held:
        """Return it after a question."""
        pause = (self.soft_at - self.deadlines.renew_at) // _RETRIES
        return replace(self, not_before=now + max(pause, _SHORTEST_RETRY))

    def renewed(self, deadlines: Deadlines, now: int) -> Held:
        """Return it after an answer."""
        return replace(self, deadlines=deadlines, not_before=now + _SHORTEST_RETRY)


@dataclass(frozen=True)
class Expiring:
    """The backend was asked to end; it may live until the hard deadline at most."""

    hard_at: int


@dataclass(frozen=True)
class Expired:
    """The backend was killed, or should be dead."""


State = Held | Expiring | Expired


def is_startable(deadlines: Deadlines, now: int) -> bool:
    """Tell whether an order with these deadlines may still be taken up at all."""
    return now < min(deadlines.soft_terminate_at, deadlines.hard_terminate_at)


class LeaseMachine:
    """One backend's lease."""

    def __init__(self, deadlines: Deadlines) -> None:
        self.state: State = Held(deadlines)

    @property
    def wake_at(self) -> int | None:
        """When to tick next, at the latest; None when nothing more will happen."""
        match self.state:
            case Held() as held:
                return min(held.ask_at, held.soft_at)
            case Expiring(hard_at):
                return hard_at
            case Expired():
                return None

    def handle(self, event: Event) -> list[LeaseCommand]:
        """Take one event, and return what is to be done, in order."""
        match self.state:
            case Held() as held:
                return self._while_held(held, event)
            case Expiring(hard_at) if event.now >= hard_at:
                self.state = Expired()
                return [LeaseCommand.KILL]
            case _:
                return []

    def _while_held(self, held: Held, event: Event) -> list[LeaseCommand]:
        # Time is looked at first: an answer that comes after the deadline comes too late.
        if self._is_over(held, event.now):
            return self._expire(held, event.now)
        match event:
            case RenewalAnswered(None):
                return self._expire(held, event.now)
            case RenewalAnswered(deadlines):
                assert deadlines is not None, "the case above"
                renewed = held.renewed(deadlines, event.now)
                if self._is_over(renewed, event.now):
                    return self._expire(renewed, event.now)
                return self._go_on(renewed, may_start=True, asks=False, now=event.now)
            case Reconnected(now):
                due = now >= held.deadlines.renew_at
                return self._go_on(held, may_start=not due, asks=due, now=now)
            case Tick(now):
                may_start = now < held.deadlines.renew_at
                return self._go_on(held, may_start=may_start, asks=now >= held.ask_at, now=now)

    def _go_on(self, held: Held, *, may_start: bool, asks: bool, now: int) -> list[LeaseCommand]:
        commands = []
        if may_start and not held.let_start:
            held = replace(held, let_start=True)
            commands.append(LeaseCommand.LET_START)
        if asks:
            held = held.asked(now)
            commands.append(LeaseCommand.ASK_RENEWAL)
        self.state = held
        return commands

    def _expire(self, held: Held, now: int) -> list[LeaseCommand]:
        hard_at = held.deadlines.hard_terminate_at
        if now >= hard_at:
            self.state = Expired()
            return [LeaseCommand.KILL]
        self.state = Expiring(hard_at)
        return [LeaseCommand.END_SOFTLY]

    @staticmethod
    def _is_over(held: Held, now: int) -> bool:
        return now >= held.soft_at
