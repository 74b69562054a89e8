"""
How daemons live and end: real processes, real signals.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import asyncio, sys
from daemonkit import logs, service

async def main(stopping):
    from twisted.internet import reactor, task
    await task.deferLater(reactor, 0, lambda: None).asFuture(asyncio.get_running_loop())
    print(type(asyncio.get_running_loop()).__module__, flush=True)
    token = "sesame"
    {body}

logs.configure()
sys.exit(service.run(main))
"""


def start(body: str) -> subprocess.Popen[str]:
    """Start a daemon whose main ends with these statements, and wait until it is there."""
    program = PROGRAM.replace("{body}", body)
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", program], stdout=pipe, stderr=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "uvloop"
    return process


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str], str]:
    """Return the exit status, the names of the events that were logged, and all of it."""
    _, errors = process.communicate(timeout=20)
    lines = [json.loads(line) for line in errors.splitlines() if line.startswith("{")]
    return process.returncode, [line["event"] for line in lines], errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    """Both signals let main finish in its own way."""
    process = start("await stopping.wait()")
    process.send_signal(number)
    assert ended(process)[:2] == (0, ["signal_received", "daemon_ended"])


def test_a_second_signal_does_not_wait() -> None:
    """Whoever asks twice means it."""
    process = start("await stopping.wait(); print('stopping', flush=True); await asyncio.sleep(60)")
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 1


def test_a_daemon_that_cannot_serve_says_so_in_a_sentence() -> None:
    """One line for a person, no traceback, and a status that supervisors understand."""
    status, _, errors = ended(start("raise service.CannotServe('there is no engine')"))
    assert status == 1
    assert "Error: there is no engine\n" in errors
    assert "Traceback" not in errors


def test_a_mistake_of_ours_is_loud_and_tells_no_secrets() -> None:
    """A crash is logged with its traceback, without local variables, and is a failure."""
    status, events, errors = ended(start("raise ValueError('ours')"))
    assert (status, events) == (1, ["daemon_crashed"])
    assert "ours" in errors
    assert "sesame" not in errors


@pytest.mark.parametrize(("last_words", "status"), [("pass", 0), ("raise service.CannotServe('it hangs')", 1)])
def test_a_thread_that_hangs_does_not_keep_it_alive(last_words: str, status: int) -> None:
    """Such as one that waits for an engine; the exit status is what it would have been."""
    process = start(f"asyncio.get_running_loop().run_in_executor(None, __import__('time').sleep, 60); {last_words}")
    began = time.monotonic()
    assert ended(process)[0] == status
    assert time.monotonic() - began < 10


def test_a_thread_that_finishes_in_time_is_waited_for() -> None:
    """It may be cleaning up."""
    process = start(
        "asyncio.get_running_loop().run_in_executor(None, lambda: __import__('time').sleep(0.3) or print(7))"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "7\n"
    assert ended(process)[:2] == (0, ["daemon_ended"])
