"""
Notices containers that end: from the engine's event stream at once, and from a list of all of them for certain.

After each reconnect, and at intervals, everything is listed, so whatever ended unheard is found. Each end is told at
least once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

import structlog
from docker import APIClient

from agentd.runtime.docker.containers import condition_of, find, list_containers
from agentd.runtime.docker.engine import Engine
from agentd.runtime.docker.engine_events import Destroyed, Died, parse_event
from agentd.runtime.docker.event_stream import EventStream
from agentd.runtime.docker.exit_ledger import ExitLedger, Listed, Vanished
from agentd.runtime.interface import Condition, Exited, ExitListener, RuntimeFailure

_log = structlog.get_logger(__name__)

LIST_INTERVAL: Final = 5.0  # seconds
_CONNECT_LIMIT: Final = 10.0  # seconds


class EngineWatch:
    """Tells one listener of every container of a drone that ends. Lives on the loop."""

    def __init__(self, engine: Engine, stream: EventStream, *, drone: str) -> None:
        self._engine = engine
        self._drone = drone
        self._stream = stream
        self._ledger = ExitLedger()
        self._held: dict[str, list[tuple[str, int | None]]] = {}
        self._list_now = asyncio.Event()
        self._listing: asyncio.Task[None] | None = None
        self._listener: ExitListener | None = None

    async def open(self, listener: ExitListener) -> None:
        """
        Begin to watch, and return when nothing can be missed any more.

        Raises:
            RuntimeFailure: the engine sends no events.
        """
        loop = asyncio.get_running_loop()
        self._listener = listener
        self._stream.start(_on_loop(loop, self._list_now.set), _on_loop(loop, self._heard))
        try:
            async with asyncio.timeout(_CONNECT_LIMIT):
                await self._list_now.wait()
        except TimeoutError as error:
            self._stream.stop()
            raise RuntimeFailure("the engine sends no events") from error
        self._listing = asyncio.create_task(self._list_for_ever())

    async def close(self) -> None:
        """Stop watching; nothing is told any more."""
        self._listener = None
        self._stream.stop()
        if self._listing is not None:
            self._listing.cancel()
            await asyncio.wait([self._listing])

    def start_begun(self, backend: str) -> None:
        """Hold back ends of this backend: the engine reports one even for a container that could not be started."""
        self._held[backend] = []

    def start_failed(self, backend: str, container_id: str | None) -> None:
        """Forget what was held back, and what may still be heard: there was no life to end."""
        self._held.pop(backend, None)
        if container_id is not None:
            self._ledger.ended(container_id)

    def start_done(self, backend: str, container_id: str) -> None:
        """Note that a container runs, so that its end is missed if nothing tells of it; and tell what was held back."""
        self._ledger.started(container_id, backend)
        for held_id, exit_code in self._held.pop(backend, []):
            self.ended(held_id, backend, exit_code=exit_code)

    def ended(self, container_id: str, backend: str, *, exit_code: int | None) -> None:
        """Note an end that was seen, and tell it unless it has been told."""
        if backend in self._held:
            self._held[backend].append((container_id, exit_code))
        elif self._ledger.ended(container_id):
            self._tell(backend, exit_code)

    def _heard(self, raw: Mapping[str, Any]) -> None:
        match parse_event(raw, self._drone):
            case Died(container_id, backend, exit_code):
                self.ended(container_id, backend, exit_code=exit_code)
            case Destroyed(container_id, backend):
                if self._ledger.destroyed(container_id):
                    self._tell(backend, None)
            case None:
                pass

    def _tell(self, backend: str, exit_code: int | None) -> None:
        if self._listener is not None:
            self._listener(backend, exit_code)

    async def _list_for_ever(self) -> None:
        while True:
            self._list_now.clear()
            try:
                await self._compare()
            except RuntimeFailure as failure:
                _log.warning("containers_not_listed", error=str(failure))
            with suppress(TimeoutError):
                async with asyncio.timeout(LIST_INTERVAL):
                    await self._list_now.wait()

    async def _compare(self) -> None:
        known_before = self._ledger.known()
        rows = await self._engine.call(partial(list_containers, drone=self._drone))
        for missed in self._ledger.compare(rows, known_before):
            match missed:
                case Vanished(_, backend):
                    _log.warning("container_vanished", backend=backend)
                    self._tell(backend, None)
                case Listed(container_id, backend):
                    await self._look_at(container_id, backend)

    async def _look_at(self, container_id: str, backend: str) -> None:
        def look(client: APIClient) -> Condition:
            return condition_of(find(client, backend, drone=self._drone))

        condition = await self._engine.call(look)
        _log.info("container_exit_found", backend=backend)
        exit_code = condition.exit_code if isinstance(condition, Exited) else None
        self.ended(container_id, backend, exit_code=exit_code)


def _on_loop(loop: asyncio.AbstractEventLoop, target: Callable[..., None]) -> Callable[..., None]:
    """Return a function that other threads may call; what it is told after the loop's end is nobody's concern."""

    def call(*arguments: object) -> None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(target, *arguments)

    return call
