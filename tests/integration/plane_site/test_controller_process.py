"""
The controller as an operator runs it: how it starts, serves, refuses to start, and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from postgres.embedded import EmbeddedPostgres
from tests.end_to_end.waiting import free_port, until
from tests.integration.control_plane import CLUSTER, Seed
from tests.integration.controller_process import ControllerProcess, run, serve_controller
from tests.integration.fleet import add_drone

pytestmark = pytest.mark.postgres
ASKED = {"key": {"name": "room-1"}, "spawn_config": {"executable": {"image": "app:1"}}}
SHORT = ("--lease-renew=1", "--lease-soft=2", "--lease-hard=3", "--lease-expiry=4", "--heartbeat=0.5",
         "--unhealthy=3", "--lost=8")  # fmt: skip


@pytest.fixture
def served(fresh_database: str, tmp_path: Path) -> Iterator[ControllerProcess]:
    with serve_controller(fresh_database, tmp_path / "log", "--default-cluster", CLUSTER) as running:
        yield running


@pytest.fixture(scope="module")
def standing(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControllerProcess]:
    """One controller for all tests that leave it as it was."""
    log = tmp_path_factory.mktemp("controller") / "log"
    with serve_controller(database, log, "--default-cluster", CLUSTER) as running:
        yield running


@pytest.fixture
def seed(fresh_database: str) -> Seed:
    return Seed(fresh_database)


async def controller_name(seed: Seed) -> str:
    return str((await seed.one("select name from drones_controller where goodbye_at is null"))["name"])


def post_connect(served: ControllerProcess) -> httpx.Response:
    return httpx.post(f"{served.url}/ctrl/connect", json=ASKED, timeout=10)


async def test_connect_and_status_over_tcp(standing: ControllerProcess, database: str) -> None:
    """With the default cluster of its flags, and a status URL at which the status is."""
    seed = Seed(database)
    await add_drone(seed, controller=await controller_name(seed))
    async with httpx.AsyncClient(base_url=standing.url) as client:
        answers = await asyncio.gather(*(client.post("/ctrl/connect", json=ASKED) for _ in range(20)))
        told = [answer.json() for answer in answers]
        assert [each["spawned"] for each in told].count(True) == 1
        assert told[0]["url"] == f"http://{CLUSTER}/{told[0]['token']}/"
        assert told[0]["status_url"].startswith(standing.url)
        assert (await client.get(told[0]["status_url"])).json()["status"] == "scheduled"
        assert (await client.get(f"/ctrl/c/{CLUSTER}/state")).json()["drones"][0]["backend_count"] == 1
        ended = await client.post(f"/ctrl/b/{told[0]['backend_id']}/soft-terminate")
        assert (ended.status_code, ended.json()) == (200, None)
    log = standing.log.read_text()
    assert told[0]["token"] not in log
    assert told[0]["secret_token"] not in log


async def test_an_end_is_announced_and_quick(served: ControllerProcess, seed: Seed) -> None:
    """SIGTERM: goodbye in the database, streams ended, the process gone with status 0 within five seconds."""
    await add_drone(seed, controller=await controller_name(seed))
    told = post_connect(served).json()
    with httpx.stream("GET", f"{served.url}/pub/b/{told['backend_id']}/status-stream") as stream:
        lines = stream.iter_lines()
        assert next(lines) == "id: scheduled"
        served.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert [line for line in lines if line.startswith("id:")] == [], "the stream ends cleanly"
    assert served.process.wait(5) == 0
    assert time.monotonic() - began < 5
    row = await seed.one("select goodbye_at is not null as gone from drones_controller")
    assert row["gone"]
    node = await seed.one("select controller_id, connection from drones_node")
    assert node == {"controller_id": None, "connection": None}
    assert "Traceback" not in served.log.read_text()


async def test_a_request_in_flight_is_finished(served: ControllerProcess, seed: Seed) -> None:
    """Here one that waits for a lock of somebody else, while the controller is told to end."""
    await add_drone(seed, controller=await controller_name(seed))
    post_connect(served)
    await seed.sql("update backends_backendkey set backend_id = null")
    answers: list[httpx.Response] = []
    with psycopg.connect(seed.dsn) as other:
        other.execute("select * from backends_backendkey for update")
        asking = threading.Thread(target=lambda: answers.append(post_connect(served)))
        asking.start()
        await seed.until("select 1 from pg_stat_activity where wait_event_type = 'Lock'")
        served.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        other.rollback()
    asking.join(10)
    assert [answer.status_code for answer in answers] == [200]
    assert served.process.wait(5) == 0


def test_bodies_that_are_too_large(standing: ControllerProcess) -> None:
    """A little is refused politely; endless ones are cut off."""
    headers = {"content-type": "application/json"}
    for mebibytes in (2, 20):
        content = b" " * (mebibytes * 1024 * 1024)
        refused = httpx.post(f"{standing.url}/ctrl/connect", content=content, headers=headers)
        assert (refused.status_code, refused.json()["kind"]) == (413, "Other")

    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            yield b" " * 65536

    with pytest.raises(httpx.TransportError):
        httpx.post(f"{standing.url}/ctrl/connect", content=endless(), headers=headers)
    assert httpx.get(f"{standing.url}/pub/health").status_code == 200


def test_strangers_are_refused_a_socket(standing: ControllerProcess) -> None:
    """A page (Origin), a name that was made to lead here, and a path that is none."""
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    place = standing.url.replace("http", "ws")
    for path, headers in (
        (f"/ctrl/c/{CLUSTER}/drone-socket", {"Origin": standing.url}),
        ("/ctrl/else", {}),
        ("/pub/b/abc/status-stream", {}),
    ):
        with pytest.raises(InvalidStatus) as refused:
            connect(place + path, additional_headers=headers)
        assert refused.value.response.status_code == 403


def test_a_controller_recovers_with_the_database(own_postgres_server: EmbeddedPostgres, tmp_path: Path) -> None:
    """The database is killed and restarted under a running controller: red, and green again."""
    dsn = own_postgres_server.dsn.replace("/postgres?", "/plane_template?")
    with serve_controller(dsn, tmp_path / "log", *SHORT) as served:
        own_postgres_server.kill()
        assert httpx.get(f"{served.url}/pub/health", timeout=5).status_code == 500
        own_postgres_server.restart()
        until(lambda: httpx.get(f"{served.url}/pub/health", timeout=5).status_code == 200, "health")
        until(lambda: _beats(dsn), "the heartbeat")


def _beats(dsn: str) -> bool:
    """Tell whether a controller was heard from in the last second."""
    with psycopg.connect(dsn) as connection:
        found = connection.execute("select from drones_controller where last_heartbeat_at > now() - interval '1 s'")
        return found.fetchone() is not None


# Starts that are refused, each with a sentence.


def test_a_port_that_is_taken(fresh_database: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("controller", "--db", fresh_database, "--port", str(port))
    assert done.returncode == 1
    assert f"port {port}: cannot listen: Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_does_not_answer() -> None:
    for words in (["controller"], ["migrate"]):
        done = run(*words, "--db", f"postgres://u:hush@127.0.0.1:{free_port()}/plane")
        assert done.returncode == 1
        assert "cannot use the database at 127.0.0.1" in done.stderr
        assert "hush" not in done.stderr
        assert "Traceback" not in done.stderr


def test_a_database_without_tables(own_postgres_server: EmbeddedPostgres) -> None:
    """And `plane migrate` is what it needs; a second time changes nothing."""
    dsn = own_postgres_server.dsn
    done = run("controller", "--db", dsn)
    assert (done.returncode, "plane migrate" in done.stderr) == (1, True)
    for _ in range(2):
        done = run("migrate", "--db", dsn)
        assert done.returncode == 0, done.stderr
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("delete from django_migrations where name = '0002_status_only_grows'")
    done = run("controller", "--db", dsn)
    assert done.returncode == 1
    assert "backends 0002_status_only_grows" in done.stderr


def test_a_public_address(fresh_database: str) -> None:
    done = run("controller", "--db", fresh_database, "--host", "0.0.0.0")
    assert done.returncode == 1
    assert "--i-know" in done.stderr


def test_flags_that_are_wrong_are_reported_together() -> None:
    done = run("controller", "--port", "99999", "--best-of", "0", PLANE_DEFAULT_CLUSTER="a:b")
    assert done.returncode == 2
    for flag in ("--db", "--port", "--best-of", "PLANE_DEFAULT_CLUSTER"):
        assert flag in done.stderr


def test_terms_that_would_break_the_promise() -> None:
    done = run("controller", "--db", "postgres:///plane", "--lease-soft", "55")
    assert done.returncode == 2
    assert "soft" in done.stderr


def test_settings_from_the_environment(fresh_database: str, tmp_path: Path) -> None:
    """The address of the database may be in a file, for it holds a password."""
    path = tmp_path / "dsn"
    path.write_text(fresh_database)
    done = run("controller", PLANE_DB_FILE=str(path), PLANE_HOST="0.0.0.0")
    assert (done.returncode, "--i-know" in done.stderr) == (1, True)


def test_a_secret_key_that_cannot_be_read(fresh_database: str, tmp_path: Path) -> None:
    """The file may be a mount that is missing."""
    done = run("controller", "--db", fresh_database, PLANE_SECRET_KEY_FILE=str(tmp_path / "nothing"))
    assert done.returncode == 1
    assert "cannot read the file of PLANE_SECRET_KEY_FILE" in done.stderr
    assert "Traceback" not in done.stderr


def test_any_other_word_is_a_management_command(fresh_database: str) -> None:
    """As operators know them from Django."""
    done = run(
        "createsuperuser", "--noinput", "--username=demo", "--email=", PLANE_DB=fresh_database,
        DJANGO_SUPERUSER_PASSWORD="correct horse",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("select username from auth_user").fetchall() == [("demo",)]


def test_log_lines_are_json(standing: ControllerProcess) -> None:
    with contextlib.suppress(httpx.HTTPError):
        httpx.post(f"{standing.url}/ctrl/connect", json={})
    events = [json.loads(line) for line in standing.log.read_text().splitlines()]
    assert {"controller_started", "request_refused"} <= {event["event"] for event in events}
