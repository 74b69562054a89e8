"""
Real Docker engines: the one that answers already, else one of our own, and a second one for tests with two drones.

An engine of our own lives in a scratch directory, ends with this process, and leaves the machine as it was.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import docker
import docker.errors
import pytest

from tests.engines.network import add_bridge, remove_bridge

DEFAULT_HOST = "unix:///var/run/docker.sock"
#: Seconds in which an engine answers; half a second as a rule.
START_LIMIT = 30.0
STOP_LIMIT = 20.0


@dataclass(frozen=True)
class DockerEngine:
    """An engine that answers: `DOCKER_HOST=engine.host`, or `engine.client`."""

    host: str
    client: docker.DockerClient
    #: The containers that its `default` network reaches have addresses of this interface.
    bridge: str = "docker0"
    #: Set for engines of our own, which a test may stop, pause or kill; None for one that was there before.
    process: "DockerDaemon | None" = field(default=None, compare=False)

    @property
    def environment(self) -> dict[str, str]:
        """What leads a program, `docker` or `plane drone`, to this engine."""
        return {"DOCKER_HOST": self.host}


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    """The engine of DOCKER_HOST or the default socket if one answers (unless PLANE_TEST_ENGINE=own), else our own."""
    if os.environ.get("PLANE_TEST_ENGINE") != "own":
        for host in filter(None, [os.environ.get("DOCKER_HOST"), DEFAULT_HOST]):
            if client := answering(host):
                yield DockerEngine(host, client)
                client.close()
                return
    with own_engine("a") as engine:
        yield engine


@pytest.fixture(scope="session")
def second_docker_engine() -> Iterator[DockerEngine]:
    """One more engine: the other drone."""
    with own_engine("b") as engine:
        yield engine


@contextmanager
def own_engine(letter: str) -> Iterator[DockerEngine]:
    """
    Run an engine with a bridge of its own; it does not touch the machine's packet filter.

    The letter tells the engines of one session apart; other sessions may run beside it, and have other process ids.
    """
    assert os.geteuid() == 0, "only root can start a Docker engine: give the tests one that answers, in DOCKER_HOST"
    bridge = f"plbr{letter}{os.getpid()}"
    subnet = os.getpid() * 8 + ord(letter) % 8
    with ExitStack() as stack:
        scratch = Path(tempfile.mkdtemp(prefix="plane-test-engine-"))
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        add_bridge(bridge, f"10.{192 + subnet // 256 % 64}.{subnet % 256}.1/24")
        stack.callback(remove_bridge, bridge)
        options = [f"--bridge={bridge}", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]
        daemon = DockerDaemon(scratch, options)
        stack.callback(daemon.stop)
        yield DockerEngine(daemon.host, daemon.start(), bridge, daemon)


class DockerDaemon:
    """A `dockerd` of our own, from `start` to `stop`; both may be repeated."""

    def __init__(self, scratch: Path, options: list[str]) -> None:
        self.host = f"unix://{scratch}/docker.sock"
        self._scratch = scratch
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> docker.DockerClient:
        """Start the daemon, and wait until it answers. It ends with the thread that calls this: the main one."""
        assert threading.current_thread() is threading.main_thread(), "it would end with this thread"
        pidfiles = [self._scratch / "dockerd.pid", self._scratch / "exec" / "containerd" / "containerd.pid"]
        for pidfile in pidfiles:
            # A daemon that was killed leaves them, and would take a stranger's process for its former self.
            pidfile.unlink(missing_ok=True)
        places = [f"--data-root={self._scratch}/data", f"--exec-root={self._scratch}/exec", f"--pidfile={pidfiles[0]}"]
        argv = ["setpriv", "--pdeathsig", "TERM", "dockerd", *places, "-H", self.host, *self._options]
        with (self._scratch / "dockerd.log").open("ab") as log:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        limit = time.monotonic() + START_LIMIT
        while not (client := answering(self.host)):
            assert self._process.poll() is None, f"dockerd gave up:\n{self._log()}"
            assert time.monotonic() < limit, f"dockerd does not answer:\n{self._log()}"
            time.sleep(0.05)
        return client

    def kill(self) -> None:
        """Crash the daemon and its containerd; containers run on, unattended."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._end_containerd()

    def stop(self) -> None:
        """Remove every container, then end the daemon, politely if possible."""
        if self._process is None:
            return
        if self._process.poll() is None:
            if client := answering(self.host):
                remove_containers(client)
                client.close()
            self._process.terminate()
            try:
                self._process.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                self.kill()
        self._end_containerd()
        for mount in reversed(Path("/proc/mounts").read_text().splitlines()):
            if (place := mount.split()[1]).startswith(str(self._scratch)):
                subprocess.run(["umount", "--lazy", place], check=False)
        self._process = None

    def _end_containerd(self) -> None:
        with suppress(FileNotFoundError, ProcessLookupError, ValueError):
            pidfile = self._scratch / "exec" / "containerd" / "containerd.pid"
            os.kill(int(pidfile.read_text()), signal.SIGKILL)

    def _log(self) -> str:
        return (self._scratch / "dockerd.log").read_text(errors="replace")[-4000:]


def answering(host: str) -> docker.DockerClient | None:
    """Connect to an engine, if one answers there."""
    try:
        client = docker.DockerClient(base_url=host, timeout=20)
    except (docker.errors.DockerException, OSError):
        return None
    with suppress(docker.errors.DockerException, OSError):
        if client.ping():
            return client
    client.close()
    return None


def remove_containers(client: docker.DockerClient) -> None:
    """Kill and remove every container of an engine."""
    for container in client.containers.list(all=True):
        with suppress(docker.errors.APIError):
            container.remove(force=True, v=True)
