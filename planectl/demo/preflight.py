"""
What must be free and writable before a demo starts anything. Looks, and refuses with a sentence.
"""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from planectl.demo.settings import DemoRefused, DemoSettings


@contextmanager
def sole_use(settings: DemoSettings) -> Iterator[None]:
    """
    Make the data directory, and hold it for one demo.

    Raises:
        DemoRefused: it cannot be written, or another demo holds it.
    """
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        settings.logs.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(settings.lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DemoRefused(
            f"Cannot keep data in {settings.data_dir}: {error.strerror}. Choose another place with --data-dir."
        ) from error
    try:
        _hold(lock, settings.data_dir)
        yield
    finally:
        os.close(lock)


def _hold(lock: int, data_dir: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 20, 0).decode(errors="replace").strip()
        raise DemoRefused(
            f"plane demo is already running on {data_dir} (process {holder or 'unknown'}). Stop it first, "
            "or give this one a --data-dir, a --controller-port and a --proxy-port of its own."
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def check_ports(settings: DemoSettings) -> None:
    """
    Look whether both ports are free.

    Raises:
        DemoRefused: one is not; all that are not are named.
    """
    wanted = {"controller": settings.controller_port, "proxy": settings.proxy_port}
    if len(set(wanted.values())) < len(wanted):
        raise DemoRefused("--controller-port and --proxy-port must differ.")
    complaints = []
    for part, port in wanted.items():
        if reason := _why_not(port):
            complaints.append(f"Port {port} {reason}. Choose another for the {part} with --{part}-port.")
    if complaints:
        raise DemoRefused("\n".join(complaints))


def _why_not(port: int) -> str | None:
    """Say why a port cannot be had. Browsers may try either family of addresses for `localhost`: both must be free."""
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1")):  # noqa: S104 - a probe, not a server
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
                probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "is taken by another program"
            if error.errno == errno.EACCES:
                return "may not be used by this user"
            if family == socket.AF_INET:
                return f"cannot be used ({error.strerror})"
    return None
