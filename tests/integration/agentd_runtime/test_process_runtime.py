"""Backends as real processes: their life, their limits, and that none outlives its agent."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random
from typing import Self

import pytest
import uvloop
from structlog.testing import capture_logs

from agentd.runtime import process_child
from agentd.runtime.interface import Absent, Alive, Exited, PrepareFailed, RuntimeFailure, StartFailed
from agentd.runtime.process import ProcessRuntime
from agentd.runtime.settings import RuntimeSettings
from protocol.spawn import ResourceLimits
from tests.integration.agentd_runtime.conftest import order
from tests.integration.waiting import until

SERVER = """
import http.server, os
print("PRINTED", flush=True)
address = ("127.0.0.1", int(os.environ["PORT"]))
http.server.HTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()
"""
WEB = (sys.executable, "-c", SERVER)


def shell(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def marked(mark: str) -> list[int]:
    """Return the processes that have a word on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if f"#{mark}".encode() in line.split(b"\0"):
                found.append(int(entry.name))
    return found


def sleeper(mark: str) -> str:
    """A shell command that sleeps and carries a mark."""
    return f"{sys.executable} -c 'import time; time.sleep(600)' '#{mark}'"


class Processes:
    """A process runtime and the ends that it told."""

    def __init__(self, images: dict[str, tuple[str, ...]], environment: dict[str, str] | None = None) -> None:
        settings = RuntimeSettings("dr-processes", "localhost:9090", "127.0.0.1", "127.0.0.1", process_images=images)
        self.runtime = ProcessRuntime(settings, environment=environment or dict(os.environ), dice=Random())
        self.exits: list[tuple[str, int | None]] = []

    async def __aenter__(self) -> Self:
        await self.runtime.open(lambda backend, code: self.exits.append((backend, code)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for backend in await self.runtime.list_own():
            await self.runtime.terminate(backend, hard=True)
            await self.exit_of(backend)
        await self.runtime.close()

    async def exit_of(self, backend: str) -> int | None:
        return (await until(lambda: [exit_ for exit_ in self.exits if exit_[0] == backend]))[0][1]


@pytest.fixture
def mark() -> str:
    """A word that no other test's processes carry."""
    return uuid.uuid4().hex


@pytest.fixture
async def stubborn(mark: str) -> AsyncIterator[Processes]:
    """Knows the image `family`: a process that ignores SIGTERM, with children that went to sessions of their own."""
    setsid = "import os, sys; os.fork() and os._exit(0); os.setsid(); os.execv(sys.argv[1], sys.argv[1:])"
    script = f"""trap '' TERM
        {sleeper(mark)} &
        {sys.executable} -c '{setsid}' {sleeper(mark)}
        while :; do sleep 1; done"""
    async with Processes({"family": shell(script)}) as processes:
        yield processes
    assert marked(mark) == []


async def ordinary_life() -> None:
    async with Processes({"web": WEB}) as processes:
        runtime = processes.runtime
        await runtime.prepare(order("life", "web").executable)
        with capture_logs() as logs:
            one, two = [await runtime.start(order(name, "web")) for name in ("life", "other")]
            assert one.address != two.address
            for started in (one, two):
                await asyncio.wait_for(runtime.wait_until_ready(started, order("life", "web").executable), 10)
        printed = [entry for entry in logs if entry["event"] == "backend_printed" and entry["line"] == "PRINTED"]
        assert {(entry["backend"], entry["log_level"]) for entry in printed} == {("life", "debug"), ("other", "debug")}
        assert await runtime.inspect("life") == Alive()
        with pytest.raises(RuntimeFailure, match="has not ended"):
            await runtime.remove("life")
        assert await runtime.terminate("life", hard=False)
        assert await processes.exit_of("life") == 143
        assert not await runtime.terminate("life", hard=False)
        assert await runtime.inspect("life") == Exited(143)
        await runtime.remove("life")
        assert await runtime.inspect("life") == Absent()
        assert await runtime.list_own() == ["other"]


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_an_ordinary_life_on_either_loop(run: object) -> None:
    """Each process has a port of its own; what it prints is logged; its end is told with its exit code."""
    assert callable(run)
    run(ordinary_life())


async def test_a_process_that_ends_by_itself() -> None:
    """With its own exit code."""
    async with Processes({"short": shell("exit 3")}) as processes:
        await processes.runtime.start(order("short", "short"))
        assert await processes.exit_of("short") == 3


async def test_children_end_with_their_backend(mark: str) -> None:
    """Also those it left running when it ended by itself."""
    async with Processes({"parent": shell(f"{sleeper(mark)} & sleep 0.3")}) as processes:
        await processes.runtime.start(order("parent", "parent"))
        await until(lambda: marked(mark))
        assert await processes.exit_of("parent") == 0
        assert marked(mark) == []


async def test_nothing_hides_from_a_hard_end(stubborn: Processes, mark: str) -> None:
    """SIGTERM may be ignored, SIGKILL reaches the whole family, in whatever session, before the end is told."""
    await stubborn.runtime.start(order("family", "family"))
    await until(lambda: len(marked(mark)) == 2)
    assert await stubborn.runtime.terminate("family", hard=False)
    await asyncio.sleep(0.3)
    assert await stubborn.runtime.inspect("family") == Alive()
    assert await stubborn.runtime.terminate("family", hard=True)
    assert await stubborn.exit_of("family") == 137
    assert marked(mark) == []


async def test_a_start_that_is_cancelled_leaves_nothing(stubborn: Processes, mark: str) -> None:
    """Wherever in the middle it is hit."""
    for after in (0.0, 0.005, 0.015, 0.025):
        starting = asyncio.create_task(stubborn.runtime.start(order(f"after-{after}", "family")))
        await asyncio.sleep(after)
        starting.cancel()
        await asyncio.wait([starting])
        if starting.cancelled():
            assert marked(mark) == []
            assert await stubborn.runtime.inspect(f"after-{after}") == Absent()
        else:
            await stubborn.runtime.terminate(f"after-{after}", hard=True)
            await stubborn.exit_of(f"after-{after}")


def test_a_keeper_whose_agent_is_gone_before_it_began(mark: str) -> None:
    """It can tell nobody that it started, and ends what it started all the same."""
    ours, theirs = socket.socketpair()
    ours.close()
    script = f"(setsid {sleeper(mark)} &); {sleeper(mark)}"
    with theirs:
        keeper = subprocess.Popen(
            [sys.executable, process_child.__file__, str(theirs.fileno()), "-", "sh", "-c", script],
            pass_fds=[theirs.fileno()],
            stderr=subprocess.PIPE,
        )
    _, errors = keeper.communicate(timeout=10)
    assert (keeper.returncode, errors, marked(mark)) == (137, b"", [])


async def test_an_image_outside_the_table_is_refused() -> None:
    """A request names what the operator allowed; it never carries a command."""
    async with Processes({"gone": ("/nonesuch/program",)}) as processes:
        for image, complaint in (("rm -rf /", "no process image 'rm -rf /'"), ("gone", "cannot be found")):
            with pytest.raises(PrepareFailed, match=complaint):
                await processes.runtime.prepare(order("b", image).executable)
            with pytest.raises(StartFailed, match=complaint):
                await processes.runtime.start(order("b", image))
        assert await processes.runtime.list_own() == []


async def test_a_program_that_cannot_be_run_fails_the_start(tmp_path: Path) -> None:
    """And says why."""
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF nonsense")
    program.chmod(0o755)
    async with Processes({"broken": (str(program),)}) as processes:
        with pytest.raises(StartFailed, match="Exec format error"):
            await processes.runtime.start(order("broken", "broken"))
        assert await processes.runtime.inspect("broken") == Absent()


async def test_the_agents_secrets_stay_with_the_agent(tmp_path: Path) -> None:
    """The whole environment of a process is the short list, the request's and the session's."""
    out = tmp_path / "environment"
    agent = {"PATH": os.environ["PATH"], "PLANE_CONTROLLER_URL": "http://secret@controller/", "HOME": "/root"}
    async with Processes({"env": shell(f"env > {out}.new; mv {out}.new {out}; sleep 600")}, agent) as processes:
        asked = order("env", "env", key="k", env={"A": "1", "PATH": "/usr/bin:/bin"})
        await processes.runtime.start(asked)
        await until(out.exists)
        seen = dict(line.split("=", 1) for line in out.read_text().splitlines())
    own_to_the_shell = {"PWD", "OLDPWD", "SHLVL", "_", "PORT"}
    assert {name: value for name, value in seen.items() if name not in own_to_the_shell} == {
        "HOME": "/root",
        "PATH": "/usr/bin:/bin",
        "A": "1",
        "SESSION_BACKEND_ID": "env",
        "SESSION_BACKEND_KEY": "k",
        "SESSION_BACKEND_FENCING_TOKEN": "17",
    }


async def test_limits_are_applied_or_named_in_the_log() -> None:
    """CPU time is; memory is not, and the log says so."""
    limits = ResourceLimits(cpu_time_limit=1, memory_limit_bytes=2**20)
    async with Processes({"loop": shell("while :; do :; done")}) as processes:
        with capture_logs() as logs:
            await processes.runtime.start(order("loop", "loop", resource_limits=limits, mount=True))
        left_out = [entry["setting"] for entry in logs if entry["event"] == "process_setting_left_out"]
        assert left_out == ["mount", "memory_limit_bytes"]
        assert await processes.exit_of("loop") == 137


async def test_metrics_are_plausible() -> None:
    """A process that computes uses about one CPU, its children's time included."""
    async with Processes({"busy": shell("(while :; do :; done) & wait")}) as processes:
        await processes.runtime.start(order("busy", "busy"))
        assert await processes.runtime.sample("busy") is None
        await asyncio.sleep(0.5)
        sample = await processes.runtime.sample("busy")
        assert sample is not None
        assert 0 < sample.mem_used < sample.mem_limit
        assert 0 < sample.cpu_used <= sample.sys_cpu


AGENT = textwrap.dedent("""
    import asyncio, os, random, sys
    from agentd.runtime.process import ProcessRuntime
    from agentd.runtime.settings import RuntimeSettings
    from agentd.runtime.interface import StartOrder
    from protocol.spawn import Executable

    async def main():
        images = {"family": ("sh", "-c", sys.argv[1])}
        settings = RuntimeSettings("dr-x", "c", "127.0.0.1", "127.0.0.1", process_images=images)
        runtime = ProcessRuntime(settings, environment=os.environ, dice=random.Random())
        await runtime.open(lambda *_: None)
        await runtime.start(StartOrder("family", Executable(image="family"), None, None))
        print("started", flush=True)
        await asyncio.sleep(60)

    asyncio.run(main())
""")


@pytest.fixture
def agent(mark: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another agent, with one backend that ignores SIGTERM, and a child of that in a session of its own."""
    script = f"trap '' TERM; (setsid {sleeper(mark)} &); {sleeper(mark)}"
    agent = subprocess.Popen([sys.executable, "-c", AGENT, script], stdout=subprocess.PIPE)
    yield agent
    agent.kill()
    agent.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_no_process_outlives_its_agent(agent: subprocess.Popen[bytes], mark: str, number: signal.Signals) -> None:
    """However the agent dies, the family goes, and so the next agent finds nothing: there is nothing to find."""
    assert agent.stdout is not None
    assert await asyncio.to_thread(agent.stdout.readline) == b"started\n"
    await until(lambda: len(marked(mark)) == 2)
    agent.send_signal(number)
    await asyncio.to_thread(agent.wait)
    await until(lambda: marked(mark) == [], within=5)
    async with Processes({}) as next_life:
        assert await next_life.runtime.list_own() == []


async def test_a_backend_goes_with_its_keeper(mark: str) -> None:
    """Should somebody kill the program in between, its backend does not run on unattended."""
    async with Processes({"sleeper": shell(f"exec {sleeper(mark)}")}) as processes:
        started = await processes.runtime.start(order("sleeper", "sleeper"))
        await until(lambda: marked(mark))
        os.kill(int(started.container_id), signal.SIGKILL)
        assert await processes.exit_of("sleeper") == 137
        await until(lambda: marked(mark) == [], within=5)


async def test_output_without_end_of_line_keeps_nothing_waiting() -> None:
    """A flood in one line is cut into pieces; the process is never blocked by it."""
    flood = "print('x' * 300000, end='', flush=True)"
    async with Processes({"flood": (sys.executable, "-c", flood)}) as processes:
        with capture_logs() as logs:
            await processes.runtime.start(order("flood", "flood"))
            assert await processes.exit_of("flood") == 0
            await until(lambda: sum(len(entry.get("line", "")) for entry in logs) == 300000)
    assert max(len(entry.get("line", "")) for entry in logs) <= 2000
