"""
Stands between the agent and one backend process, so that nothing of the backend outlives either of them.

A program of its own, started by `agentd.runtime.process` by path: it imports nothing of ours, so that it starts fast
and is small. It listens on a socket to the agent: `T` means SIGTERM, `K` means SIGKILL, and the socket's end, which the
kernel sees to however the agent died, means SIGKILL too. It ends with the backend's exit code once every descendant of
the backend is gone.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_CANNOT_START = 127


def main(arguments: Sequence[str]) -> int:
    """Run `CONTROL_FD CPU_SECONDS|- COMMAND ARGUMENT…`; return the backend's exit code."""
    control = socket.socket(fileno=int(arguments[0]))
    control.set_inheritable(False)
    cpu_seconds = None if arguments[1] == "-" else int(arguments[1])
    libc = ctypes.CDLL(None, use_errno=True)
    # Whatever a backend leaves behind becomes our child, and so can be found and ended.
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    wakeups = _signals_as_bytes()
    try:
        prepare = _before_exec(libc, parent=os.getpid(), cpu_seconds=cpu_seconds)
        environment = _given_environment()
        child = subprocess.Popen(arguments[2:], env=environment, process_group=0, preexec_fn=prepare)  # noqa: PLW1509
    except (OSError, subprocess.SubprocessError) as error:
        _say(control, f"failed {error}")
        return _CANNOT_START
    _say(control, "started")
    return Keeper(child.pid, control=control, wakeups=wakeups).keep()


def _say(control: socket.socket, words: str) -> None:
    # An agent that has gone, or has given up, shows as the end of the line; the keeper sees to that.
    with suppress(OSError):
        control.sendall(f"{words}\n".encode())


def _given_environment() -> dict[bytes, bytes]:
    """Return the environment as it was given: Python itself may have added to its own (LC_CTYPE)."""
    with open("/proc/self/environ", "rb") as file:  # noqa: PTH123 - pathlib would slow the start
        pairs = (item.partition(b"=") for item in file.read().split(b"\0") if item)
        return {name: value for name, _, value in pairs}


def _signals_as_bytes() -> socket.socket:
    """Return a socket that becomes readable with each signal that matters here."""
    receiving, sending = socket.socketpair()
    receiving.setblocking(False)
    sending.setblocking(False)
    signal.set_wakeup_fd(sending.detach(), warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return receiving


def _before_exec(libc: ctypes.CDLL, *, parent: int, cpu_seconds: int | None) -> Callable[[], None]:
    def prepare() -> None:
        # Should this process be killed, at least the backend itself goes with it.
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(_CANNOT_START)
        if cpu_seconds is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))

    return prepare


class Keeper:
    """Waits for the backend's end or the agent's word, and leaves nothing behind."""

    def __init__(self, child: int, *, control: socket.socket, wakeups: socket.socket) -> None:
        self._child = child
        self._control = control
        self._wakeups = wakeups
        self._status: int | None = None

    def keep(self) -> int:
        """Return the backend's exit code, 128 and the signal's number if one ended it."""
        while self._status is None:
            readable, _, _ = select.select([self._control, self._wakeups], [], [])
            if self._wakeups in readable:
                self._wakened(self._wakeups.recv(4096))
            if self._control in readable and not self._obey(self._receive()):
                break
        self._end_all()
        code = os.waitstatus_to_exitcode(self._status or 0)
        return code if code >= 0 else 128 - code

    def _wakened(self, numbers: bytes) -> None:
        if any(number != signal.SIGCHLD for number in numbers):
            self._signal(signal.SIGTERM)
        with suppress(ChildProcessError):
            self._reap()

    def _receive(self) -> bytes:
        try:
            return self._control.recv(64)
        except OSError:
            return b""

    def _obey(self, orders: bytes) -> bool:
        """Carry out what the agent says; return whether to go on."""
        if not orders or b"K" in orders:
            return False
        self._signal(signal.SIGTERM)
        return True

    def _signal(self, number: signal.Signals) -> None:
        if self._status is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child, number)

    def _end_all(self) -> None:
        """Kill until no child is left: orphans become children of this process, so none can hide behind another."""
        with suppress(ChildProcessError):
            while True:
                self._signal(signal.SIGKILL)
                for pid in _children_of(os.getpid()):
                    with suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, signal.SIGKILL)
                self._reap()
                time.sleep(0.002)

    def _reap(self) -> None:
        """Collect whoever has ended. Raises ChildProcessError when no child is left."""
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid == self._child:
                self._status = status


def _children_of(parent: int) -> Iterator[int]:
    for entry in os.listdir("/proc"):  # noqa: PTH208 - pathlib would slow the start
        if entry.isdigit():
            with suppress(OSError), open(f"/proc/{entry}/stat", "rb") as file:  # noqa: PTH123 - the same
                if int(file.read().rpartition(b")")[2].split()[1]) == parent:
                    yield int(entry)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
