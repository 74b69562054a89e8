"""
One program under test: started from its command line, its words kept in a file, and surely gone in the end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.end_to_end.waiting import until

ROOT = Path(__file__).parents[2]
PLANE = Path(sys.executable).with_name("plane")
#: Seconds a program has to end by itself.
STOP_LIMIT = 15.0


class Program:
    """A process in a session of its own, from `start` to `stop`; both may be repeated."""

    def __init__(self, name: str, arguments: list[str], *, log: Path, environment: dict[str, str]) -> None:
        self.name = name
        self._argv = [str(PLANE), *arguments]
        self._log = log
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the process id; the program must have been started."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def words(self) -> str:
        """Everything that it has logged in all its lives."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def errors(self) -> list[str]:
        """Everything that it logged as an error, and whatever it said outside of its log."""
        return [line for line in self.words.splitlines() if not _is_harmless(line)]

    def start(self) -> None:
        """Start it; it runs in a folder that is not the repository, as a user's would."""
        assert not self.running, f"{self.name} runs already"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                cwd=self._log.parent,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def expect_alive(self) -> bool:
        """Say at once when it has ended although somebody waits for it."""
        assert self.running, f"{self.name} has ended:\n{self.words[-3000:]}"
        return True

    def kill(self) -> None:
        """Let it die on the spot."""
        os.kill(self.pid, signal.SIGKILL)
        self._wait()

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen program go on."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> int:
        """Ask it to end, and return its exit status; whoever does not end in time is killed and blamed."""
        assert self._process is not None
        if self.running:
            os.kill(self.pid, signal.SIGCONT)
            os.kill(self.pid, signal.SIGTERM)
        try:
            status = self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end on SIGTERM:\n{self.words[-3000:]}") from None
        self._expect_nothing_left()
        return status

    def end(self) -> None:
        """Make sure that it and its children are gone, without judging."""
        if self._process is None:
            return
        for pid in session_members(self.pid):
            os.kill(pid, signal.SIGKILL)
        self._process.wait(STOP_LIMIT)

    def _wait(self) -> None:
        assert self._process is not None
        self._process.wait(STOP_LIMIT)

    def _expect_nothing_left(self) -> None:
        """Whoever ends takes its children along."""
        until(lambda: not session_members(self.pid), f"the children of {self.name} end", within=5)


def _is_harmless(line: str) -> bool:
    try:
        entry = json.loads(line)
    except ValueError:
        return False
    return isinstance(entry, dict) and entry.get("level") in {"debug", "info", "warning"}


def session_members(session: int) -> list[int]:
    """Return the living processes of a session."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            members.append(int(stat.parent.name))
    return members
