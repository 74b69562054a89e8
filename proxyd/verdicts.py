"""
Verdicts on header blocks, remembered by the block's own bytes: a client sends the same block again and again. Pure.

Only what comes a second time is kept. Two generations bound it: what is asked for moves to the young one, and the old
one is forgotten whole. So blocks that never come back cannot grow it, and cookies are not kept for long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

Verdict = TypeVar("Verdict")

#: Bytes of blocks in one generation, and the longest block that is worth keeping.
ROOM: Final = 1024 * 1024
LONGEST: Final = 4096
MOST_SEEN: Final = 8192


class Verdicts(Generic[Verdict]):
    """Repeats what `judge` decided about the same bytes; a refusal is never remembered."""

    def __init__(self, judge: Callable[[bytes], Verdict], *, room: int = ROOM, longest: int = LONGEST) -> None:
        self._judge = judge
        self._room = room
        self._longest = longest
        self._young: dict[bytes, Verdict] = {}
        self._old: dict[bytes, Verdict] = {}
        self._seen: set[int] = set()  #: hashes of blocks that came once
        self._taken = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def of(self, block: bytes) -> Verdict:
        """Return the verdict on a block, decided now or before."""
        verdict = self._young.get(block)
        return verdict if verdict is not None else self._of_another(block)

    def age(self) -> None:
        """Forget what was not asked for since the last time."""
        self._old, self._young, self._taken = self._young, {}, 0
        self._seen.clear()

    def _of_another(self, block: bytes) -> Verdict:
        verdict = self._old.pop(block, None)
        if verdict is None:
            verdict = self._judge(block)
            if not self._came_before(hash(block)):
                return verdict
        if len(block) <= self._longest:
            self._taken += len(block)
            if self._taken > self._room:
                self.age()
                self._taken = len(block)
            self._young[block] = verdict
        return verdict

    def _came_before(self, mark: int) -> bool:
        if mark in self._seen:
            return True
        if len(self._seen) >= MOST_SEEN:
            self._seen.clear()
        self._seen.add(mark)
        return False
