"""
How many requests may wait for a route: per backend and in all. Pure.

Until the controller has named the backend that a token waits for, each token counts as one of its own.
"""

from __future__ import annotations

from collections import Counter


class Holding:
    """Counts those who wait."""

    def __init__(self, *, per_backend: int = 1000, in_all: int = 10_000) -> None:
        self._per_backend = per_backend
        self._in_all = in_all
        self._total = 0
        self._by_token: Counter[bytes] = Counter()
        self._by_backend: Counter[str] = Counter()
        self._backend_of: dict[bytes, str] = {}

    @property
    def total(self) -> int:
        """How many wait."""
        return self._total

    def admit(self, token: bytes) -> bool:
        """Count one more who waits for this token, if there is room."""
        backend = self._backend_of.get(token)
        before = self._by_token[token] if backend is None else self._by_backend[backend]
        if self._total >= self._in_all or before >= self._per_backend:
            return False
        self._total += 1
        self._by_token[token] += 1
        if backend is not None:
            self._by_backend[backend] += 1
        return True

    def release(self, token: bytes, count: int = 1) -> None:
        """Count so many of a token's fewer; the last takes what was known of the token along."""
        assert self._by_token[token] >= count, "nobody leaves who never came"
        self._total -= count
        self._by_token[token] -= count
        backend = self._backend_of.get(token)
        if backend is not None:
            self._by_backend[backend] -= count
            if not self._by_backend[backend]:
                del self._by_backend[backend]
        if not self._by_token[token]:
            del self._by_token[token]
            self._backend_of.pop(token, None)

    def name_backend(self, token: bytes, backend: str) -> int:
        """Learn which backend a token waits for, and return how many of those waiting for it are too many."""
        waiting = self._by_token[token]
        if not waiting:
            del self._by_token[token]
            return 0
        former = self._backend_of.get(token)
        if former is not None:
            self._by_backend[former] -= waiting
        self._backend_of[token] = backend
        self._by_backend[backend] += waiting
        return min(max(self._by_backend[backend] - self._per_backend, 0), waiting)
