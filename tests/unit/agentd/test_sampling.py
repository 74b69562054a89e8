"""Samples of what runs, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib

from agentd.runtime.interface import Alive, RuntimeFailure
from agentd.runtime.memory import MemoryRuntime
from agentd.sampling import Sampler
from daemonkit.link import MemoryLink
from protocol.drone_messages import FromDrone
from protocol.metrics import BackendMetrics
from tests.virtual_time import run_in_virtual_time


class SlowRuntime(MemoryRuntime):
    """Takes its time to measure, fails for b2, and knows how many measurements go on at once."""

    def __init__(self) -> None:
        super().__init__()
        self.containers = {name: Alive() for name in ("b1", "b2", "b3")}
        self.going_on = 0

    async def sample(self, backend: str) -> BackendMetrics | None:
        assert self.going_on == 0, "one at a time"
        self.going_on += 1
        await asyncio.sleep(4)
        self.going_on -= 1
        if backend == "b2":
            raise RuntimeFailure("no")
        return await super().sample(backend)


def sampled(link: MemoryLink) -> list[str]:
    """Return whose samples were sent since the last time."""
    return [m.backend_metrics.backend_id for m in link.take() if isinstance(m, FromDrone) and m.backend_metrics]


def test_one_after_the_other_and_one_pass_at_a_time() -> None:
    """A pass that takes longer than the interval delays the next; who cannot be measured is left out."""

    async def play() -> None:
        runtime, link = SlowRuntime(), MemoryLink()
        sampler = Sampler(runtime, lambda: ["b1", "b2", "b3", "ended"], interval=10)
        sampler.connected(link)
        task = asyncio.create_task(sampler.run())
        await asyncio.sleep(27)
        assert sampled(link) == ["b1", "b3"]
        await asyncio.sleep(26)
        assert sampled(link) == ["b1", "b3"]
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    run_in_virtual_time(play())


def test_without_a_connection_nothing_is_measured() -> None:
    """And a slow connection loses samples, which is what they are for."""

    async def play() -> None:
        runtime, link = SlowRuntime(), MemoryLink()
        sampler = Sampler(runtime, lambda: ["b1"], interval=10)
        await sampler.sample_all()
        assert asyncio.get_running_loop().time() == 0
        link.is_slow = True
        sampler.connected(link)
        await sampler.sample_all()
        assert sampled(link) == []
        assert link.closed_because is None

    run_in_virtual_time(play())
