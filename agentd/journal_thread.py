"""
The one thread that touches the journal's database, so that the loop never waits for a disk.

Operations run in the order they were handed in; those that wait together share one commit.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

Operation = Callable[[sqlite3.Connection], Any]

_MOST_AT_ONCE = 200


class JournalFailure(Exception):
    """The journal cannot be used; the message is for the operator."""


class OperationRunner(Protocol):
    """Whatever carries out operations on the journal's database, in order."""

    def submit(self, operation: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Queue an operation; the future has its result once it is on the disk, or JournalFailure."""

    async def close(self) -> None:
        """Carry out what was handed in, and close the database."""


class JournalThread:
    """Runs operations on a connection that nobody else uses from now on."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._queue: queue.SimpleQueue[tuple[Operation, asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def submit(self, operation: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put((operation, future))
        return future

    async def close(self) -> None:
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        is_last = False
        while not is_last:
            batch, is_last = self._next_batch()
            outcome = self._carry_out([operation for operation, _ in batch])
            futures = [future for _, future in batch]
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(_settle, futures, outcome)
        self._connection.close()

    def _next_batch(self) -> tuple[list[tuple[Operation, asyncio.Future[Any]]], bool]:
        batch = []
        item = self._queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) == _MOST_AT_ONCE or self._queue.empty():
                return batch, False
            item = self._queue.get()
        return batch, True

    def _carry_out(self, operations: list[Operation]) -> list[Any] | JournalFailure:
        try:
            self._connection.execute("begin immediate")
            results = [operation(self._connection) for operation in operations]
            self._connection.execute("commit")
        except Exception as error:  # noqa: BLE001 - a thread that died silently would stop the agent without a word
            if self._connection.in_transaction:
                self._connection.rollback()
            return JournalFailure(f"the journal cannot be written: {error}")
        return results


def _settle(futures: list[asyncio.Future[Any]], outcome: list[Any] | JournalFailure) -> None:
    for number, future in enumerate(futures):
        if future.cancelled():
            continue
        if isinstance(outcome, JournalFailure):
            future.set_exception(outcome)
        else:
            future.set_result(outcome[number])
