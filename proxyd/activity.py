"""
Which backends are in use, and when to tell the controller. Pure: time is a parameter, in seconds.

A backend is in use while any request or tunnel to it is open. A request counts as use at once when the backend has
answered it, so that a failed one keeps nobody alive; one that is still open at a report counts by being open.
"""

from __future__ import annotations

from protocol.proxy_messages import BackendInUse


class Usage:
    """What is open to one backend."""

    __slots__ = ("backend", "count", "fresh", "owed", "peak", "since", "told_at")

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self.count = 0
        self.peak = 0  #: the most at once since the last report
        self.since = 0.0  #: since when there has been one
        self.fresh = False  #: came into use, and has not answered since
        self.owed = False  #: was used, and the controller has not been told
        self.told_at = float("-inf")

    def end(self) -> None:
        """Count one less; for each `begin` once."""
        assert self.count > 0, "what ends has begun"
        self.count -= 1


class Activity:
    """Counts what is open, backend by backend."""

    def __init__(self, *, pause: float = 1.0) -> None:
        self._pause = pause  #: between two tellings about one backend
        self._usages: dict[str, Usage] = {}

    def __len__(self) -> int:
        return len(self._usages)

    def begin(self, backend: str, now: float) -> Usage:
        """Count one more request or tunnel to a backend, and return where to end it."""
        usage = self._usages.get(backend)
        if usage is None:
            usage = self._usages[backend] = Usage(backend)
        if not usage.count:
            usage.since = now
            usage.fresh = True
        usage.count += 1
        usage.peak = max(usage.peak, usage.count)
        return usage

    def answered(self, usage: Usage, now: float) -> bool:
        """Note that a backend has answered; True when the controller is to be told at once that it is in use."""
        if not usage.fresh:
            return False
        usage.fresh = False
        if now - usage.told_at < self._pause:
            usage.owed = True
            return False
        return True

    def told(self, usage: Usage, now: float) -> BackendInUse:
        """Return what to tell of a backend, and take it as told."""
        for_ms = int((now - usage.since) * 1000) if usage.count else 0
        report = BackendInUse(usage.backend, connections=max(usage.peak, 1), for_ms=for_ms)
        usage.told_at = now
        usage.owed = False
        usage.peak = usage.count
        return report

    def report(self, now: float) -> list[BackendInUse]:
        """Return what to tell of all that is or was in use since the last report, and forget the rest."""
        in_use = [usage for usage in self._usages.values() if usage.count or usage.owed]
        reports = [self.told(usage, now) for usage in in_use]
        # Not those told a moment ago: the pause must outlive the last request.
        self._usages = {
            backend: usage
            for backend, usage in self._usages.items()
            if usage.count or now - usage.told_at < self._pause
        }
        return reports

    def owe_all(self) -> None:
        """Take all that is known as not told, because the one who was told is gone."""
        for usage in self._usages.values():
            usage.owed = True
