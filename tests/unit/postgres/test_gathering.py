"""Gathering into batches: order, answers, failures; without a database."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postgres.gathering import Gatherer, Notes
from postgres.pool import DatabaseUnavailable


class Recorder:
    """Carries out batches by remembering them, after failing as often as told."""

    def __init__(self, failures: int = 0, error: Exception | None = None) -> None:
        self.batches: list[list[tuple[str, int]]] = []
        self.failures = failures
        self.error = error or DatabaseUnavailable("away")

    async def carry_out(self, items: Sequence[tuple[str, int]]) -> list[int]:
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise self.error
        self.batches.append(list(items))
        return [number * 10 for _, number in items]


def make(recorder: Recorder, patience: float = 5.0) -> Gatherer[tuple[str, int], int]:
    return Gatherer("test", recorder.carry_out, every=0.0, patience=patience)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers()), max_size=30))
def test_items_of_one_key_are_carried_out_in_order_and_never_in_one_batch(items: list[tuple[str, int]]) -> None:
    """Parallel across keys, in order within one; and each item gets its own answer."""

    async def story() -> None:
        recorder = Recorder()
        gatherer = make(recorder)
        answers = await asyncio.gather(*(gatherer.submit(key, (key, number)) for key, number in items))
        assert answers == [number * 10 for _, number in items]
        for batch in recorder.batches:
            assert len({key for key, _ in batch}) == len(batch)
        for key in "abc":
            done = [number for batch in recorder.batches for each, number in batch if each == key]
            assert done == [number for each, number in items if each == key]
        # As few batches as the longest key needs.
        assert len(recorder.batches) == max((sum(each == key for each, _ in items) for key in "abc"), default=0)

    asyncio.run(story())


async def test_a_batch_is_tried_again_until_the_database_is_back() -> None:
    """Also after a deadlock, which is a neighbour's fault."""
    for error in (DatabaseUnavailable("away"), psycopg.errors.DeadlockDetected("circle")):
        recorder = Recorder(failures=3, error=error)
        assert await make(recorder).submit("a", ("a", 1)) == 10


async def test_patience_ends() -> None:
    """Whoever waits is told, and what comes later is tried afresh."""
    recorder = Recorder(failures=1)
    gatherer = make(recorder, patience=-1.0)
    with pytest.raises(DatabaseUnavailable):
        await gatherer.submit("a", ("a", 1))
    assert await gatherer.submit("a", ("a", 2)) == 20


async def test_an_item_that_the_database_refuses_does_not_take_its_neighbours_along() -> None:
    """They are carried out one by one."""
    done: list[int] = []

    async def carry_out(items: Sequence[int]) -> list[int]:
        if 13 in items:
            raise psycopg.errors.CheckViolation("no")
        done.extend(items)
        return list(items)

    gatherer = Gatherer("test", carry_out, every=0.0, patience=0.0)
    futures = [gatherer.submit(number, number) for number in (11, 12, 13, 14)]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [result for result in results if isinstance(result, int)] == [11, 12, 14] == done
    assert isinstance(results[2], psycopg.errors.CheckViolation)


async def test_who_no_longer_waits_does_not_disturb() -> None:
    """A future that was cancelled is left alone; the others get their answers."""
    gatherer = make(Recorder())
    first, second = gatherer.submit("a", ("a", 1)), gatherer.submit("b", ("b", 2))
    first.cancel()
    assert await second == 20


async def test_notes_keep_the_last_word_on_each_key_and_survive_an_outage() -> None:
    """One statement for many, and none lost while the database is away."""
    written: list[dict[str, int]] = []
    failures = [True]
    done = asyncio.Event()

    async def write(notes: Mapping[str, int]) -> None:
        if failures:
            failures.pop()
            raise DatabaseUnavailable("away")
        written.append(dict(notes))
        done.set()

    notes = Notes("test", write, every=0.0, at_most=3)
    for number in range(5):
        notes.note("a", number)
        notes.note("b", number)
    notes.note("c", 1)
    notes.note("too many", 1)
    await done.wait()
    assert written == [{"a": 4, "b": 4, "c": 1}]
