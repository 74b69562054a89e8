"""
The tests' own Docker engines: they run containers, stand beside each other, and leave the machine as it was.
"""

import time
import urllib.request
from pathlib import Path

import pytest
from docker.models.containers import Container

from tests.engines.docker_engines import DockerEngine, own_engine
from tests.engines.images import import_busybox

pytestmark = pytest.mark.docker
DEFAULT_BRIDGE = Path("/sys/class/net/docker0")
#: Port 8080 of the container, on any free port of this machine.
PORTS = {"8080/tcp": ("127.0.0.1", 0)}


def fetch(container: Container) -> str:
    """Fetch the page of a container through its published port."""
    container.reload()
    published = container.ports["8080/tcp"]
    assert published
    port = published[0]["HostPort"]
    limit = time.monotonic() + 10
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
                return str(answer.read().decode())
        except OSError:
            assert time.monotonic() < limit
            time.sleep(0.05)


def run(engine: DockerEngine, image: str) -> str:
    """Run a container, fetch its page, and remove it."""
    container = engine.client.containers.run(image, detach=True, ports=PORTS)
    try:
        return fetch(container)
    finally:
        container.remove(force=True)


def test_a_container_answers_on_a_published_port(docker_engine: DockerEngine, busybox_image: str) -> None:
    assert run(docker_engine, busybox_image) == "hello\n"


def test_two_engines_side_by_side(docker_engine: DockerEngine, second_docker_engine: DockerEngine) -> None:
    """Two drones on one machine: neither knows the other's containers."""
    image = import_busybox(second_docker_engine)
    container = second_docker_engine.client.containers.run(image, detach=True, ports=PORTS)
    assert fetch(container) == "hello\n"
    assert container.id not in [other.id for other in docker_engine.client.containers.list()]
    assert run(docker_engine, import_busybox(docker_engine)) == "hello\n"
    container.remove(force=True)


def test_an_engine_of_our_own_survives_a_crash_and_leaves_nothing() -> None:
    """Its bridge and its scratch directory go with it, and it never makes the default bridge."""
    had_default = DEFAULT_BRIDGE.exists()
    with own_engine("c") as engine:
        assert engine.process is not None
        engine.process.kill()
        client = engine.process.start()
        assert client.ping()
        client.close()
        scratch = Path(engine.host.removeprefix("unix://")).parent
        bridge = DEFAULT_BRIDGE.with_name(engine.bridge)
        assert bridge.exists()
        assert DEFAULT_BRIDGE.exists() == had_default
    assert not scratch.exists()
    assert not bridge.exists()
