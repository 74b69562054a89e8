"""
Measures the backends that run, one after the other, at intervals; a sample that finds no room is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from agentd.runtime.interface import Runtime, RuntimeFailure
from daemonkit.link import Link
from daemonkit.repeats import Repeats
from protocol.drone_messages import FromDrone

log = structlog.get_logger(__name__)


class Sampler:
    """Sends metrics while there is a connection; never more than one pass at a time."""

    def __init__(self, runtime: Runtime, running: Callable[[], Iterable[str]], *, interval: float) -> None:
        self._runtime = runtime
        self._running = running
        self._interval = interval
        self._link: Link | None = None
        self._complaints = Repeats(60)

    def connected(self, link: Link) -> None:
        """Send samples here from now on."""
        self._link = link

    def disconnected(self) -> None:
        """Pause."""
        self._link = None

    async def run(self) -> None:
        """Sample at intervals, until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            await self.sample_all()

    async def sample_all(self) -> None:
        """Make one pass over all backends that run."""
        for backend in list(self._running()):
            if self._link is None:
                return
            try:
                metrics = await self._runtime.sample(backend)
            except RuntimeFailure as failure:
                left_out = self._complaints.admit(asyncio.get_running_loop().time())
                if left_out is not None:
                    log.warning("sample_failed", backend=backend, reason=str(failure), left_out=left_out)
                continue
            if metrics is not None and self._link is not None:
                self._link.send_droppable(FromDrone(backend_metrics=metrics))
