"""
`python -m proxyd` as a process: how it begins and ends.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import httpx
import pytest

CONTROLLER = "http://127.0.0.1:9"  # the discard port: nobody is there


@pytest.fixture
def port() -> int:
    """A port that is free a moment before it is used."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    return number


def _start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "proxyd", "--controller-url", CONTROLLER, "--cluster", "apps.test", *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_it_serves_and_ends_cleanly(port: int) -> None:
    """Not ready without a controller, and gone with status 0 when asked."""
    process = _start("--http-port", str(port))
    try:
        url = f"http://127.0.0.1:{port}/ready"
        assert _first_answer(url).status_code == 503
        process.terminate()
        _, log = process.communicate(timeout=10)
        assert process.returncode == 0, log
        assert '"path":"/ready","status":503' in log
    finally:
        process.kill()


def test_a_taken_port_is_said_in_a_sentence() -> None:
    """Exit status 1, and no traceback."""
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        process = _start("--http-port", str(taken.getsockname()[1]))
        _, log = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "is already in use" in log
    assert "Traceback" not in log


def test_bad_flags_are_all_reported_at_once() -> None:
    """Exit status 2."""
    process = _start("--name", "dr-wrong", "--http-port", "0", "--heartbeat", "never")
    _, log = process.communicate(timeout=20)
    assert process.returncode == 2
    assert log.count("Error:") == 3


def _first_answer(url: str) -> httpx.Response:
    for _ in range(200):
        try:
            return httpx.get(url, trust_env=False)
        except httpx.ConnectError:
            time.sleep(0.05)
    raise AssertionError("the proxy does not answer")
