"""The life of containers on a real engine: up, asked, ended, gone."""

from __future__ import annotations

import asyncio
import time

import pytest

from agentd.runtime.interface import Absent, Alive, Exited, RuntimeFailure, StartFailed
from protocol.spawn import ResourceLimits
from tests.engines.docker_engines import DockerEngine
from tests.integration.agentd_runtime.conftest import DroneAtWork, ScriptedImage, order
from tests.integration.waiting import until

pytestmark = pytest.mark.docker


async def test_an_ordinary_life(drone: DroneAtWork, busybox_image: str) -> None:
    """Prepared, started, ready at its address, ended softly, its end told, its remains removed."""
    life = order("life", busybox_image)
    await drone.runtime.prepare(life.executable)
    started = await drone.runtime.start(life)
    await asyncio.wait_for(drone.runtime.wait_until_ready(started, life.executable), 10)
    host, port = started.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert (await reader.read()).endswith(b"hello\n")
    writer.close()
    assert await drone.runtime.inspect("life") == Alive()
    assert await drone.runtime.list_own() == ["life"]
    assert await drone.runtime.terminate("life", hard=False)
    assert await drone.exit_of("life") == 143
    assert await drone.runtime.inspect("life") == Exited(143)
    assert not await drone.runtime.terminate("life", hard=True)
    await drone.runtime.remove("life")
    assert await drone.runtime.inspect("life") == Absent()
    assert drone.everything() == []


async def test_all_methods_take_a_backend_that_never_was(drone: DroneAtWork) -> None:
    """Already gone is never an error."""
    assert await drone.runtime.inspect("nobody") == Absent()
    assert not await drone.runtime.terminate("nobody", hard=False)
    assert not await drone.runtime.terminate("nobody", hard=True)
    await drone.runtime.remove("nobody")
    assert await drone.runtime.sample("nobody") is None


async def test_a_backend_that_ends_by_itself(drone: DroneAtWork, scripted: ScriptedImage) -> None:
    """Its own exit code is told, once, from the event: well before the next list."""
    began = time.monotonic()
    await drone.runtime.start(order("short", scripted("sleep 0.4; exit 3")))
    assert await drone.exit_of("short") == 3
    assert time.monotonic() - began < 4
    await asyncio.sleep(0.2)
    assert drone.exits == [("short", 3)]


async def test_a_backend_that_ends_while_it_starts(drone: DroneAtWork, scripted: ScriptedImage) -> None:
    """Either the start fails and leaves nothing, or it just succeeded; the exit code is told in both cases."""
    instant = scripted("exit 7")
    for number in range(5):
        backend = f"instant{number}"
        [outcome] = await asyncio.gather(drone.runtime.start(order(backend, instant)), return_exceptions=True)
        if isinstance(outcome, StartFailed):
            assert "exit code 7" in str(outcome)
            assert (backend, 7) in drone.exits
            assert await drone.runtime.inspect(backend) == Absent()
        else:
            assert await drone.exit_of(backend) == 7
            assert await drone.runtime.inspect(backend) == Exited(7)


async def test_sigterm_is_ignored_and_sigkill_is_not(drone: DroneAtWork, scripted: ScriptedImage) -> None:
    """A running backend is not removed; one that ignores the request to leave is ended by force."""
    await drone.runtime.start(order("stubborn", scripted("trap '' TERM; echo deaf; while :; do sleep 1; done")))
    await until(lambda: b"deaf" in drone.container("stubborn").logs())
    assert await drone.runtime.terminate("stubborn", hard=False)
    await asyncio.sleep(0.5)
    assert await drone.runtime.inspect("stubborn") == Alive()
    with pytest.raises(RuntimeFailure, match="has not ended"):
        await drone.runtime.remove("stubborn")
    assert await drone.runtime.terminate("stubborn", hard=True)
    assert await drone.exit_of("stubborn") == 137


async def test_a_paused_backend_counts_as_running_and_can_be_killed(drone: DroneAtWork, busybox_image: str) -> None:
    """Frozen is not gone."""
    await drone.runtime.start(order("frozen", busybox_image))
    drone.container("frozen").pause()
    assert await drone.runtime.inspect("frozen") == Alive()
    assert await drone.runtime.terminate("frozen", hard=True)
    assert await drone.exit_of("frozen") == 137


async def test_a_container_created_and_never_started_counts_as_running(drone: DroneAtWork, busybox_image: str) -> None:
    """An agent killed between create and start leaves one; killing it must make it go."""
    labels = {"dev.plane.backend": "true", "dev.plane.drone": drone.settings.drone}
    drone.engine.client.containers.create(busybox_image, name="plane-halfway", labels=labels)
    assert await drone.runtime.list_own() == ["halfway"]
    assert await drone.runtime.inspect("halfway") == Alive()
    assert await drone.runtime.terminate("halfway", hard=True)
    assert await drone.runtime.inspect("halfway") == Absent()


async def test_two_drones_on_one_engine_leave_each_other_alone(drone: DroneAtWork, busybox_image: str) -> None:
    """Whatever one is told about the other's backend, it does not exist for it."""
    other = DroneAtWork(drone.engine, "dr-runtime-other")
    await other.open()
    try:
        await other.runtime.start(order("theirs", busybox_image))
        assert await drone.runtime.list_own() == []
        assert await drone.runtime.inspect("theirs") == Absent()
        assert not await drone.runtime.terminate("theirs", hard=True)
        await drone.runtime.remove("theirs")
        with pytest.raises(StartFailed, match="already"):
            await drone.runtime.start(order("theirs", busybox_image))
        assert await other.runtime.inspect("theirs") == Alive()
        await other.runtime.terminate("theirs", hard=True)
        assert await other.exit_of("theirs") == 137
        assert drone.exits == []
    finally:
        await other.close()


async def test_metrics_are_plausible(drone: DroneAtWork, scripted: ScriptedImage) -> None:
    """A backend that does nothing but compute uses about one CPU; memory stays under its limit."""
    limits = ResourceLimits(memory_limit_bytes=64 * 2**20)
    busy = order("busy", scripted("while :; do :; done"), resource_limits=limits)
    await drone.runtime.start(busy)
    assert await drone.runtime.sample("busy") is None, "there is no sample before the first"
    await asyncio.sleep(1)
    sample = await drone.runtime.sample("busy")
    assert sample is not None
    assert sample.backend_id == "busy"
    assert 0 < sample.mem_used <= sample.mem_limit == 64 * 2**20
    assert 0 < sample.cpu_used < sample.sys_cpu
    assert sample.sys_cpu > 10**9 / 2, "all of the machine's CPUs, in nanoseconds"
    await drone.runtime.terminate("busy", hard=True)
    await drone.exit_of("busy")
    assert await drone.runtime.sample("busy") is None


async def test_closing_leaves_containers_alone(docker_engine: DockerEngine, busybox_image: str) -> None:
    """What becomes of them is for others to decide; the next life of the drone finds them."""
    first = DroneAtWork(docker_engine, "dr-runtime-reopened")
    await first.open()
    await first.runtime.start(order("kept", busybox_image))
    await first.runtime.close()
    second = DroneAtWork(docker_engine, "dr-runtime-reopened")
    await second.open()
    try:
        assert await second.runtime.list_own() == ["kept"]
        await second.runtime.terminate("kept", hard=True)
        assert await second.exit_of("kept") == 137
    finally:
        await second.close()
    assert first.exits == []
