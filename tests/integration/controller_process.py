"""
A controller as an operator starts it: a process of its own, under Daphne, on a real database.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.end_to_end.waiting import free_port

ROOT = Path(__file__).parents[2]


@dataclass
class ControllerProcess:
    """A running controller."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path


def command(*words: str) -> list[str]:
    """Return the command line of one of the control plane's programs."""
    return [sys.executable, "-m", "plane_site", *words]


def clean_environment() -> dict[str, str]:
    """Return this environment without any setting of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PLANE_", "DJANGO_"))}


def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program that ends by itself."""
    environment = clean_environment() | variables
    return subprocess.run(
        command(*words), cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@contextlib.contextmanager
def serve_controller(dsn: str, log: Path, *flags: str) -> Iterator[ControllerProcess]:
    """Run a controller for as long as it is needed, and wait until it is healthy."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    argv = command("controller", "--db", dsn, "--port", str(port), *flags)
    with log.open("wb") as output:
        process = subprocess.Popen(argv, cwd=ROOT, env=clean_environment(), stdout=output, stderr=output)
    try:
        await_health(process, url, log=log)
        yield ControllerProcess(process, url, log)
    finally:
        process.kill()
        process.wait(10)


def await_health(process: subprocess.Popen[bytes], url: str, *, log: Path) -> None:
    """Wait until a controller answers."""
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/pub/health").status_code == 200:
                return
        time.sleep(0.05)
    raise TimeoutError(log.read_text())
