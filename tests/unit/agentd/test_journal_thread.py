"""The thread before the database."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial

import pytest

from agentd.journal_thread import JournalFailure, JournalThread


def open_memory() -> sqlite3.Connection:
    """Open a database that counts."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.execute("create table number (value integer primary key)")
    return connection


def insert(value: int, connection: sqlite3.Connection) -> int:
    """Insert a number that must not be there yet."""
    connection.execute("insert into number values (?)", (value,))
    return value


async def test_operations_run_in_order_and_give_their_results() -> None:
    """Also those that were handed in together and share a commit, and those handed in just before the end."""
    thread = JournalThread(open_memory())
    futures = [thread.submit(partial(insert, number)) for number in range(500)]
    count = thread.submit(lambda c: c.execute("select count(*), max(value) from number").fetchone())
    await thread.close()
    assert [future.result() for future in futures] == list(range(500))
    assert count.result() == (500, 499)


async def test_a_failure_is_told_to_all_that_shared_the_commit_and_to_nobody_else() -> None:
    """Nothing of a failed commit is kept, and the thread goes on."""
    thread = JournalThread(open_memory())
    assert await thread.submit(lambda c: insert(1, c)) == 1
    with pytest.raises(JournalFailure, match="UNIQUE"):
        await thread.submit(lambda c: insert(1, c))
    with pytest.raises(JournalFailure, match="ours"):
        await thread.submit(lambda _: (_ for _ in ()).throw(ValueError("ours")))
    assert await thread.submit(lambda c: insert(2, c)) == 2
    await thread.close()


async def test_who_stops_waiting_does_no_harm() -> None:
    """A cancelled future is left alone; its operation may have happened."""
    thread = JournalThread(open_memory())
    waiting = thread.submit(lambda c: insert(1, c))
    waiting.cancel()
    assert await thread.submit(lambda c: insert(2, c)) == 2
    await thread.close()
    assert waiting.cancelled()
    await asyncio.sleep(0)
