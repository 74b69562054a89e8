"""
What this drone did and has not been thanked for, and which orders it has taken up: kept in SQLite.

Holds no environment, no credentials and no tokens. Without a file it lives in memory, and the drone has no instance id.
"""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentd.clock import BootOffset, choose_offset
from agentd.journal_thread import JournalFailure, JournalThread, OperationRunner
from protocol.actions import ActionOrder, Spawn
from protocol.backend_state import BackendState, Terminated
from protocol.codec import decode, encode
from protocol.drone_messages import BackendEvent

SCHEMA_VERSION = 1
#: How many orders and ended backends are remembered, so that late repetitions are still known.
REMEMBERED = 10_000

_SCHEMA = """
create table if not exists fact (name text primary key, value text not null) strict;
create table if not exists report (
    event_id integer primary key autoincrement,
    backend text not null, state text not null, timestamp integer not null
) strict;
create table if not exists seen_order (number integer primary key, action_id text not null unique) strict;
create table if not exists backend (
    number integer primary key, name text not null unique,
    state text, ended integer not null default 0
) strict;
create index if not exists report_by_backend on report (backend);
"""


@dataclass(frozen=True)
class Identity:
    """Whose journal it is, and the id of the journal itself, made once."""

    name: str
    instance: str


@dataclass(frozen=True)
class Taken:
    """What the journal says of an order: whether it is to be carried out, or only to be acknowledged again."""

    order: ActionOrder
    is_new: bool


@dataclass(frozen=True)
class Leftover:
    """A backend that an earlier run took up and never reported as ended."""

    name: str
    state: BackendState | None  #: the last one that was reported


class Journal:
    """The agent's memory. Every answer is on the disk before it is given."""

    def __init__(self, runner: OperationRunner) -> None:
        self._runner = runner

    async def close(self) -> None:
        """Write what was handed in, and close."""
        await self._runner.close()

    async def identify(self, name: str, cluster: str, *, insists: bool) -> Identity:
        """
        Return whose journal this is; a new one takes this name, an old one keeps its own.

        Raises:
            JournalFailure: the journal belongs to another drone.
        """

        def run(connection: sqlite3.Connection) -> tuple[Identity, str]:
            owner = Identity(
                _fact(connection, "drone", default=name), _fact(connection, "instance", default=str(uuid.uuid4()))
            )
            return owner, _fact(connection, "cluster", default=cluster)

        owner, home = await self._runner.submit(run)
        if (insists and owner.name != name) or home != cluster:
            raise JournalFailure(
                f"the journal belongs to {owner.name} in {home}; use another file for {name} in {cluster}"
            )
        return owner

    async def settle_clock(self, boot_id: str, *, wall: int, since_boot: int) -> BootOffset:
        """Return the clock's offset for this boot, the same for every run since."""

        def run(connection: sqlite3.Connection) -> BootOffset:
            row = connection.execute("select value from fact where name = 'clock'").fetchone()
            kept = None if row is None else decode(row[0], BootOffset)
            chosen = choose_offset(kept, boot_id, wall=wall, since_boot=since_boot)
            if chosen != kept:
                values = ("clock", encode(chosen).decode())
                connection.execute("insert or replace into fact (name, value) values (?, ?)", values)
            return chosen

        return await self._runner.submit(run)

    async def take(self, orders: Sequence[ActionOrder]) -> list[Taken]:
        """Note orders; each is new once, by its id, and each backend is spawned once, whatever the order's id."""

        def run(connection: sqlite3.Connection) -> list[Taken]:
            return [Taken(order, _take(connection, order)) for order in orders]

        return await self._runner.submit(run)

    async def record(self, backend: str, state: BackendState, *, timestamp: int) -> int:
        """Note a report and return its event id, which is larger than all before it, over restarts too."""
        values = (backend, encode(state).decode(), timestamp)

        def run(connection: sqlite3.Connection) -> int:
            cursor = connection.execute("insert into report (backend, state, timestamp) values (?, ?, ?)", values)
            ended = isinstance(state, Terminated)
            statement = (
                "insert into backend (name, state, ended) values (?, ?, ?)"
                " on conflict (name) do update set state = excluded.state, ended = excluded.ended"
            )
            connection.execute(statement, (backend, values[1], ended))
            if ended:
                _prune(connection)
            assert cursor.lastrowid is not None
            return cursor.lastrowid

        return await self._runner.submit(run)

    async def ended_state(self, backend: str) -> tuple[Terminated | None, bool]:
        """Return how a backend ended, if it is known, and whether a report about it still waits for its thanks."""

        def run(connection: sqlite3.Connection) -> tuple[Terminated | None, bool]:
            row = connection.execute("select state from backend where name = ? and ended", (backend,)).fetchone()
            state = None if row is None else decode(row[0], Terminated)
            waits = connection.execute("select 1 from report where backend = ?", (backend,)).fetchone()
            return state, waits is not None

        return await self._runner.submit(run)

    async def unthanked(self, *, after: int, limit: int) -> list[BackendEvent]:
        """Return the oldest reports that were not acknowledged, beyond an event id."""

        def run(connection: sqlite3.Connection) -> list[BackendEvent]:
            statement = (
                "select event_id, backend, state, timestamp from report where event_id > ? order by event_id limit ?"
            )
            rows = connection.execute(statement, (after, limit))
            return [BackendEvent(row[0], row[1], decode(row[2], BackendState), row[3]) for row in rows]  # type: ignore[arg-type]

        return await self._runner.submit(run)

    async def forget(self, event_ids: Sequence[int]) -> None:
        """Delete reports that were acknowledged."""

        def run(connection: sqlite3.Connection) -> None:
            connection.executemany("delete from report where event_id = ?", [(event_id,) for event_id in event_ids])

        await self._runner.submit(run)

    async def leftovers(self) -> list[Leftover]:
        """Return the backends of earlier runs that were taken up and not reported as ended."""

        def run(connection: sqlite3.Connection) -> list[Leftover]:
            rows = connection.execute("select name, state from backend where not ended order by number")
            return [Leftover(name, None if state is None else decode(state, BackendState)) for name, state in rows]  # type: ignore[arg-type]

        return await self._runner.submit(run)


def open_journal(path: Path | None) -> Journal:
    """
    Open a journal, or begin one; None for one in memory.

    Raises:
        JournalFailure: the file cannot be made, is damaged, is of a later version, or is in use.
    """
    where = "in memory" if path is None else str(path)
    try:
        if path is not None:
            # The mode counts from the first moment, and SQLite gives its side files the mode of this one.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            path.chmod(0o600)
        return Journal(JournalThread(connect(":memory:" if path is None else str(path))))
    except OSError as error:
        raise JournalFailure(f"the journal {where} cannot be opened: {error.strerror}") from error
    except sqlite3.OperationalError as error:
        hint = "; does another agent use it?" if error.sqlite_errorcode == sqlite3.SQLITE_BUSY else ""
        raise JournalFailure(f"the journal {where} cannot be used ({error}){hint}") from error
    except sqlite3.DatabaseError as error:
        raise JournalFailure(f"the journal {where} is damaged ({error}); move it away to begin a new one") from error


def connect(database: str) -> sqlite3.Connection:
    """Open a database, or make one; what is wrong with it is raised as SQLite's own errors."""
    connection = sqlite3.connect(database, timeout=1.0, isolation_level=None, check_same_thread=False)
    try:
        for pragma in ("locking_mode = exclusive", "journal_mode = wal", "synchronous = full"):
            connection.execute(f"pragma {pragma}")
        _check(connection)
        connection.executescript(f"begin exclusive; {_SCHEMA} pragma user_version = {SCHEMA_VERSION}; commit;")
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("pragma user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise JournalFailure(f"the journal was written by a later version (its format is {version})")
    (verdict,) = connection.execute("pragma quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)


def _fact(connection: sqlite3.Connection, name: str, *, default: str) -> str:
    connection.execute("insert or ignore into fact (name, value) values (?, ?)", (name, default))
    row: Any = connection.execute("select value from fact where name = ?", (name,)).fetchone()
    return str(row[0])


def _take(connection: sqlite3.Connection, order: ActionOrder) -> bool:
    cursor = connection.execute("insert or ignore into seen_order (action_id) values (?)", (order.action_id,))
    if cursor.rowcount == 0:
        return False
    if order.backend_id is None:
        return True
    # Also for one that is only to end: a spawn order that comes after that must not bring it to life.
    cursor = connection.execute("insert or ignore into backend (name) values (?)", (order.backend_id,))
    return cursor.rowcount == 1 or not isinstance(order.action.variant, Spawn)


def _prune(connection: sqlite3.Connection) -> None:
    connection.execute("delete from seen_order where number <= (select max(number) from seen_order) - ?", (REMEMBERED,))
    connection.execute(
        "delete from backend where ended and number <= (select max(number) from backend) - ?", (REMEMBERED,)
    )
