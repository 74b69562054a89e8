"""
What connect is measured in: a Postgres of its own, one controller, its naive peer, and a wire that takes its time.

The measured process has a core of its own; Postgres and the load share the other. wrk is the load.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg

from postgres.embedded import EmbeddedPostgres

MEASURED_CORE, OTHER_CORE = "0", "1"
TICKS = os.sysconf("SC_CLK_TCK")
ROOT = Path(__file__).parents[1]
CLUSTER = "localhost:9090"
DRONES = 4

_RATE = re.compile(r"Requests/sec:\s+([0-9.]+)")
_COUNT = re.compile(r"([0-9]+) requests in")
_BAD = re.compile(r"Non-2xx or 3xx responses: ([0-9]+)")


@dataclass
class Served:
    """A process under measurement."""

    pid: int
    url: str

    def cpu_seconds(self) -> float:
        """Return the CPU time of the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@dataclass(frozen=True)
class Measured:
    """One round of load."""

    rate: float  #: requests per second
    cpu: float  #: CPU of the measured process for each request, in microseconds


@contextlib.contextmanager
def database() -> Iterator[str]:
    """Serve a migrated database that commits as in production."""
    os.sched_setaffinity(0, {int(OTHER_CORE)})
    with tempfile.TemporaryDirectory(prefix="plane-bench-") as scratch:
        Path(scratch).chmod(0o755)
        server = EmbeddedPostgres(settings={"max_connections": "200", "shared_buffers": "256MB"})
        try:
            dsn = server.start(Path(scratch) / "pg")
            run([sys.executable, "-m", "plane_site", "migrate", "--db", dsn])
            add_fleet(dsn)
            yield dsn
        finally:
            server.stop()


def run(argv: list[str]) -> None:
    """Run a program to its end."""
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True)


def add_fleet(dsn: str) -> None:
    """Store drones that a controller holds the sockets of, which lives for ever."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "insert into drones_controller (name, version, git_hash, url, last_heartbeat_at)"
            " values ('co-bench', '', '', '', now() + interval '1 d')"
        )
        for number in range(DRONES):
            row = connection.execute(
                "insert into drones_node (kind, cluster, name, version, git_hash, extensions, controller_id,"
                " connection, connected_at) values ('drone', %s, %s, '', '', '[]', 'co-bench', %s, now()) returning id",
                [CLUSTER, f"dr-bench-{number}", uuid.uuid4()],
            ).fetchone()
            assert row is not None
            connection.execute(
                "insert into drones_drone (node_id, pool, ready, draining, instance) values (%s, '', true, false, '')",
                row,
            )


def refresh(dsn: str) -> None:
    """Forget all sessions, let all drones send a heartbeat, and let Postgres take stock, as it does by itself."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        with contextlib.suppress(psycopg.errors.DeadlockDetected):  # with the sweeper; then it is done the next time
            connection.execute("truncate backends_backend cascade")
        connection.execute(
            "update drones_drone set last_heard_at = now() + interval '60 s',"
            " last_heartbeat_at = now() + interval '60 s', last_local_time = 1000"
        )
        connection.execute("vacuum analyze")


@contextlib.contextmanager
def controller(dsn: str) -> Iterator[Served]:
    """Serve the product."""
    port = free_port()
    with _serving([sys.executable, "-m", "plane_site", "controller", "--db", dsn, "--port", str(port)], port) as served:
        yield served


@contextlib.contextmanager
def naive(dsn: str) -> Iterator[Served]:
    """Serve the peer, under the same server."""
    port = free_port()
    argv = [sys.executable, "-m", "daphne", "-v", "0", "-b", "127.0.0.1", "-p", str(port)]
    with _serving([*argv, "benchmarks.naive.asgi:application"], port, PLANE_DB=dsn) as served:
        yield served


@contextlib.contextmanager
def _serving(argv: list[str], port: int, **variables: str) -> Iterator[Served]:
    environment = os.environ | variables
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        ["taskset", "-c", MEASURED_CORE, *argv], cwd=ROOT, env=environment, stdout=quiet, stderr=quiet
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(400):
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{url}/pub/health")
                break
            assert process.poll() is None, "the server ended"
            time.sleep(0.05)
        yield Served(process.pid, url)
    finally:
        process.terminate()
        process.wait(15)


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def load(served: Served, path: str, body: bytes | None, *, seconds: float, connections: int = 32) -> Measured:
    """Send the same request again and again over kept connections. Every answer must be a good one."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if body is not None:
            script.write(f"wrk.method = 'POST'\nwrk.body = [==[{body.decode()}]==]\n")
            script.write("wrk.headers['content-type'] = 'application/json'\n")
        script.flush()
        argv = ["taskset", "-c", OTHER_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script.name]
        before = served.cpu_seconds()
        done = subprocess.run([*argv, served.url + path], check=True, capture_output=True, text=True)
    said = done.stdout
    assert not _BAD.search(said), said
    rate, count = _RATE.search(said), _COUNT.search(said)
    assert rate, said
    assert count, said
    return Measured(float(rate[1]), (served.cpu_seconds() - before) / int(count[1]) * 1e6)


@contextlib.contextmanager
def distant(dsn: str, one_way: float) -> Iterator[str]:
    """Put a database at a distance: every byte arrives so many seconds later, in either direction."""
    socket_path = f"{parse_qs(urlsplit(dsn).query)['host'][0]}/.s.PGSQL.5432"
    port = free_port()
    argv = [sys.executable, "-m", "benchmarks.distance", socket_path, str(port), str(one_way)]
    process = subprocess.Popen(argv, cwd=ROOT)
    place = f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable"
    try:
        for _ in range(200):
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(place).close()
                break
            time.sleep(0.05)
        yield place
    finally:
        process.kill()
        process.wait(5)
