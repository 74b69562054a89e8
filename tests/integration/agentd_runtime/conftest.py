"""
A drone's Docker runtime on a real engine, and images that do what a test wants.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from docker.models.containers import Container

from agentd.runtime.docker.runtime import DockerRuntime
from agentd.runtime.interface import StartOrder
from agentd.runtime.settings import RuntimeSettings
from protocol.keys import AcquiredKey, Deadlines, KeyConfig
from protocol.spawn import Executable
from tests.engines.docker_engines import DockerEngine
from tests.engines.images import import_image, tarball
from tests.integration.waiting import until

ScriptedImage = Callable[[str], str]


class DroneAtWork:
    """A runtime that is open, the ends that it told, and the engine behind it."""

    def __init__(self, engine: DockerEngine, name: str, **settings: Any) -> None:
        self.engine = engine
        self.settings = RuntimeSettings(
            drone=name, cluster="localhost:9090", ip="127.0.0.1", bind_ip="127.0.0.1", **settings
        )
        self.runtime = DockerRuntime(self.settings, environment=engine.environment, dice=Random(1))
        self.exits: list[tuple[str, int | None]] = []

    async def open(self) -> None:
        await self.runtime.open(lambda backend, code: self.exits.append((backend, code)))

    async def exit_of(self, backend: str, within: float = 10.0) -> int | None:
        """Wait until the end of a backend was told."""
        return (await until(lambda: [exit_ for exit_ in self.exits if exit_[0] == backend], within=within))[0][1]

    def container(self, backend: str) -> Container:
        return self.engine.client.containers.get(f"plane-{backend}")

    def inside(self, backend: str, command: str) -> str:
        """Run something in a backend's container."""
        code, output = self.container(backend).exec_run(["/bin/sh", "-c", command])
        assert isinstance(output, bytes)
        assert code == 0, output
        return output.decode()

    def everything(self) -> list[Container]:
        return self.engine.client.containers.list(all=True, filters={"label": f"dev.plane.drone={self.settings.drone}"})

    async def close(self) -> None:
        await self.runtime.close()
        for container in self.everything():
            container.remove(force=True, v=True)


@pytest.fixture
async def drone(docker_engine: DockerEngine) -> AsyncIterator[DroneAtWork]:
    """A drone on the engine that all tests share."""
    drone = DroneAtWork(docker_engine, "dr-runtime-test")
    await drone.open()
    yield drone
    await drone.close()


@pytest.fixture
def scripted(docker_engine: DockerEngine) -> ScriptedImage:
    """Make an image that runs a shell script; busybox is `/bin/busybox`."""
    return lambda script: import_script(docker_engine, script)


def import_script(engine: DockerEngine, script: str) -> str:
    """Import an image that runs a shell script."""
    busybox = shutil.which("busybox")
    assert busybox, "busybox is missing; as root: apt-get install busybox-static"
    files = {"bin/busybox": Path(busybox).read_bytes(), "run.sh": f"#!/bin/sh\n{script}\n".encode()}
    links = {f"bin/{name}": "busybox" for name in ("sh", "sleep", "cat", "httpd", "nc")}
    name = f"plane-test-script-{hashlib.sha256(script.encode()).hexdigest()[:12]}:1"
    return import_image(engine, name, tarball(files, links), command=["/run.sh"], expose=8080)


def order(
    backend: str, image: str, *, key: str | None = None, static_token: str | None = None, **executable: Any
) -> StartOrder:
    """An order as the supervisor gives it."""
    acquired = None if key is None else AcquiredKey(KeyConfig(key), Deadlines(1, 2, 3), 17)
    return StartOrder(backend, Executable(image=image, **executable), acquired, static_token)
