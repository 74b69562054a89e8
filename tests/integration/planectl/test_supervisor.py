"""Real processes under the demo's supervisor: order of ends, deaths that are noticed, and that nothing is left."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from planectl.demo.plan import Part
from planectl.demo.supervisor import PartFailed, StopAsked, Supervisor

#: Says that it is ready, and writes when it was asked to end.
_POLITE = """
import signal, sys, time
def leave(*_):
    open(sys.argv[1], "a").write(sys.argv[2])
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("ready", flush=True)
time.sleep(60)
"""
_STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


def part(name: str, code: str, *arguments: str, stage: int = 0) -> Part:
    """Return a part that runs some Python."""
    return Part(name, (sys.executable, "-c", code, *arguments), stage=stage, patience=0.5)


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    """A supervisor that ends whatever a test leaves."""
    made = Supervisor(tmp_path, dict(os.environ))
    yield made
    await made.stop()


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended, perhaps without having been waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that happens soon."""
    limit = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < limit
        time.sleep(0.02)


async def test_parts_end_stage_by_stage(supervisor: Supervisor, tmp_path: Path) -> None:
    """A later stage is only asked when the earlier one is gone."""
    ends = tmp_path / "ends"
    for name, stage in (("c", 2), ("a", 0), ("b", 1)):
        assert await supervisor.start_and_listen(part(name, _POLITE, str(ends), name, stage=stage)) == "ready"
    await supervisor.stop()
    assert ends.read_text() == "abc"
    assert supervisor.killed == set()


async def test_who_does_not_end_is_killed_and_named(supervisor: Supervisor) -> None:
    """After its patience, not after anybody else's."""
    await supervisor.start_and_listen(part("mule", _STUBBORN))
    begin = time.monotonic()
    await supervisor.stop()
    assert time.monotonic() - begin < 2
    assert supervisor.killed == {"mule"}


async def test_a_death_is_noticed_with_its_last_words(supervisor: Supervisor, tmp_path: Path) -> None:
    """Whoever waits for something else is told; the log is named."""
    await supervisor.start(part("frail", "import sys; print('out'); sys.exit('I cannot go on')"))
    with pytest.raises(PartFailed, match="frail ended with exit status 1") as caught:
        await supervisor.until(asyncio.Event().wait())
    assert "I cannot go on" in str(caught.value)
    assert str(tmp_path / "frail.log") in str(caught.value)


async def test_a_part_that_dies_before_it_is_ready(supervisor: Supervisor) -> None:
    """Is told as a death, not as an empty line."""
    with pytest.raises(PartFailed, match="no room"):
        await supervisor.start_and_listen(part("full", "import sys; sys.exit('no room')"))


async def test_a_part_that_ends_by_itself(supervisor: Supervisor) -> None:
    """Well, or badly."""
    await supervisor.complete(part("well", "pass"))
    with pytest.raises(PartFailed, match="exit status 3"):
        await supervisor.complete(part("badly", "raise SystemExit(3)"))


async def test_asking_to_stop_interrupts_any_wait(supervisor: Supervisor) -> None:
    """And kills what was to end by itself."""
    running = asyncio.create_task(supervisor.complete(part("slow", "import time; time.sleep(60)")))
    await asyncio.sleep(0)
    supervisor.ask_to_stop()
    with pytest.raises(StopAsked):
        await running
    with pytest.raises(StopAsked):
        await supervisor.until_over()


async def test_a_part_does_not_get_the_terminals_signals(supervisor: Supervisor, tmp_path: Path) -> None:
    """Ctrl-C is for the demo, which ends its parts in order."""
    await supervisor.start_and_listen(part("apart", _POLITE, str(tmp_path / "ends"), "x"))
    pid = supervisor._running["apart"][1].pid
    assert os.getsid(pid) == pid != os.getsid(0)


def test_nothing_outlives_a_killed_demo(tmp_path: Path) -> None:
    """The kernel asks the parts to end in its place."""
    pids = tmp_path / "pids"
    program = f"""
import asyncio, os, sys
from pathlib import Path
from planectl.demo.plan import Part
from planectl.demo.supervisor import Supervisor
async def main():
    supervisor = Supervisor(Path({str(tmp_path)!r}), dict(os.environ))
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    line = await supervisor.start_and_listen(Part("orphan", (sys.executable, "-c", code)))
    Path({str(pids)!r}).write_text(line + ".")
    await asyncio.sleep(60)
asyncio.run(main())
"""
    demo = subprocess.Popen([sys.executable, "-c", program])
    try:
        until(lambda: pids.exists() and pids.read_text().endswith("."))
        pid = int(pids.read_text().rstrip("."))
        assert not is_gone(pid)
    finally:
        demo.send_signal(signal.SIGKILL)
        demo.wait()
    until(lambda: is_gone(pid))
