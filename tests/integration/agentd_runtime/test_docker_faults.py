"""Starts that fail or are given up, events that are missed, engines that go away."""

from __future__ import annotations

import asyncio
import threading
import time
from random import Random
from typing import Any

import pytest
from docker import APIClient
from docker.errors import DockerException

from agentd.runtime.docker import engine_watch
from agentd.runtime.docker.engine import Lane
from agentd.runtime.docker.runtime import DockerRuntime
from agentd.runtime.interface import Absent, Exited, RuntimeFailure, StartFailed
from tests.engines.docker_engines import DockerEngine
from tests.engines.images import import_busybox, tarball
from tests.integration.agentd_runtime.conftest import DroneAtWork, order
from tests.integration.waiting import until

pytestmark = pytest.mark.docker


async def test_a_start_that_fails_leaves_nothing(drone: DroneAtWork, docker_engine: DockerEngine) -> None:
    """A user who is not there: the engine creates the container and cannot start it. No life, so no end is told."""
    changes = ["USER nobody-here", 'CMD ["/run"]']
    docker_engine.client.api.import_image_from_data(
        tarball({"run": b""}, {}), repository="plane-test-broken", tag="1", changes=changes
    )
    with pytest.raises(StartFailed, match="nobody-here"):
        await drone.runtime.start(order("broken", "plane-test-broken:1"))
    assert drone.everything() == []
    await asyncio.sleep(0.2)
    assert drone.exits == []


async def test_a_network_that_is_not_there_fails_the_start(drone: DroneAtWork, busybox_image: str) -> None:
    """And leaves nothing."""
    with pytest.raises(StartFailed, match="nonesuch"):
        await drone.runtime.start(order("netless", busybox_image, network_name="nonesuch"))
    assert drone.everything() == []


@pytest.mark.parametrize("after", [0.0, 0.002, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3])
async def test_a_start_that_is_cancelled_leaves_nothing(drone: DroneAtWork, busybox_image: str, after: float) -> None:
    """Wherever in the middle it is hit: nothing is left the moment that the cancellation is over."""
    starting = asyncio.create_task(drone.runtime.start(order("given-up", busybox_image)))
    await asyncio.sleep(after)
    if starting.done():
        return
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert await drone.runtime.inspect("given-up") == Absent()
    assert drone.everything() == []


async def test_many_starts_that_are_cancelled_together(drone: DroneAtWork, busybox_image: str) -> None:
    """Also those that waited for their turn."""
    starting = [asyncio.create_task(drone.runtime.start(order(f"one-of-{n}", busybox_image))) for n in range(12)]
    await asyncio.sleep(0.3)
    for task in starting:
        task.cancel()
    await asyncio.wait(starting)
    left = {container.name for container in drone.everything()}
    done = {f"plane-{task.result().backend}" for task in starting if not task.cancelled()}
    assert left == done


async def test_kills_do_not_wait_behind_starts(
    drone: DroneAtWork, busybox_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key's deadline does not care how many starts keep the engine busy, not even if none of them gets anywhere."""
    await drone.runtime.start(order("victim", busybox_image))
    goes_on = threading.Event()
    held_up: list[str] = []

    def hold_up(_client: APIClient, _config: Any, name: str) -> None:
        held_up.append(name)
        goes_on.wait()
        raise DockerException("held up for ever")

    monkeypatch.setattr(APIClient, "create_container_from_config", hold_up)
    starting = [asyncio.create_task(drone.runtime.start(order(f"crowd-{n}", busybox_image))) for n in range(24)]
    try:
        await until(lambda: len(held_up) == Lane.START.value)
        async with asyncio.timeout(5):
            assert await drone.runtime.terminate("victim", hard=True)
        assert len(held_up) == Lane.START.value
    finally:
        goes_on.set()
        for task in starting:
            task.cancel()
        await asyncio.wait(starting)


async def test_an_end_whose_event_was_missed_is_found(
    drone: DroneAtWork, busybox_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the list, within ten seconds: here no event is understood at all."""
    monkeypatch.setattr(engine_watch, "parse_event", lambda *_: None)
    await drone.runtime.start(order("unheard", busybox_image))
    await drone.runtime.start(order("vanished", busybox_image))
    drone.container("unheard").kill()
    drone.container("vanished").remove(force=True)
    assert await drone.exit_of("unheard", within=10) == 137
    assert await drone.exit_of("vanished", within=10) is None


async def test_an_engine_that_crashes_and_comes_back(second_docker_engine: DockerEngine) -> None:
    """What ended meanwhile is told, calls work again, and later ends are heard as events again."""
    engine = second_docker_engine
    assert engine.process is not None
    image = import_busybox(engine)
    drone = DroneAtWork(engine, "dr-runtime-crash")
    await drone.open()
    try:
        await drone.runtime.start(order("orphan", image))
        await asyncio.to_thread(engine.process.kill)
        with pytest.raises(RuntimeFailure):
            await drone.runtime.inspect("orphan")
        # Not in a thread: the engine ends with the one that starts it, and later tests need it.
        engine.process.start()
        began = time.monotonic()
        await drone.exit_of("orphan", within=10)
        assert isinstance(await drone.runtime.inspect("orphan"), Exited)
        await drone.runtime.remove("orphan")
        await drone.runtime.start(order("next", image))
        await asyncio.sleep(max(0.0, began + 2 - time.monotonic()))
        await drone.runtime.terminate("next", hard=True)
        assert await drone.exit_of("next", within=2) == 137
    finally:
        await drone.close()


async def test_a_removal_that_fails_at_first_is_repeated(
    drone: DroneAtWork, busybox_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start that was given up leaves nothing, also when the engine stumbles over the removal."""
    from docker import APIClient  # the SDK's own class is what stumbles here
    from docker.errors import APIError

    real, calls = APIClient.remove_container, 0

    def stumbling(self: APIClient, *arguments: Any, **options: Any) -> None:
        nonlocal calls
        calls += 1
        if calls <= 2:
            raise APIError("the engine stumbled")
        real(self, *arguments, **options)

    def no_inspection(self: APIClient, *_: Any) -> None:
        raise APIError("the engine stumbled")

    monkeypatch.setattr(APIClient, "remove_container", stumbling)
    with monkeypatch.context() as patch:
        patch.setattr(APIClient, "inspect_container", no_inspection)
        with pytest.raises(StartFailed, match="stumbled"):
            await drone.runtime.start(order("sticky", busybox_image))
    assert calls == 3
    assert drone.everything() == []


async def test_the_watch_uses_one_thread_however_many_run(drone: DroneAtWork, busybox_image: str) -> None:
    """Never one per container."""
    import threading

    for number in range(3):
        await drone.runtime.start(order(f"quiet-{number}", busybox_image))
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("docker-events") == 1
    await drone.runtime.close()
    await until(lambda: "docker-events" not in [thread.name for thread in threading.enumerate()])
    drone.runtime = DockerRuntime(drone.settings, environment=drone.engine.environment, dice=Random(2))
    await drone.open()
