"""The journal: what it remembers, what it refuses, and that its numbers only grow."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agentd import journal as module
from agentd.clock import BootOffset
from agentd.journal import Identity, Journal, Leftover, open_journal
from agentd.journal_thread import JournalFailure
from protocol.actions import Action, ActionOrder, Spawn, Terminate
from protocol.backend_state import (
    BackendState,
    BackendStatus,
    Loading,
    Ready,
    Terminated,
    TerminationKind,
    TerminationReason,
)
from protocol.drone_messages import BackendEvent
from protocol.spawn import Executable
from tests.unit.agentd.journals import inline_journal

ADDRESS = "10.0.0.7:49153"
ENDED = Terminated(BackendStatus.READY, None, None, 0)


@pytest.fixture
async def journal() -> AsyncIterator[Journal]:
    kept = inline_journal()
    yield kept
    await kept.close()


def spawn(action: str, backend: str) -> ActionOrder:
    """Return an order with something secret in it."""
    executable = Executable(image="image", env={"PASSWORD": "sesame"})
    return ActionOrder(action, backend, 1, Action(spawn=Spawn(executable, None, "s.sesame")))


def terminate(action: str, backend: str) -> ActionOrder:
    """Return an order to end a backend."""
    order = Terminate(TerminationKind.SOFT, TerminationReason.EXTERNAL)
    return ActionOrder(action, backend, 1, Action(terminate=order))


async def test_an_order_is_new_once(journal: Journal) -> None:
    """By its id, within one delivery and over many; and a backend is spawned once, whatever the id of the order."""
    orders = [spawn("ak-1", "b1"), spawn("ak-1", "b1"), spawn("ak-2", "b1"), terminate("ak-3", "b1")]
    assert [taken.is_new for taken in await journal.take(orders)] == [True, False, False, True]
    assert [taken.is_new for taken in await journal.take(orders)] == [False] * 4


async def test_reports_are_kept_in_order_until_acknowledged(journal: Journal) -> None:
    """Read in pages; what was acknowledged does not come again."""
    lived: list[BackendState] = [Loading(), Ready(ADDRESS), ENDED]
    ids = [await journal.record("b1", state, timestamp=100 + n) for n, state in enumerate(lived)]
    assert ids == sorted(set(ids))
    assert await journal.unthanked(after=0, limit=2) == [
        BackendEvent(ids[0], "b1", Loading(), 100),
        BackendEvent(ids[1], "b1", Ready(ADDRESS), 101),
    ]
    await journal.forget([ids[0], ids[1], 4711])
    assert [event.event_id for event in await journal.unthanked(after=0, limit=9)] == ids[2:]
    assert await journal.unthanked(after=ids[2], limit=9) == []


async def test_event_ids_grow_over_restarts(tmp_path: Path) -> None:
    """Also when everything was acknowledged and deleted before."""
    first = inline_journal(tmp_path / "journal")
    number = await first.record("b1", Loading(), timestamp=1)
    await first.forget([number])
    await first.close()
    second = inline_journal(tmp_path / "journal")
    assert await second.record("b1", ENDED, timestamp=2) > number
    await second.close()


async def test_it_knows_how_a_backend_ended(journal: Journal) -> None:
    """And whether the controller still waits to hear of it."""
    assert await journal.ended_state("b1") == (None, False)
    await journal.record("b1", Loading(), timestamp=1)
    assert await journal.ended_state("b1") == (None, True)
    await journal.record("b1", ENDED, timestamp=2)
    assert await journal.ended_state("b1") == (ENDED, True)
    await journal.forget([1, 2])
    assert await journal.ended_state("b1") == (ENDED, False)


async def test_it_knows_what_an_earlier_run_left(journal: Journal) -> None:
    """Everything that was taken up and has no end, with the last state that was reported."""
    await journal.take([spawn("ak-1", "b1"), spawn("ak-2", "b2"), spawn("ak-3", "b3"), terminate("ak-4", "b4")])
    await journal.record("b2", Ready(ADDRESS), timestamp=1)
    await journal.record("b3", ENDED, timestamp=2)
    left = [Leftover("b1", None), Leftover("b2", Ready(ADDRESS)), Leftover("b4", None)]
    assert await journal.leftovers() == left


async def test_a_spawn_that_comes_after_the_end_is_not_new(journal: Journal) -> None:
    """Neither when the end was reported, nor when the order to end came first, even in the same delivery."""
    await journal.record("b1", ENDED, timestamp=1)
    orders = [spawn("ak-1", "b1"), terminate("ak-2", "b2"), spawn("ak-3", "b2")]
    assert [taken.is_new for taken in await journal.take(orders)] == [False, True, False]


async def test_it_does_not_grow_for_ever(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old orders and ended backends are forgotten; what still lives is not."""
    monkeypatch.setattr(module, "REMEMBERED", 5)
    await journal.take([spawn("ak-live", "live")])
    for number in range(20):
        await journal.take([spawn(f"ak-{number}", f"b{number}")])
        await journal.record(f"b{number}", ENDED, timestamp=number)
    assert await journal.leftovers() == [Leftover("live", None)]
    taken = await journal.take([spawn("ak-0", "b0"), spawn("ak-19", "b19"), spawn("ak-x", "live")])
    assert [one.is_new for one in taken] == [True, False, False]


async def test_whose_journal_it_is(journal: Journal) -> None:
    """It has one id and one name for ever; a drawn name gives way to the one it has, a given one is refused."""
    first = await journal.identify("dr-a", "c1", insists=False)
    assert await journal.identify("dr-a", "c1", insists=True) == first
    assert await journal.identify("dr-b", "c1", insists=False) == Identity("dr-a", first.instance)
    with pytest.raises(JournalFailure, match="belongs to dr-a in c1"):
        await journal.identify("dr-b", "c1", insists=True)
    with pytest.raises(JournalFailure, match="belongs to dr-a in c1"):
        await journal.identify("dr-a", "c2", insists=False)


async def test_the_clock_keeps_its_offset_until_the_next_boot(journal: Journal) -> None:
    """Whatever the wall clock says meanwhile."""
    assert await journal.settle_clock("boot-1", wall=1000, since_boot=10) == BootOffset("boot-1", 990)
    assert await journal.settle_clock("boot-1", wall=999_000, since_boot=20) == BootOffset("boot-1", 990)
    assert await journal.settle_clock("boot-2", wall=2000, since_boot=5) == BootOffset("boot-2", 1995)
    assert await journal.settle_clock("boot-2", wall=0, since_boot=6) == BootOffset("boot-2", 1995)


async def test_only_its_owner_may_read_it_and_it_holds_no_secrets(tmp_path: Path) -> None:
    """Mode 0600 on all its files, also where a wider file was there before; nothing of environment or tokens."""
    path = tmp_path / "journal"
    path.touch(0o666)
    kept = open_journal(path)
    await kept.take([spawn("ak-1", "b1")])
    await kept.record("b1", Loading(), timestamp=1)
    assert modes_of(tmp_path) == {0o600}
    assert b"sesame" not in contents_of(tmp_path)
    await kept.close()


def modes_of(folder: Path) -> set[int]:
    """Return the modes of all files in a folder."""
    return {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


def contents_of(folder: Path) -> bytes:
    """Return all that is in the files of a folder."""
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def test_a_journal_is_used_by_one_agent_at_a_time(tmp_path: Path) -> None:
    """The second is told so."""
    kept = open_journal(tmp_path / "journal")
    with pytest.raises(JournalFailure, match="another agent"):
        open_journal(tmp_path / "journal")
    await kept.close()
    await open_journal(tmp_path / "journal").close()


async def test_damage_and_wrong_places_are_told_clearly(tmp_path: Path) -> None:
    """One sentence with the file's name, whatever is wrong."""
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"this is no database" * 100)
    with pytest.raises(JournalFailure, match=r"journal .*damaged is damaged.*move it away"):
        open_journal(damaged)
    with pytest.raises(JournalFailure, match=r"journal .* cannot be opened: No such file or directory"):
        open_journal(tmp_path / "nowhere" / "journal")
    with pytest.raises(JournalFailure, match="cannot be opened"):
        open_journal(tmp_path)


async def test_a_full_disk_is_not_blamed_on_another_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence says what SQLite said, and leads nobody astray."""

    def connect_on_a_full_disk(_: str) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.execute("pragma max_page_count = 1")
        connection.execute("create table a (b)")
        raise AssertionError("the disk is full")

    monkeypatch.setattr(module, "connect", connect_on_a_full_disk)
    with pytest.raises(JournalFailure, match="disk is full") as caught:
        open_journal(tmp_path / "journal")
    assert "another agent" not in str(caught.value)


async def test_what_was_answered_survives_a_power_cut(tmp_path: Path) -> None:
    """Each commit is on the disk: a write-ahead log, synchronised each time."""
    connection = module.connect(str(tmp_path / "journal"))
    assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
    assert connection.execute("pragma synchronous").fetchone() == (2,)
    connection.close()


async def test_a_journal_of_a_later_version_is_not_touched(tmp_path: Path) -> None:
    """Going back needs a decision."""
    path = tmp_path / "journal"
    connection = module.connect(str(path))
    connection.execute("pragma user_version = 99")
    connection.close()
    with pytest.raises(JournalFailure, match="later version"):
        open_journal(path)
