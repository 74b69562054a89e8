"""
A journal without a thread, for tests that start none: operations run at once, in memory or in a file.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from agentd.journal import Journal, connect

T = TypeVar("T")


class InlineRunner:
    """Carries out operations where they are handed in; the answers come a little later."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def submit(self, operation: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self.connection:
            result = operation(self.connection)
        # Not at once: whoever waits for a journal must bear that the world moves on meanwhile.
        loop.call_soon(loop.call_soon, _settle, future, result)
        return future

    async def close(self) -> None:
        self.connection.close()


def _settle(future: asyncio.Future[T], result: T) -> None:
    if not future.cancelled():
        future.set_result(result)


def inline_journal(path: Path | None = None) -> Journal:
    """Open a journal that needs no thread."""
    return Journal(InlineRunner(connect(":memory:" if path is None else str(path))))
