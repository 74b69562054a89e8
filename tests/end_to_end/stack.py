"""
A whole Plane on this machine: any number of controllers, drones and proxies, each a process started by `plane`.

Everything is reached the way users and operators reach it; nothing here imports a part of the product but its client.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import httpx
import psycopg

from planectl.client import Client
from protocol.backend_state import BackendStatus
from protocol.connect import ConnectRequest, ConnectResponse
from protocol.keys import LenientKeyConfig
from protocol.spawn import Executable, SpawnConfig
from tests.end_to_end.programs import PLANE, Program
from tests.end_to_end.session_image import SESSION_IMAGE
from tests.end_to_end.waiting import free_port, until
from tests.engines.docker_engines import DockerEngine


@dataclass(frozen=True)
class Timings:
    """The controller's clockwork, in seconds; each field is a flag."""

    lease_renew: float = 30
    lease_soft: float = 40
    lease_hard: float = 50
    lease_expiry: float = 60
    heartbeat: float = 0.5
    unhealthy: float = 45
    lost: float = 120

    @property
    def flags(self) -> list[str]:
        """Return them as the command line has them."""
        return [f"--{entry.name.replace('_', '-')}={getattr(self, entry.name)}" for entry in fields(self)]


#: A fast world for tests of leases: all that matters happens within ten seconds.
SHORT_LEASES = Timings(lease_renew=2, lease_soft=3.5, lease_hard=4.5, lease_expiry=5.5, unhealthy=3, lost=7)


@dataclass
class Stack:
    """The processes on one database, and how to talk to them."""

    dsn: str
    scratch: Path
    engine: DockerEngine
    timings: Timings = field(default_factory=Timings)
    controllers: list[Program] = field(default_factory=list)
    drones: dict[str, Program] = field(default_factory=dict)
    proxies: list[Program] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    proxy_port: int = field(default_factory=free_port)
    expected_errors: set[str] = field(default_factory=set)  #: names of events that a test brings about on purpose

    @property
    def cluster(self) -> str:
        """The name under which backends are reached: the first proxy's address."""
        return f"localhost:{self.proxy_port}"

    @property
    def url(self) -> str:
        """The first controller."""
        return self.url_of(0)

    def url_of(self, number: int) -> str:
        """Return the address of one of the controllers."""
        return f"http://127.0.0.1:{self.ports[number]}"

    @property
    def programs(self) -> list[Program]:
        """Everything that was ever started, in the order in which it is to end: drones take their backends along."""
        return [*self.drones.values(), *self.proxies, *self.controllers]

    def start_controller(self, *flags: str) -> Program:
        """Start one more controller and wait until it answers."""
        self.ports.append(free_port())
        number = len(self.controllers)
        arguments = ["controller", f"--db={self.dsn}", f"--port={self.ports[-1]}", f"--default-cluster={self.cluster}"]
        program = self.program(f"controller-{number}", [*arguments, *self.timings.flags, *flags])
        self.controllers.append(program)
        program.start()
        self.wait_for_controller(number)
        return program

    def wait_for_controller(self, number: int = 0) -> None:
        """Wait until a controller is healthy."""
        program = self.controllers[number]
        until(lambda: program.expect_alive() and self.healthy(number), f"{program.name} is healthy", within=30)

    def healthy(self, number: int = 0) -> bool:
        """Whether a controller answers and has its database."""
        try:
            return httpx.get(f"{self.url_of(number)}/pub/health", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def start_drone(
        self,
        name: str = "dr-one",
        *,
        controller: str | None = None,
        env: dict[str, str] | None = None,
        wait: bool = True,
    ) -> Program:
        """Start a drone agent and wait until backends can be spawned on it."""
        arguments = ["drone", f"--controller-url={controller or self.url}", f"--cluster={self.cluster}"]
        arguments += [f"--name={name}", f"--db={self.scratch}/{name}.sqlite", f"--heartbeat={self.timings.heartbeat}"]
        program = self.program(name, arguments, {**self.engine.environment, **(env or {})})
        self.drones[name] = program
        program.start()
        if wait:
            self.wait_for_drone(name)
        return program

    def wait_for_drone(self, name: str = "dr-one") -> None:
        """Wait until a controller counts on a drone."""
        program = self.drones[name]
        until(lambda: program.expect_alive() and name in self.ready_drones(), f"{name} is ready")

    def ready_drones(self) -> set[str]:
        """Return the names of the drones that can take backends, and were heard from a moment ago."""
        with Client(self.url) as client:
            drones = client.cluster_state(self.cluster).drones
        fresh = [drone for drone in drones if drone.ready and not drone.draining and drone.last_heartbeat_age <= 2]
        return {str(drone.node.name.drone) for drone in fresh}

    def start_proxy(self, *flags: str, controller: str | None = None) -> Program:
        """Start a proxy and wait until it serves; the first one has the cluster's own port."""
        port = free_port() if self.proxies else self.proxy_port
        arguments = ["proxy", f"--controller-url={controller or self.url}", f"--cluster={self.cluster}"]
        arguments += [f"--http-port={port}", f"--heartbeat={self.timings.heartbeat}"]
        program = self.program(f"proxy-{len(self.proxies)}", [*arguments, *flags])
        self.proxies.append(program)
        program.start()
        until(lambda: program.expect_alive() and _answers(f"http://127.0.0.1:{port}/ready"), f"{program.name} serves")
        return program

    def start(self) -> None:
        """Start one of each."""
        self.start_controller()
        self.start_drone(wait=False)
        self.start_proxy()
        self.wait_for_drone()

    def connect(self, key: str | None = None, *, controller: int = 0, **wishes: Any) -> ConnectResponse:
        """Ask for a backend of the test image; wishes are fields of the spawn config, the executable or the request."""
        request = request_for(key, **wishes)
        with Client(self.url_of(controller)) as client:
            return client.connect(request)

    def connect_ready(self, key: str | None = None, **wishes: Any) -> ConnectResponse:
        """Ask for a backend and wait until it is ready."""
        answer = self.connect(key, **wishes)
        self.wait_for(answer.backend_id, BackendStatus.READY)
        return answer

    def wait_for(self, backend: str, status: BackendStatus, *, within: float = 30) -> None:
        """Wait until a backend has come to a status, or further."""
        until(lambda: self.status(backend).rank >= status.rank, f"{backend} is {status}", within=within)
        seen = self.status(backend)
        assert seen is status or status.is_ending, f"{backend} is {seen} already"

    def status(self, backend: str) -> BackendStatus:
        """Return what a backend is doing."""
        with Client(self.url) as client:
            return client.status(backend).status

    def admin(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `plane admin` the way an operator does."""
        argv = [str(PLANE), "admin", f"--controller={self.url}", *arguments]
        return subprocess.run(argv, cwd=self.scratch, capture_output=True, text=True, timeout=60, check=False)

    def containers(self, *, drone: str | None = None, everything: bool = False) -> list[str]:
        """Return the names of this cluster's containers that run (or that exist at all)."""
        labels = [f"dev.plane.cluster={self.cluster}", *([f"dev.plane.drone={drone}"] if drone else [])]
        found = self.engine.client.containers.list(all=everything, filters={"label": labels}, ignore_removed=True)
        return sorted(str(container.name) for container in found)

    def rows(self) -> dict[str, int]:
        """Count the rows of every table."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            tables = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
            counts = "select count(*) from {}".format
            return {name: _one(connection, counts(name)) for (name,) in tables}

    @contextlib.contextmanager
    def running(self) -> Iterator[Stack]:
        """End everything afterwards, and see that nothing is left of it."""
        try:
            yield self
            for program in self.programs:
                if program.running:
                    program.stop()
            left = self.containers()
            assert not left, f"containers were left running: {left}"
            self._expect_no_errors()
        finally:
            for program in self.programs:
                program.end()
            self._remove_containers()

    def _expect_no_errors(self) -> None:
        """Nobody may have met an error that was not foreseen, even if all went well."""
        expected = tuple(f'"event": "{name}"' for name in self.expected_errors)
        for program in self.programs:
            errors = [line for line in program.errors if not any(name in line for name in expected)]
            assert not errors, f"{program.name} logged errors:\n" + "\n".join(line[:2000] for line in errors[:5])

    def _remove_containers(self) -> None:
        for name in self.containers(everything=True):
            with contextlib.suppress(Exception):
                self.engine.client.containers.get(name).remove(force=True)

    def program(self, name: str, arguments: list[str], env: dict[str, str] | None = None) -> Program:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PLANE_", "DJANGO_"))}
        return Program(name, arguments, log=self.scratch / f"{name}.log", environment={**kept, **(env or {})})


def request_for(key: str | None = None, **wishes: Any) -> ConnectRequest:
    """Return the request for a backend of the test image."""
    executable = {name: wishes.pop(name) for name in list(wishes) if name in Executable.__struct_fields__}
    spawn = {name: wishes.pop(name) for name in list(wishes) if name in SpawnConfig.__struct_fields__}
    name = {part: wishes.pop(part) for part in ("tag", "namespace") if part in wishes}
    executable.setdefault("image", SESSION_IMAGE)
    return ConnectRequest(
        key=None if key is None else LenientKeyConfig(key, **name),
        spawn_config=SpawnConfig(executable=Executable(**executable), **spawn),
        **wishes,
    )


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def _one(connection: psycopg.Connection[Any], query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])
