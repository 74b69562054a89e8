"""
The doorbell between controllers, over LISTEN and NOTIFY: it says that something changed, never what.

Ring after the commit, with ids only. Whoever hears it reads the tables. A ring may come twice, late, or (when a
connection broke) never: that costs latency until the next scan, nothing else. Each process has one connection that
rings and one that listens; none of them is the pool's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from random import Random, SystemRandom
from typing import Final

import psycopg
import structlog

from postgres.pauses import pause_before
from postgres.silence import SILENCE_LIMITS

_log = structlog.get_logger(__name__)

CHANNEL: Final = "plane_doorbell"
#: Postgres refuses a payload of 8000 bytes.
PAYLOAD_LIMIT: Final = 7900
#: Rings kept while the database is away. What is beyond is lost: everybody looks when the listeners reconnect.
WAITING_LIMIT: Final = 20_000
#: Most payloads in one statement.
AT_ONCE: Final = 64
#: Seconds for Postgres to take rings.
ANSWER_LIMIT: Final = 10.0

_NOTIFY: Final = "select pg_notify(%s, payload) from unnest(%s::text[]) as payload"

Connection = psycopg.AsyncConnection[tuple[object, ...]]


@dataclass(frozen=True)
class Ring:
    """
    Something changed. With `missed` set nothing may have: the listener was away for a while, so look.

    `ident` is then what was subscribed to, or empty for a subscriber to the whole topic.
    """

    topic: str
    ident: str
    missed: bool = False


Callback = Callable[[Ring], None]


class Bell:
    """Rings. `ring` never blocks; one writer per process (`run`) sends what was rung meanwhile in one statement."""

    def __init__(self, dsn: str, *, gather: float = 0.002, dice: Random | None = None) -> None:
        self._dsn = dsn
        self._gather = gather
        self._dice = dice or SystemRandom()
        self._waiting: dict[tuple[str, str], None] = {}
        self._rung = asyncio.Event()
        self._failures = 0

    def ring(self, topic: str, ident: str) -> None:
        """Tell all controllers, soon. Call it after the commit, from the event loop's thread."""
        assert ident, "a ring names what changed"
        assert not set(topic + ident) & {" ", "\n"}, "a ring carries ids"
        if len(self._waiting) < WAITING_LIMIT:
            self._waiting[topic, ident] = None
        self._rung.set()

    async def run(self) -> None:
        """Send rings until cancelled, over a connection that is made anew when it breaks."""
        while True:
            try:
                async with await _connect(self._dsn) as connection:
                    while True:
                        await self._send_what_was_rung(connection)
                        # The first of a burst goes at once, the rest of it together.
                        await asyncio.sleep(self._gather)
            except (psycopg.Error, OSError, TimeoutError) as error:
                _log.warning("bell_connection_lost", attempt=self._failures, error=str(error))
            await asyncio.sleep(pause_before(self._failures, self._dice))
            self._failures += 1

    async def _send_what_was_rung(self, connection: Connection) -> None:
        await self._rung.wait()
        self._rung.clear()
        rung, self._waiting = self._waiting, {}
        payloads = list(pack(rung))
        try:
            for start in range(0, len(payloads), AT_ONCE):
                values = (CHANNEL, payloads[start : start + AT_ONCE])
                async with asyncio.timeout(ANSWER_LIMIT):
                    await connection.execute(_NOTIFY, values)
        except BaseException:
            self._waiting = dict(list((rung | self._waiting).items())[:WAITING_LIMIT])
            self._rung.set()
            raise
        self._failures = 0


class Doorbell:
    """Hears rings, and tells those who subscribed. One connection per process (`run`)."""

    def __init__(self, dsn: str, *, silence: float = 10.0, dice: Random | None = None) -> None:
        self._dsn = dsn
        self._silence = silence  #: after so many seconds without a ring the connection is asked whether it lives
        self._dice = dice or SystemRandom()
        self._listening = False
        self._subscribers: dict[tuple[str, str | None], dict[object, Callback]] = {}

    @property
    def listening(self) -> bool:
        """Whether rings are heard now."""
        return self._listening

    def subscribe(self, topic: str, ident: str | None, *, tell: Callback) -> Callable[[], None]:
        """
        Tell of each ring of a topic and id (of all ids with None), on the event loop.

        Subscribe first, then read. Returns what ends it. `tell` must neither block nor raise.
        """
        place = (topic, ident)
        handle = object()
        self._subscribers.setdefault(place, {})[handle] = tell

        def unsubscribe() -> None:
            callbacks = self._subscribers.get(place, {})
            callbacks.pop(handle, None)
            if not callbacks:
                self._subscribers.pop(place, None)

        return unsubscribe

    async def run(self) -> None:
        """Listen until cancelled; after each reconnect tell all subscribers that they may have missed something."""
        attempt = 0
        while True:
            try:
                async with await _connect(self._dsn) as connection:
                    await connection.execute(f"listen {CHANNEL}")
                    attempt = 0
                    self._listening = True
                    self._tell_all()
                    await self._hear(connection)
            except (psycopg.Error, OSError, TimeoutError) as error:
                _log.warning("doorbell_connection_lost", attempt=attempt, error=str(error))
                attempt += 1
            finally:
                self._listening = False
            await asyncio.sleep(pause_before(attempt, self._dice))

    async def _hear(self, connection: Connection) -> None:
        while True:
            async for notice in connection.notifies(timeout=self._silence):
                for topic, ident in unpack(notice.payload):
                    self._tell(Ring(topic, ident))
            # A peer that vanished without a word would be waited for in vain for ever.
            async with asyncio.timeout(self._silence):
                await connection.execute("select 1")

    def _tell(self, ring: Ring) -> None:
        for place in ((ring.topic, ring.ident), (ring.topic, None)):
            for callback in list(self._subscribers.get(place, {}).values()):
                _call(callback, ring)

    def _tell_all(self) -> None:
        for (topic, ident), callbacks in list(self._subscribers.items()):
            for callback in list(callbacks.values()):
                _call(callback, Ring(topic, ident or "", missed=True))


def _call(callback: Callback, ring: Ring) -> None:
    try:
        callback(ring)
    except Exception:  # noqa: BLE001 - whatever it is, it is logged
        # One subscriber's mistake must not deafen the others.
        _log.exception("doorbell_subscriber_failed", topic=ring.topic, ident=ring.ident)


def pack(rings: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Put rings into payloads below the limit: a topic and its ids a line, separated by spaces."""
    by_topic: dict[str, list[str]] = {}
    for topic, ident in rings:
        by_topic.setdefault(topic, []).append(ident)
    for topic, idents in by_topic.items():
        payload = topic
        for ident in idents:
            if len(payload.encode()) + 1 + len(ident.encode()) > PAYLOAD_LIMIT:
                yield payload
                payload = topic
            payload += f" {ident}"
        yield payload


def unpack(payload: str) -> Iterator[tuple[str, str]]:
    """Return the rings in a payload."""
    topic, *idents = payload.split(" ")
    for ident in idents:
        yield topic, ident


async def _connect(dsn: str) -> Connection:
    return await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=5, **SILENCE_LIMITS)
