"""
The private server: where it can keep data, what it says when it cannot, and that it never stays behind.
"""

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from postgres.embedded import (
    AlreadyRunningError,
    DirectoryUnusableError,
    EmbeddedPostgres,
    WrongVersionError,
    bundled_programs,
)
from postgres.embedded_account import POINTER, SHELTER, ServerAccount, reachable_programs

pytestmark = pytest.mark.postgres


@pytest.fixture
def server(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres()
    yield server
    server.stop()


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory; as root the data land elsewhere, since pytest's own directory is closed to others."""
    home = tmp_path / "home"
    yield home
    wait_until_free(home)
    if (home / POINTER).exists():
        shutil.rmtree((home / POINTER).read_text().strip())


@pytest.fixture
def zombie() -> Iterator[int]:
    """The id of a process of the server's user that has ended, and whose parent has not looked."""
    process = subprocess.Popen(["true"], user="nobody" if os.geteuid() == 0 else None)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process.pid
    process.wait()


def ask(dsn: str, question: str) -> str:
    """Ask one question over a new connection."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(question).fetchone()
        return str(row[0]) if row else ""


def wait_until_free(data_dir: Path) -> None:
    """Wait until the last process of a server has let go of its data."""
    if data_dir.is_dir():
        with (data_dir / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)


def wait_until_gone(dsn: str) -> None:
    """Wait until nobody answers any more."""
    limit = time.monotonic() + 10
    while time.monotonic() < limit:
        try:
            ask(dsn, "select 1")
        except psycopg.OperationalError:
            return
        time.sleep(0.05)
    pytest.fail("the server still answers")


def test_data_outlive_the_server(server: EmbeddedPostgres, data_dir: Path) -> None:
    """Stopped and started, by another object too, it has what was stored."""
    dsn = server.start(data_dir)
    assert ask(dsn, "show server_version").startswith("18")
    assert ask(dsn, "select 7") == "7"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create table kept as select 7 as n")
    server.stop()
    second = EmbeddedPostgres()
    try:
        assert ask(second.start(data_dir), "select n from kept") == "7"
    finally:
        second.stop()


def test_a_crash_keeps_the_address_and_what_was_committed(server: EmbeddedPostgres, data_dir: Path) -> None:
    """The fault that controllers must survive: killed hard, back under the same address."""
    dsn = server.start(data_dir)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create table kept as select 7 as n")
        server.kill()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
    assert server.restart() == dsn
    assert ask(dsn, "select n from kept") == "7"


def test_settings_reach_the_server(data_dir: Path) -> None:
    server = EmbeddedPostgres(settings={"max_connections": "23"})
    try:
        assert ask(server.start(data_dir), "show max_connections") == "23"
    finally:
        server.stop()


def test_a_path_too_long_for_a_socket() -> None:
    """The socket then lies somewhere short, and goes with the server."""
    home = Path(tempfile.mkdtemp())
    home.chmod(0o755)
    server = EmbeddedPostgres()
    try:
        dsn = server.start(home / ("long-" * 40))
        assert ask(dsn, "select 1") == "1"
        place = Path(dsn.partition("host=")[2])
        assert place.is_dir()
    finally:
        server.stop()
        shutil.rmtree(home)
    assert not place.exists()


def test_a_second_server_on_the_same_data_is_refused(server: EmbeddedPostgres, data_dir: Path) -> None:
    server.start(data_dir)
    with pytest.raises(AlreadyRunningError, match="another server is running"):
        EmbeddedPostgres().start(data_dir)
    assert ask(server.dsn, "select 1") == "1"


def test_data_of_another_version_are_left_alone(server: EmbeddedPostgres, data_dir: Path) -> None:
    server.start(data_dir)
    server.stop()
    pointer = data_dir / POINTER
    data = Path(pointer.read_text().strip()) if pointer.exists() else data_dir / "data"
    (data / "PG_VERSION").write_text("16\n")
    with pytest.raises(WrongVersionError, match="PostgreSQL 16, this server is 18"):
        server.restart()


def test_a_directory_that_cannot_be_made(server: EmbeddedPostgres, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DirectoryUnusableError, match="cannot keep a database in"):
        server.start(tmp_path / "file" / "data")


def test_it_dies_with_its_starter(data_dir: Path) -> None:
    """Nobody is there to stop it when the starter is killed hard."""
    starter = start_by_command(data_dir)
    dsn = address_of(starter)
    starter.kill()
    starter.wait()
    wait_until_gone(dsn)


@pytest.mark.parametrize("way", ["sigterm", "end of input"])
def test_as_a_program(way: str, data_dir: Path) -> None:
    """It prints its address and serves until it is told to end."""
    program = start_by_command(data_dir)
    dsn = address_of(program)
    assert ask(dsn, "select 1") == "1"
    if way == "sigterm":
        program.send_signal(signal.SIGTERM)
    else:
        assert program.stdin is not None
        program.stdin.close()
    assert program.wait(15) == 0
    wait_until_gone(dsn)


@pytest.fixture
def closed_home() -> Iterator[Path]:
    """A directory under /root, as a clone there would be."""
    home = Path("/root") / f"plane-test-{os.getpid()}"
    home.mkdir(mode=0o700)
    yield home
    if (home / POINTER).exists():
        shutil.rmtree((home / POINTER).read_text().strip())
    shutil.rmtree(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts a server as somebody else")
def test_below_a_directory_that_only_root_may_enter(closed_home: Path) -> None:
    """Programs and data are kept where the server's account can reach them; nothing else is opened to it."""
    package = bundled_programs().parent.parent
    for tree in (package / "pginstall18", package.with_name(f"{package.name}.libs")):
        shutil.copytree(tree, closed_home / tree.relative_to(package.parent), ignore=shutil.ignore_patterns("include"))
    programs = closed_home / bundled_programs().relative_to(package.parent)
    assert reachable_programs(ServerAccount(pwd.getpwnam("nobody")), programs).is_relative_to(SHELTER)
    server = EmbeddedPostgres(programs=programs)
    try:
        with psycopg.connect(server.start(closed_home), autocommit=True) as connection:
            connection.execute("create table kept as select 7 as n")
        server.stop()
        assert ask(server.restart(), "select n from kept") == "7"
        assert Path("/root").stat().st_mode & 0o777 == 0o700
    finally:
        server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts a server as somebody else")
def test_a_deleted_data_directory_stays_deleted(server: EmbeddedPostgres, data_dir: Path) -> None:
    """Though its data were elsewhere: who removes the directory wants to start afresh."""
    with psycopg.connect(server.start(data_dir), autocommit=True) as connection:
        connection.execute("create table kept as select 7 as n")
    server.stop()
    shutil.rmtree(data_dir)
    assert ask(server.start(data_dir), "select count(*) from pg_tables where tablename = 'kept'") == "0"


def start_by_command(data_dir: Path) -> subprocess.Popen[str]:
    """Start the module as a program that ends with its input."""
    argv = [sys.executable, "-m", "postgres.embedded", "--until-stdin-ends", str(data_dir)]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def address_of(program: subprocess.Popen[str]) -> str:
    assert program.stdout is not None
    return program.stdout.readline().strip()


def test_a_dead_server_that_nobody_reaped_is_in_nobodys_way(
    server: EmbeddedPostgres, data_dir: Path, zombie: int
) -> None:
    """After a kill of everything its process id may still be taken, by nothing that runs."""
    dsn = server.start(data_dir)
    pidfile = Path(ask(dsn, "show data_directory"), "postmaster.pid")
    left = pidfile.read_text().partition("\n")
    server.kill()
    pidfile.write_text(f"{zombie}\n{left[2]}")
    assert ask(server.restart(), "select 1") == "1"
