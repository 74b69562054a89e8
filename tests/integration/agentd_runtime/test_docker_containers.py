"""What a container is really given: environment, limits, walls, files, ports, images."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

import pytest
from structlog.testing import capture_logs

from agentd.runtime.docker.runtime import DockerRuntime
from agentd.runtime.interface import Absent, PrepareFailed, RuntimeFailure, StartFailed
from protocol.spawn import Executable, Readiness, RegistryCredentials, ResourceLimits
from tests.engines.docker_engines import DockerEngine
from tests.integration.agentd_runtime.conftest import DroneAtWork, ScriptedImage, order

pytestmark = pytest.mark.docker

#: What the kernel calls CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID, SETUID and NET_BIND_SERVICE.
KEPT_CAPABILITIES = sum(1 << number for number in (0, 1, 3, 5, 6, 7, 10))


async def test_the_environment_describes_the_session(drone: DroneAtWork, busybox_image: str) -> None:
    """And wins over the request's; a value may span lines."""
    env = {"PORT": "1", "SESSION_BACKEND_ID": "fake", "POEM": "one\ntwo", "A": "b=c"}
    await drone.runtime.start(order("env", busybox_image, key="room 1", static_token="s.t", env=env))
    seen = drone.inside("env", "/bin/env -0 2>/dev/null || /bin/busybox tr '\\0' '\\n' < /proc/self/environ")
    for line in (
        "PORT=8080",
        "SESSION_BACKEND_ID=env",
        "SESSION_BACKEND_KEY=room 1",
        "SESSION_BACKEND_FENCING_TOKEN=17",
        "SESSION_BACKEND_STATIC_TOKEN=s.t",
        "POEM=one\ntwo",
        "A=b=c",
    ):
        assert f"{line}\n" in seen.replace("\0", "\n")


async def test_labels_tell_whose_it_is(drone: DroneAtWork, busybox_image: str) -> None:
    """For operators, and for the drone itself after a restart."""
    await drone.runtime.start(order("labelled", busybox_image))
    assert drone.container("labelled").labels == {
        "dev.plane.backend": "true",
        "dev.plane.drone": "dr-runtime-test",
        "dev.plane.cluster": "localhost:9090",
    }


async def test_a_backend_gains_no_privileges(drone: DroneAtWork, busybox_image: str) -> None:
    """The kernel's own account of its first process: few capabilities, none to be had, few processes."""
    await drone.runtime.start(order("walled", busybox_image))
    status = dict(line.split(":\t", 1) for line in drone.inside("walled", "cat /proc/1/status").splitlines())
    assert status["NoNewPrivs"] == "1"
    for kind in ("CapEff", "CapPrm", "CapBnd"):
        assert int(status[kind], 16) == KEPT_CAPABILITIES
    limit = drone.inside("walled", "cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max")
    assert limit.strip() == "4096"
    assert "docker-init" in drone.inside("walled", "/bin/busybox tr '\\0' ' ' < /proc/1/cmdline")


async def test_limits_reach_the_kernel(drone: DroneAtWork, busybox_image: str) -> None:
    """By the account of the cgroup and of the process itself."""
    limits = ResourceLimits(cpu_period_percent=50, cpu_time_limit=60, memory_limit_bytes=64 * 2**20)
    await drone.runtime.start(order("limited", busybox_image, resource_limits=limits))
    memory = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"
    assert drone.inside("limited", memory).strip() == str(64 * 2**20)
    quota = (
        "cd /sys/fs/cgroup; cat cpu.max 2>/dev/null || echo $(cat cpu/cpu.cfs_quota_us) $(cat cpu/cpu.cfs_period_us)"
    )
    assert drone.inside("limited", quota).split() == ["50000", "100000"]
    cpu_time = next(line for line in drone.inside("limited", "cat /proc/1/limits").splitlines() if "cpu time" in line)
    assert cpu_time.split()[3:5] == ["60", "60"]


async def test_a_backend_over_its_memory_is_killed(drone: DroneAtWork, scripted: ScriptedImage) -> None:
    """Swap is no way out."""
    greedy = scripted("/bin/busybox tail /dev/zero; exit $?")
    await drone.runtime.start(order("greedy", greedy, resource_limits=ResourceLimits(memory_limit_bytes=16 * 2**20)))
    assert await drone.exit_of("greedy", within=30) == 137


async def test_a_process_over_its_cpu_time_is_killed(drone: DroneAtWork, scripted: ScriptedImage) -> None:
    """After a second of computing."""
    busy = scripted("while :; do :; done")
    await drone.runtime.start(order("looping", busy, resource_limits=ResourceLimits(cpu_time_limit=1)))
    assert await drone.exit_of("looping", within=30) in (137, 152)


async def test_a_disk_limit_is_applied_or_refused_never_ignored(drone: DroneAtWork, busybox_image: str) -> None:
    """Most storage drivers have none; then the start fails and says so."""
    limited = order("disk", busybox_image, resource_limits=ResourceLimits(disk_limit_bytes=2**30))
    [outcome] = await asyncio.gather(drone.runtime.start(limited), return_exceptions=True)
    if isinstance(outcome, StartFailed):
        assert "storage-opt" in str(outcome)
        assert await drone.runtime.inspect("disk") == Absent()
    else:
        assert drone.container("disk").attrs["HostConfig"]["StorageOpt"] == {"size": str(2**30)}


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


async def test_a_mount_keeps_files_between_lives(
    docker_engine: DockerEngine, busybox_image: str, tmp_path: Path
) -> None:
    """By the key's name, whatever it looks like; a relative path leads somewhere else."""
    drone = DroneAtWork(docker_engine, "dr-runtime-mounts", mount_base=tmp_path)
    await drone.open()
    try:
        await drone.runtime.start(order("first", busybox_image, key="../room", mount=True))
        drone.inside("first", "echo kept > /plane-data/file")
        await drone.runtime.terminate("first", hard=True)
        await drone.runtime.start(order("second", busybox_image, key="../room", mount=True))
        assert drone.inside("second", "cat /plane-data/file") == "kept\n"
        await drone.runtime.start(order("third", busybox_image, key="x", mount="shared/a"))
        assert drone.inside("third", "/bin/busybox ls /plane-data") == ""
        assert names_in(tmp_path) == ["..%2Froom", "shared"]
        (tmp_path / "escape").symlink_to("/")
        with pytest.raises(StartFailed, match="mount"):
            await drone.runtime.start(order("fourth", busybox_image, mount="escape/etc"))
        assert await drone.runtime.inspect("fourth") == Absent()
    finally:
        await drone.close()


async def test_a_mount_without_a_base_is_left_out_with_a_warning(drone: DroneAtWork, busybox_image: str) -> None:
    """The backend runs all the same."""
    with capture_logs() as logs:
        await drone.runtime.start(order("baseless", busybox_image, key="k", mount=True))
    assert [entry["reason"] for entry in logs if entry["event"] == "mount_left_out"] == ["this drone has no mount base"]
    assert drone.inside("baseless", "[ -e /plane-data ] || echo none") == "none\n"


async def test_readiness_may_be_asked_at_another_port(drone: DroneAtWork, scripted: ScriptedImage) -> None:
    """The backend's own port is not asked then."""
    image = scripted("httpd -p 9001 -h /; sleep 100")
    another = order("health", image, port=9000, readiness=Readiness(path="/run.sh", port=9001))
    started = await drone.runtime.start(another)
    await asyncio.wait_for(drone.runtime.wait_until_ready(started, another.executable), 10)
    wrong = order("unhealthy", image, port=9000)
    started = await drone.runtime.start(wrong)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(drone.runtime.wait_until_ready(started, wrong.executable), 0.5)


async def test_an_image_that_may_not_be_pulled(drone: DroneAtWork) -> None:
    """Is refused before anything is created, and so is a start without it."""
    missing = order("imageless", "plane-test-missing:1", pull_policy="Never")
    with pytest.raises(PrepareFailed, match="not on this machine"):
        await drone.runtime.prepare(missing.executable)
    with pytest.raises(StartFailed, match="no such image"):
        await drone.runtime.start(missing)
    assert drone.everything() == []


async def test_credentials_reach_the_registry_and_no_message(drone: DroneAtWork) -> None:
    """The registry here knows nobody; it remembers what it was told."""
    told: list[str] = []

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.append(self.headers.get("Authorization", ""))
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="test"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815 - the base class's name

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        image = f"127.0.0.1:{server.server_address[1]}/app:1"
        asked = Executable(image=image, credentials=RegistryCredentials(username="me", password="hunter2"))
        with pytest.raises(PrepareFailed, match="could not be pulled") as caught:
            await drone.runtime.prepare(asked)
        server.shutdown()
    assert "Basic bWU6aHVudGVyMg==" in told
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"docker_runtime": "nonesuch"}, "no runtime 'nonesuch'"),
        ({"mount_base": Path("/nonesuch")}, "not a directory"),
    ],
)
async def test_what_cannot_work_is_said_at_once(drone: DroneAtWork, changes: dict[str, object], complaint: str) -> None:
    """Not by the first backend that fails."""
    settings = dataclasses.replace(drone.settings, **changes)  # type: ignore[arg-type]
    runtime = DockerRuntime(settings, environment=drone.engine.environment, dice=Random(1))
    with pytest.raises(RuntimeFailure, match=complaint):
        await runtime.open(lambda _backend, _code: None)


async def test_no_engine_is_said_at_once(drone: DroneAtWork, tmp_path: Path) -> None:
    """With the address that was tried."""
    environment = {"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"}
    runtime = DockerRuntime(drone.settings, environment=environment, dice=Random(1))
    with pytest.raises(RuntimeFailure, match=r"no Docker engine answers at unix://.*docker\.sock"):
        await runtime.open(lambda _backend, _code: None)
