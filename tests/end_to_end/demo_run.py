"""
One run of `plane demo` as a newcomer starts it: in the foreground of a terminal of its own, until Ctrl-C.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

from tests.end_to_end.programs import PLANE
from tests.end_to_end.waiting import free_port, until

#: Seconds that the demo promises at most, from Ctrl-C to the end.
STOP_LIMIT = 15.0


class DemoRun:
    """A data directory and two ports, and the demo on them, from `start` to an end."""

    def __init__(self, folder: Path, *flags: str, environment: dict[str, str]) -> None:
        self.ports = (free_port(), free_port())
        self.data_dir = folder / "demo"
        self._words = folder / "words"
        # Whatever is set for this session's other tests is not meant for the demo, but for how to reach an engine.
        surroundings = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
        self._environment = {**surroundings, **environment}
        self._argv = [str(PLANE), "demo", f"--data-dir={self.data_dir}", *flags]
        self._argv += [f"--controller-port={self.ports[0]}", f"--proxy-port={self.ports[1]}"]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "never started"
        return self._process.pid

    @property
    def words(self) -> str:
        """All that this run has said."""
        return self._words.read_text()

    def start(self) -> float:
        """Start it, wait for its last line, and return how many seconds that took."""
        begin = time.monotonic()
        with self._words.open("wb") as words:
            # A session of its own has a foreground process group of its own, as in a terminal.
            self._process = subprocess.Popen(
                self._argv,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until(self._is_up, "the demo's last line", within=90)
        return time.monotonic() - begin

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the demo has ended:\n{self.words}\n{self._last_logs()}"
        return "Press Ctrl-C to stop.\n" in self.words

    def said(self, label: str) -> str:
        """Return what stands on the line that begins with a label."""
        found = re.search(rf"^{label}: (.+)$", self.words, re.MULTILINE)
        assert found, self.words
        return found[1]

    def ask_again(self, *flags: str) -> subprocess.CompletedProcess[str]:
        """Run the same command once more, with other flags at its end, and return what became of it."""
        return subprocess.run(
            [*self._argv, *flags], cwd=self._folder, env=self._environment, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip

    def end(self, sign: signal.Signals, *, whole_group: bool = False) -> int:
        """Send a signal, to the whole foreground group as a terminal does or to the demo only; return the status."""
        (os.killpg if whole_group else os.kill)(self.pid, sign)
        return self.wait()

    def wait(self) -> int:
        """Wait as long as a demo may take to end, and return its exit status."""
        assert self._process is not None
        return self._process.wait(STOP_LIMIT)

    def clear_away(self) -> None:
        """End whatever a failed test has left."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(STOP_LIMIT + 5)

    def _last_logs(self) -> str:
        logs = sorted((self.data_dir / "logs").glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in logs)


def descendants(pid: int) -> set[int]:
    """Return all processes that a process has started, and that these have started."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has just ended
    found: set[int] = set()
    while fresh := {child for child, parent in parents.items() if parent in found | {pid}} - found:
        found |= fresh
    return found


def living(pids: set[int]) -> set[int]:
    """Return those processes that have not ended; one that nobody has waited for has."""
    alive = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state not in "ZX":
            alive.add(pid)
    return alive
