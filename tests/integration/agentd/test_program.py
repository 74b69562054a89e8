"""
`python -m agentd` as a process of its own, with processes for backends, and the wall clock of another world.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from tests.integration.agentd.test_service import drone_clock, key_with, spawn, states, statuses, thank
from tests.integration.fake_controller import FakeController, Json, Visit
from tests.integration.waiting import until

BACKEND = """
import http.server, os
class Hello(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Hello).serve_forever()
"""
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


class Program:
    """One agent as a process."""

    def __init__(self, controller: FakeController, folder: Path, **environment: str) -> None:
        backend = folder / "backend.py"
        backend.write_text(BACKEND)
        flags = {
            "--controller-url": controller.url,
            "--cluster": "localhost:9090",
            "--name": "dr-program",
            "--db": str(folder / "journal"),
            "--runtime": "process",
            "--process-image": f"b1={sys.executable} {backend}",
            "--heartbeat": "0.2",
            "--grace-seconds": "5",
        }
        words = [word for pair in flags.items() for word in pair]
        self.errors = (folder / "errors").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agentd", *words], stderr=self.errors, env={**os.environ, **environment}
        )

    async def ended(self, within: float = 15) -> int:
        """Wait for its end and return its exit status."""
        async with asyncio.timeout(within):
            return await asyncio.to_thread(self.process.wait)

    def close(self) -> None:
        """Leave nothing of it."""
        self.process.kill()
        self.process.wait()
        self.errors.close()


@pytest.fixture
async def controller() -> AsyncIterator[FakeController]:
    async with FakeController().serving() as listening:
        listening.answer = thank
        yield listening


def processes_with(text: str) -> list[int]:
    """Return the processes whose command line holds this text."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and text in (entry / "cmdline").read_text().replace("\0", " "):
                found.append(int(entry.name))
    return found


async def test_sigterm_takes_the_backends_along(controller: FakeController, tmp_path: Path) -> None:
    """Reported to the end, exit 0, and nothing left, within ten seconds."""
    program = Program(controller, tmp_path)
    try:
        visit = await controller.visit()
        assert "instance" in visit.handshake["extensions"]
        await visit.say(spawn("b1"))
        await until(lambda: "ready" in statuses(visit, "b1"), within=30)
        assert len(processes_with(str(tmp_path / "backend.py"))) >= 2  # the agent's own flags name it, too
        began = time.monotonic()
        program.process.send_signal(signal.SIGTERM)
        assert await program.ended() == 0
        assert time.monotonic() - began < 10
        assert statuses(visit, "b1")[-1] == "terminated"
        assert states(visit, "b1")[-1]["reason"] == "external"
        assert processes_with(str(tmp_path / "backend.py")) == []
    finally:
        program.close()


async def test_it_starts_even_when_killed_before_and_ends_what_was_left(
    controller: FakeController, tmp_path: Path
) -> None:
    """SIGKILL gives no time to clean up; the next run accounts for everything."""
    program = Program(controller, tmp_path)
    try:
        visit = await controller.visit()
        await visit.say(spawn("b1"))
        await until(lambda: "ready" in statuses(visit, "b1"), within=30)
        program.process.kill()
        await program.ended()
    finally:
        program.close()
    program = Program(controller, tmp_path)
    try:
        second = await controller.visit(1)
        await until(lambda: "terminated" in statuses(second, "b1"))
        assert states(second, "b1")[-1]["last_status"] == "ready"
        program.process.send_signal(signal.SIGINT)
        assert await program.ended() == 0
        assert processes_with(str(tmp_path / "backend.py")) == []
    finally:
        program.close()


async def test_a_wall_clock_that_jumps_changes_nothing(controller: FakeController, tmp_path: Path) -> None:
    """Hours forward and back while a key is held: the drone's clock goes on, renewals too, and the backend stays."""
    renewed: list[int] = []

    def renew(visit: Visit, message: Json) -> Iterable[Json]:
        yield from thank(visit, message)
        if "RenewKey" in message:
            asked = message["RenewKey"]
            renewed.append(asked["local_time"])
            deadlines = key_with(asked["local_time"], 300, 20_000, 30_000)["deadlines"]
            yield {"RenewKeyResponse": {"backend": asked["backend"], "deadlines": deadlines}}

    controller.answer = renew
    wall = tmp_path / "wall"
    wall.write_text("+0")
    faked = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(wall), "FAKETIME_NO_CACHE": "1"}
    program = Program(controller, tmp_path, **faked, DONT_FAKE_MONOTONIC="1")
    try:
        visit = await controller.visit()
        await until(lambda: visit.of_kind("Heartbeat"))
        before = drone_clock(visit)
        began = time.monotonic()
        await visit.say(spawn("b1", key=key_with(before, 300, 20_000, 30_000)))
        await until(lambda: "ready" in statuses(visit, "b1"), within=30)
        for jump in ("+7h", "-9h", "+0"):
            wall.write_text(jump)
            renewed.clear()
            await until(lambda: len(renewed) > 2)
        assert "terminated" not in statuses(visit, "b1")
        await until(lambda: len(visit.of_kind("Heartbeat")) > 5)
        passed = (time.monotonic() - began) * 1000
        assert abs(drone_clock(visit) - before - passed) < 5000
    finally:
        program.process.terminate()
        await program.ended()
        program.close()


async def test_without_an_engine_it_says_so_and_fails(controller: FakeController, tmp_path: Path) -> None:
    """A clear sentence, no traceback, and a status that a supervisor understands."""
    flags = ["--controller-url", controller.url, "--cluster", "c1", "--runtime", "docker"]
    result = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "agentd", *flags],
        env={**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/nothing.sock"},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert result.returncode == 1
    assert "Error: " in result.stderr
    assert "nothing.sock" in result.stderr
    assert "Traceback" not in result.stderr
    assert controller.visits == []
