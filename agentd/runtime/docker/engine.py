"""
The engine's API off the loop: each call runs in one bounded pool of threads.

Slow kinds of work get a share of the pool only, so that a storm of starts or a slow registry keeps no kill waiting.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

import requests
from docker import APIClient
from docker.errors import APIError, DockerException, TLSParameterError
from docker.utils import kwargs_from_env

from agentd.runtime.interface import RuntimeFailure

T = TypeVar("T")

THREADS: Final = 20
_CALL_LIMIT = 60  # seconds of silence from the engine


class Lane(enum.Enum):
    """A kind of work, and how many threads it may take at once. The rest is for short calls: kill, inspect, remove."""

    START = 8
    PULL = 3
    SAMPLE = 4  # each waits for the engine's own tick, up to a second


#: What a call raises when the engine refuses, or is not there.
EngineError = (DockerException, requests.RequestException)


def describe(error: BaseException) -> str:
    """Return what went wrong in one line that may be shown to an operator."""
    text = error.explanation if isinstance(error, APIError) and error.explanation else str(error)
    return " ".join(str(text).split()) or type(error).__name__


def connect(environment: Mapping[str, str]) -> APIClient:
    """
    Return a client of the engine that DOCKER_HOST names, speaking the newest version that both know.

    Raises:
        RuntimeFailure: no engine answers there.
    """
    where = environment.get("DOCKER_HOST") or "the default socket"
    try:
        options = kwargs_from_env(environment=dict(environment))
        return APIClient(version="auto", timeout=_CALL_LIMIT, max_pool_size=THREADS, **options)
    except (*EngineError, TLSParameterError) as error:
        raise RuntimeFailure(f"no Docker engine answers at {where}: {describe(error)}") from error


class Engine:
    """A client and its pool of threads."""

    def __init__(self, client: APIClient) -> None:
        self._client = client
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="docker")
        self._lanes = {lane: asyncio.Semaphore(lane.value) for lane in Lane}

    async def call(self, work: Callable[[APIClient], T], lane: Lane | None = None) -> T:
        """
        Run one piece of blocking work.

        Cancelling stops the waiting; what a thread has begun it finishes.

        Raises:
            RuntimeFailure: the engine refused, or did not answer.
        """
        loop = asyncio.get_running_loop()
        slots = self._lanes.get(lane) if lane is not None else None
        if slots is not None:
            await slots.acquire()
        running = self._threads.submit(work, self._client)
        if slots is not None:
            # When the thread is done, not when the waiting is: a cancelled pull still holds its thread.
            running.add_done_callback(lambda _: _release(slots, loop))
        try:
            return await asyncio.wrap_future(running)
        except EngineError as error:
            raise RuntimeFailure(describe(error)) from error

    def close(self) -> None:
        """Take no more work. What runs is finished, and not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()


def _release(slots: asyncio.Semaphore, loop: asyncio.AbstractEventLoop) -> None:
    # The loop may have ended while the thread was busy; then nobody waits for the slot.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(slots.release)
