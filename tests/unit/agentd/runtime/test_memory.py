"""The runtime in memory keeps the promises of the interface, so that tests against it mean something."""

from __future__ import annotations

import asyncio

import pytest

from agentd.runtime.interface import (
    Absent,
    Alive,
    Exited,
    PrepareFailed,
    Runtime,
    RuntimeFailure,
    StartFailed,
    StartOrder,
)
from agentd.runtime.memory import MemoryRuntime
from protocol.spawn import Executable
from tests.virtual_time import run_in_virtual_time

ORDER = StartOrder("b1", Executable(image="b1"), None, None)


def test_a_life_in_memory() -> None:
    """Started, measured, signalled, heard of, removed; nothing is an error that is gone already."""

    async def play() -> None:
        memory = MemoryRuntime()
        runtime: Runtime = memory
        heard: list[tuple[str, int | None]] = []
        await runtime.open(lambda backend, code: heard.append((backend, code)))
        assert await runtime.terminate("b1", hard=True) is False
        started = await runtime.start(ORDER)
        await runtime.wait_until_ready(started, ORDER.executable)
        assert await runtime.inspect("b1") == Alive()
        assert await runtime.sample("b1") is not None
        with pytest.raises(RuntimeFailure):
            await runtime.remove("b1")
        assert await runtime.list_own() == ["b1"]
        assert await runtime.terminate("b1", hard=False) is True
        assert await runtime.inspect("b1") == Exited(0)
        assert heard == [("b1", 0)]
        assert await runtime.sample("b1") is None
        await runtime.remove("b1")
        await runtime.remove("b1")
        assert await runtime.inspect("b1") == Absent()
        await runtime.close()
        assert not memory.is_open

    run_in_virtual_time(play())


def test_a_start_that_is_cancelled_or_fails_leaves_nothing() -> None:
    """As the interface promises."""

    async def play() -> None:
        runtime = MemoryRuntime()
        runtime.script("b1").start_delay = 10
        starting = asyncio.create_task(runtime.start(ORDER))
        await asyncio.sleep(5)
        assert runtime.alive == {"b1"}
        starting.cancel()
        await asyncio.wait([starting])
        assert not runtime.containers
        runtime.script("b1").start_fails = True
        with pytest.raises(StartFailed):
            await runtime.start(ORDER)
        assert not runtime.containers
        runtime.script("b1").prepare_fails = True
        with pytest.raises(PrepareFailed):
            await runtime.prepare(ORDER.executable)

    run_in_virtual_time(play())


def test_it_fails_as_its_script_says() -> None:
    """So many calls, and then it works; a lost exit is lost."""

    async def play() -> None:
        runtime = MemoryRuntime()
        heard: list[str] = []
        await runtime.open(lambda backend, _: heard.append(backend))
        runtime.script("b1").failing_calls["inspect"] = 1
        with pytest.raises(RuntimeFailure):
            await runtime.inspect("b1")
        assert await runtime.inspect("b1") == Absent()
        runtime.script("b1").loses_exit_event = True
        runtime.script("b1").exit_by_itself_after = 3
        await runtime.start(ORDER)
        await asyncio.sleep(4)
        assert await runtime.inspect("b1") == Exited(0)
        assert heard == []
        runtime.cannot_open = "no engine"
        with pytest.raises(RuntimeFailure, match="no engine"):
            await runtime.open(lambda *_: None)

    run_in_virtual_time(play())
