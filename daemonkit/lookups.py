"""
Questions to a controller: asked once per key, timed out, asked again after a reconnect. Pure; sends nothing.

Time is a parameter, in seconds. Whoever uses this sends a question for each key that `due` returns, and answers those
who wait for it. Only so many questions are open at once; the others stand in line, lest a flood fills the channel.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Waiter = TypeVar("Waiter")


@dataclass(frozen=True)
class Patience:
    """How long one waits, in seconds: for any answer, and for one that the peer said will take long."""

    answer: float = 5.0
    held: float = 300.0


@dataclass
class _Question(Generic[Waiter]):
    """One key that somebody wants to know about, with the times at which they came."""

    waiters: dict[Waiter, float] = field(default_factory=dict)
    is_asked: bool = False
    is_held: bool = False


class Lookups(Generic[Key, Waiter]):
    """Who waits for which answer."""

    def __init__(self, patience: Patience, *, window: int = 1000) -> None:
        self._patience = patience
        self._window = window
        self._questions: dict[Key, _Question[Waiter]] = {}
        self._line: dict[Key, None] = {}  #: keys not asked yet, in order
        self._open = 0  #: asked, and neither answered nor held
        self._is_connected = False
        self._hold_all = False

    def __len__(self) -> int:
        return len(self._questions)

    def want(self, key: Key, waiter: Waiter, *, now: float) -> None:
        """Wait for an answer about a key, from now on."""
        question = self._questions.get(key)
        if question is None:
            question = self._questions[key] = _Question(is_held=self._hold_all)
            self._line[key] = None
        question.waiters.setdefault(waiter, now)

    def due(self) -> list[Key]:
        """Return the keys to ask about now; each counts as asked."""
        if not self._is_connected:
            return []
        keys: list[Key] = []
        while self._line and self._open < self._window:
            key = next(iter(self._line))
            del self._line[key]
            question = self._questions[key]
            question.is_asked = True
            self._open += not question.is_held
            keys.append(key)
        return keys

    def hold(self, key: Key) -> list[Waiter]:
        """Note that an answer will take long, and return who waits for it, in the order in which they came."""
        question = self._questions.get(key)
        if question is None:
            return []
        self._open -= question.is_asked and not question.is_held
        question.is_held = True
        return list(question.waiters)

    def answer(self, key: Key) -> list[Waiter]:
        """Take a key as answered, and return who waited for it."""
        question = self._questions.get(key)
        return [] if question is None else self._end(key, question)

    def forget(self, key: Key, waiter: Waiter) -> None:
        """Stop waiting; when nobody waits any more, the question is forgotten too."""
        question = self._questions.get(key)
        if question is None:
            return
        question.waiters.pop(waiter, None)
        if not question.waiters:
            self._end(key, question)

    def expire(self, now: float) -> list[tuple[Key, Waiter]]:
        """Give up on those who have waited too long, and return them."""
        given_up: list[tuple[Key, Waiter]] = []
        for key, question in self._questions.items():
            patience = self._patience.held if question.is_held else self._patience.answer
            for waiter, since in question.waiters.items():
                if now - since < patience:
                    break  # those behind came later
                given_up.append((key, waiter))
        for key, waiter in given_up:
            self.forget(key, waiter)
        return given_up

    def connected(self, *, tells_of_holding: bool) -> None:
        """Have everything asked anew on a fresh connection. A peer that does not tell of holding may always hold."""
        self._is_connected = True
        self._hold_all = not tells_of_holding
        self._open = 0
        self._line = dict.fromkeys(self._questions)
        for question in self._questions.values():
            question.is_asked = False
            question.is_held |= self._hold_all

    def disconnected(self) -> None:
        """Ask nothing until the next connection; those who wait go on waiting."""
        self._is_connected = False
        self._hold_all = False

    def _end(self, key: Key, question: _Question[Waiter]) -> list[Waiter]:
        del self._questions[key]
        self._line.pop(key, None)
        self._open -= question.is_asked and not question.is_held
        return list(question.waiters)
