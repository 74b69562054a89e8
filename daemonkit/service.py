"""
The life of a daemon's process: one asynchronous main under the reactor, ended by signals, judged by an exit status.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, cast

import structlog

from daemonkit import reactor as our_reactor

if TYPE_CHECKING:
    from twisted.internet.asyncioreactor import AsyncioSelectorReactor

log = structlog.get_logger(__name__)

#: Seconds that threads have to finish what they do once the daemon has ended: one may wait for a peer that hangs.
THREAD_PATIENCE = 1.0

#: A daemon's main: returns when it has ended cleanly, soon after the event is set.
Main = Callable[[asyncio.Event], Awaitable[None]]


class CannotServe(Exception):
    """The daemon cannot do its job; the message is one clear sentence for the operator."""


def run(main: Main) -> int:
    """
    Run a daemon in this process until it ends, and return its exit status.

    SIGTERM and SIGINT set the event that `main` was given; a second signal cancels it. To be called once in a process.
    """
    loop = our_reactor.install()
    from twisted.internet import reactor as installed  # exists only now

    reactor = cast("AsyncioSelectorReactor", installed)
    outcome: list[int] = []

    async def live() -> None:
        try:
            outcome.append(await _judged(main))
        finally:
            reactor.stop()  # type: ignore[no-untyped-call]

    task = loop.create_task(live())
    # Twisted's own signal handlers would stop the reactor under our feet.
    reactor.run(installSignalHandlers=False)  # type: ignore[no-untyped-call]
    assert task.done(), "the reactor stopped before the daemon"
    status = outcome[0] if outcome else 1
    _set_limit_to_threads(status)
    return status


def _set_limit_to_threads(status: int) -> None:
    """Have this process end even if one of its threads does not; Python itself would wait for each of them."""

    def leave() -> None:
        log.warning("threads_given_up", threads=sorted(thread.name for thread in threading.enumerate()))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    limit = threading.Timer(THREAD_PATIENCE, leave)
    limit.daemon = True
    limit.start()


async def _judged(main: Main) -> int:
    stopping = asyncio.Event()
    running = asyncio.ensure_future(main(stopping))
    with _signals(stopping, running):
        try:
            await running
        except CannotServe as reason:
            log.error("daemon_failed", reason=str(reason))  # noqa: TRY400 - no bug of ours, and no traceback
            print(f"Error: {reason}", file=sys.stderr)  # noqa: T201 - for who started it by hand
            return 1
        except asyncio.CancelledError:
            log.warning("daemon_interrupted")
            return 1
        except Exception:
            log.exception("daemon_crashed")
            return 1
    log.info("daemon_ended")
    return 0


@contextlib.contextmanager
def _signals(stopping: asyncio.Event, running: asyncio.Future[None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def ask(number: signal.Signals) -> None:
        log.info("signal_received", signal=number.name)
        if stopping.is_set():
            running.cancel()
        stopping.set()

    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, ask, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
