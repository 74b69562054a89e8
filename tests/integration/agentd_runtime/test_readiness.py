"""Readiness is noticed at once, and never too early, against real sockets on both event loops."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
import uvloop

from agentd.runtime.readiness import wait_for_answer

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Backend:
    """A server in a thread with a loop of its own; `answer` says what it does with a connection."""

    def __init__(self, answer: Answer) -> None:
        self.loop = asyncio.new_event_loop()
        self.connections = 0
        self._answer = answer
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

        async def serve() -> asyncio.Server:
            return await asyncio.start_server(self._connected, "127.0.0.1", 0)

        self.server = asyncio.run_coroutine_threadsafe(serve(), self.loop).result()
        self.address = f"127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.readuntil(b"\r\n\r\n")
        await self._answer(reader, writer)
        writer.close()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.server.close)
        self.loop.call_soon_threadsafe(self.loop.stop)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    made = Backend(request.param)
    yield made
    made.close()


async def say_busy(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 503 Busy\r\n\r\n")


async def take_three_seconds(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3)
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")


def hang_up_until(moment: float) -> Answer:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if time.monotonic() >= moment:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

    return answer


@pytest.mark.parametrize("backend", [say_busy], indirect=True)
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_any_answer_counts_on_either_loop(backend: Backend, run: Callable[..., None]) -> None:
    """A backend that answers 503 answers."""
    run(asyncio.wait_for(wait_for_answer(backend.address, "/"), 5))
    assert backend.connections == 1


def test_a_forwarder_that_hangs_up_is_no_answer() -> None:
    """Docker's accepts for a process that does not listen yet. Once there is an answer, it is noticed within 10 ms."""
    delays = []
    for _ in range(9):
        moment = time.monotonic() + 0.2
        backend = Backend(hang_up_until(moment))
        asyncio.run(asyncio.wait_for(wait_for_answer(backend.address, "/"), 5))
        delays.append(time.monotonic() - moment)
        backend.close()
    assert min(delays) >= 0
    assert statistics.median(delays) < 0.010


@pytest.mark.parametrize("backend", [take_three_seconds], indirect=True)
async def test_a_backend_slow_by_nature_is_waited_for(backend: Backend) -> None:
    """Attempts grow longer, so that one of them outlasts it."""
    await asyncio.wait_for(wait_for_answer(backend.address, "/"), 15)


async def test_nobody_there_is_waited_for_until_cancelled() -> None:
    """Refused connections are tried again; the limit is the caller's."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wait_for_answer("127.0.0.1:1", "/"), 0.2)
