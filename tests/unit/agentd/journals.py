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
    """Carries out operations where they are handed in."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def submit(self, operation: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self.connection:
            future.set_result(operation(self.connection))
        return future

    async def close(self) -> None:
        self.connection.close()


def inline_journal(path: Path | None = None) -> Journal:
    """Open a journal that needs no thread."""
    return Journal(InlineRunner(connect(":memory:" if path is None else str(path))))
