"""Control sockets over TCP: a controller process under its own server, and a real WebSocket client."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from protocol.channel import Extension
from protocol.codec import encode
from tests.end_to_end.waiting import free_port
from tests.factories import make_handshake
from tests.integration.control_plane import CLUSTER, Seed, report

pytestmark = pytest.mark.postgres
ROOT = Path(__file__).parents[3]


@dataclass
class ControllerProcess:
    """A controller that runs by itself."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    open_sockets: contextlib.ExitStack

    def socket(self, path: str) -> ClientConnection:
        return self.open_sockets.enter_context(
            connect(f"ws://127.0.0.1:{self.port}/ctrl/c/{path}", compression=None, close_timeout=1)
        )

    def greet(self, kind: str, name: str, *extensions: Extension) -> ClientConnection:
        """Return a socket on which both have shaken hands."""
        opened = self.socket(f"{CLUSTER}/{kind}-socket")
        opened.send(encode(make_handshake(name, *extensions)).decode())
        assert hear(opened)["name"].startswith("co-")
        return opened


def hear(opened: ClientConnection, within: float = 5.0) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(opened.recv(timeout=within))
    return message


@pytest.fixture
def controller_process(fresh_database: str, tmp_path: Path) -> Iterator[ControllerProcess]:
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PLANE_")}
    argv = [sys.executable, "-m", "plane_site", "controller", "--db", fresh_database, "--port", str(port)]
    log = tmp_path / "controller.log"
    with log.open("wb") as output:
        process = subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        with contextlib.ExitStack() as open_sockets:
            started = ControllerProcess(process, port, log, open_sockets)
            await_health(started)
            yield started
    finally:
        process.kill()
        process.wait(10)


def await_health(started: ControllerProcess) -> None:
    for _ in range(300):
        assert started.process.poll() is None, started.log.read_text()
        try:
            if httpx.get(f"http://127.0.0.1:{started.port}/pub/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail(started.log.read_text())


async def test_a_drone_and_a_proxy_over_tcp(controller_process: ControllerProcess, fresh_database: str) -> None:
    """Order, acknowledgement, reports, route, end: as they are said on the wire."""
    seed = Seed(fresh_database)
    drone = controller_process.greet("drone", "dr-one")
    proxy = controller_process.greet("proxy", "px-one")
    backend = await seed.backend()
    order = await seed.spawn_order(backend)
    drone.send(json.dumps({"Heartbeat": {"local_time": 1}}))
    # Nobody rang: the next scan finds it.
    assert hear(drone, within=10)["Action"]["action_id"] == order
    drone.send(json.dumps({"AckAction": {"action_id": order}}))
    drone.send(json.dumps(report(backend, 1, "ready", address="127.0.0.1:9")))
    assert hear(drone) == {"AckEvent": {"event_id": 1}}
    await seed.until("select 1 from backends_backendaction where acknowledged_at is not null")
    token = await seed.token(backend)
    proxy.send(json.dumps({"RouteInfoRequest": {"token": token}}))
    assert hear(proxy)["RouteInfoResponse"]["route_info"]["address"] == "127.0.0.1:9"
    drone.send(json.dumps(report(backend, 2, "terminated")))
    assert hear(proxy) == {"BackendRemoved": {"backend": backend}}
    drone.close()
    proxy.close()
    await seed.until("select count(*) from drones_node where controller_id is null having count(*) = 2")


def test_a_wrong_name_is_told_so_before_the_socket_closes(controller_process: ControllerProcess) -> None:
    """With a code of the standard, and the reason."""
    opened = controller_process.socket(f"{CLUSTER}/drone-socket")
    opened.send(encode(make_handshake("px-one")).decode())
    with pytest.raises(ConnectionClosed) as closed:
        opened.recv(timeout=5)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "bad_handshake")


def test_a_path_that_names_no_cluster_is_refused_with_403(controller_process: ControllerProcess) -> None:
    """Before the upgrade, where there is no other status."""
    with pytest.raises(InvalidStatus) as refused:
        controller_process.socket("no:cluster/drone-socket")
    assert refused.value.response.status_code == 403


def test_a_controller_that_ends_closes_its_sockets_with_1001(controller_process: ControllerProcess) -> None:
    """Daemons go to another controller at once, and nothing is left to be killed."""
    drone = controller_process.greet("drone", "dr-one", Extension.BATCH)
    controller_process.process.send_signal(signal.SIGTERM)
    with pytest.raises(ConnectionClosed) as closed:
        drone.recv(timeout=5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    assert controller_process.process.wait(10) == 0
    assert "Traceback" not in controller_process.log.read_text()


def test_pings_binary_frames_and_nonsense_are_tolerated(controller_process: ControllerProcess) -> None:
    """The socket stays, and what is said later counts."""
    drone = controller_process.greet("drone", "dr-one")
    assert drone.ping().wait(5)
    drone.send(b"\x00binary")
    drone.send("nonsense")
    drone.send(json.dumps({"RenewKey": {"backend": "nobody", "local_time": 5}}))
    assert hear(drone) == {"RenewKeyResponse": {"backend": "nobody", "deadlines": None}}
    drone.close()
