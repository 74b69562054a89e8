"""
Gathers what arrives one by one and gives it to the database in batches, so that work per second stays bounded.

`Gatherer` answers each item; items with the same key are never in one batch, and are carried out in order; the first of
a burst goes at once, what comes meanwhile goes together. `Notes` keeps only the last word on each key and answers
nobody. Neither knows what is done with a batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from random import Random, SystemRandom
from typing import Final, Generic, TypeVar

import psycopg
import structlog

from postgres.pauses import pause_before
from postgres.pool import DatabaseUnavailable

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

_log = structlog.get_logger(__name__)

#: Most items in one statement.
AT_MOST: Final = 500
#: What passes by itself: no connection, or a neighbour's lock. The statements here may all be repeated.
_PASSING: Final = (DatabaseUnavailable, psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)


class Gatherer(Generic[Item, Answer]):
    """Carries out items in batches, one batch at a time, and answers each."""

    def __init__(
        self,
        name: str,
        carry_out: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        every: float,
        patience: float,
        dice: Random | None = None,
    ) -> None:
        self._name = name
        self._carry_out = carry_out
        self._every = every  #: seconds between batches, at least
        self._patience = patience  #: seconds for which a batch is tried again while the database is away
        self._dice = dice or SystemRandom()
        self._waiting: dict[Hashable, list[tuple[Item, asyncio.Future[Answer]]]] = {}
        self._task: asyncio.Task[None] | None = None

    def submit(self, key: Hashable, item: Item) -> asyncio.Future[Answer]:
        """
        Have an item carried out after all earlier ones of its key.

        The future fails with `DatabaseUnavailable` when patience has run out, and with what else went wrong.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append((item, future))
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        return future

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._settle(self._next_batch())
                await asyncio.sleep(self._every)
        finally:
            self._task = None

    def _next_batch(self) -> list[tuple[Item, asyncio.Future[Answer]]]:
        """Take the first item of each key, longest waiting keys first."""
        batch = []
        for key in list(self._waiting)[:AT_MOST]:
            items = self._waiting.pop(key)
            batch.append(items.pop(0))
            if items:
                self._waiting[key] = items
        return batch

    async def _settle(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._try_for_a_while([item for item, _ in batch])
        except _PASSING as error:
            _refuse(batch, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told
            if len(batch) == 1:
                _log.exception("gathered_item_failed", gatherer=self._name)
                _refuse(batch, error)
                return
            # One item that the database refuses must not take its neighbours along.
            for single in batch:
                await self._settle([single])
        else:
            assert len(answers) == len(batch), f"{self._name} left items without an answer"
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)

    async def _try_for_a_while(self, items: Sequence[Item]) -> Sequence[Answer]:
        clock = asyncio.get_running_loop().time
        limit = clock() + self._patience
        attempt = 0
        while True:
            try:
                return await self._carry_out(items)
            except _PASSING as error:
                if clock() > limit:
                    _log.warning("gathered_batch_given_up", gatherer=self._name, items=len(items), error=str(error))
                    raise
            await asyncio.sleep(pause_before(attempt, self._dice))
            attempt += 1


def _refuse(batch: list[tuple[Item, asyncio.Future[Answer]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)


class Notes(Generic[Key, Value]):
    """Writes down the last word on each key, all at once, now and then. Kept while the database is away."""

    def __init__(
        self,
        name: str,
        write: Callable[[Mapping[Key, Value]], Awaitable[object]],
        *,
        every: float,
        at_most: int = 50_000,
    ) -> None:
        self._name = name
        self._write = write
        self._every = every
        self._at_most = at_most  #: notes kept; what is beyond is dropped, as it will be said again
        self._notes: dict[Key, Value] = {}
        self._task: asyncio.Task[None] | None = None

    def note(self, key: Key, value: Value) -> None:
        """Have this written, unless something newer about the same key comes first."""
        if len(self._notes) >= self._at_most and key not in self._notes:
            return
        self._notes[key] = value
        if self._task is None:
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._notes:
                await asyncio.sleep(self._every)
                keys = list(self._notes)[:AT_MOST]
                page = {key: self._notes.pop(key) for key in keys}
                try:
                    await self._write(page)
                except _PASSING as error:
                    _log.warning("notes_kept_back", notes=self._name, count=len(page), error=str(error))
                    self._notes = page | self._notes
                    await asyncio.sleep(1.0)
                except Exception:  # noqa: BLE001 - they will be said again
                    _log.exception("notes_lost", notes=self._name, count=len(page))
        finally:
            self._task = None
