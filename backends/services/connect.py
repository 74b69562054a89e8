"""
Connect: join the backend of a key, or spawn one. One statement to the database, and again only after a lost race.

The statement and its guarantees are in connect.sql, what its answer means in `backends.connecting`.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import psycopg
import structlog

from backends.connecting import (
    ConnectRefused,
    FailedToAcquireKey,
    Joined,
    KeyHeldUnhealthy,
    Occupied,
    Outcome,
    Overtaken,
    Spawned,
    Wish,
    judge_connect,
    settle_request,
)
from drones.context import ControllerContext
from drones.scheduling import limit_eligibility
from postgres.statements import load
from protocol.backend_state import BackendStatus
from protocol.codec import encode
from protocol.connect import ConnectRequest, ConnectResponse
from protocol.keys import KeyConfig
from protocol.names import Prefix, draw_name, parse_cluster
from protocol.tokens import draw_static_token, draw_token, token_hash

CONNECT: Final = load(__file__, "connect")
#: How often a lost race is run again.
RETRIES: Final = 3
#: The longest that `wait_for_release` may take.
WAIT_LIMIT: Final = 300
#: How often a waiting connect looks without having been rung, in seconds.
LOOK_INTERVAL: Final = 1.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, repr=False)
class Draws:
    """What chance gives to one connect. Nothing of it is stored unless needed, so a retry uses it again."""

    key: KeyConfig
    backend: str
    action: str
    token: str
    secret_token: str
    static_token: str | None


async def connect(context: ControllerContext, request: ConnectRequest) -> ConnectResponse:
    """
    Join or spawn, and say where the backend is.

    Raises:
        ConnectRefused: one of its kinds.
        InvalidField, InvalidClusterName: the request cannot be.
        DatabaseUnavailable: whether something was stored is then unknown; asking again with a key is safe.
    """
    wish = settle_request(request, context.default_cluster)
    return await _Connect(context, wish).run()


class _Connect:
    """One connect, from its wish to its answer."""

    def __init__(self, context: ControllerContext, wish: Wish) -> None:
        self._context = context
        self._wish = wish
        self._draws = _draw(wish, context.dice)
        self._parameters = _parameters(context, wish, draws=self._draws)

    async def run(self) -> ConnectResponse:
        outcome = await self._race()
        if isinstance(outcome, Occupied):
            outcome = await self._outwait(outcome.backend)
        if isinstance(outcome, Spawned):
            return self._answer_spawned(outcome)
        assert isinstance(outcome, Joined), "all other outcomes were refused"
        return self._answer_joined(outcome)

    async def _race(self) -> Outcome:
        """Run the statement until the race for the key is decided. Raises: ConnectRefused."""
        refusal: ConnectRefused | None = None
        for _ in range(1 + RETRIES):
            try:
                seen = await self._context.pool.fetch_one(CONNECT, **self._parameters)
            except psycopg.errors.UniqueViolation as error:
                raise FailedToAcquireKey("the backend's name is taken") from error
            except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
                refusal = FailedToAcquireKey("others were busy with the same key")
                continue
            assert seen is not None, "the statement always returns a row"
            outcome = judge_connect(self._wish, seen)
            if not isinstance(outcome, Overtaken):
                return outcome
            refusal = outcome.refusal
        assert refusal is not None, "no outcome without an attempt"
        raise refusal

    async def _outwait(self, holder: str) -> Outcome:
        """Look again whenever the holder's state changes, until the key can be had. Raises: ConnectRefused."""
        try:
            async with asyncio.timeout(min(self._wish.wait_seconds, WAIT_LIMIT)):
                while True:
                    outcome = await self._watch(holder)
                    if not isinstance(outcome, Occupied):
                        return outcome
                    holder = outcome.backend
        except TimeoutError:
            raise KeyHeldUnhealthy("the key was not released in the time given") from None

    async def _watch(self, holder: str) -> Outcome:
        """Race again and again while one holder is ending. Subscribes first, then reads."""
        changed = asyncio.Event()
        unsubscribe = self._context.doorbell.subscribe("backend", holder, tell=lambda _: changed.set())
        try:
            while True:
                outcome = await self._race()
                if not isinstance(outcome, Occupied) or outcome.backend != holder:
                    return outcome
                await _rung(changed)
        finally:
            unsubscribe()

    def _answer_spawned(self, spawned: Spawned) -> ConnectResponse:
        """Ring whoever must know, now that all is committed, and say where the new backend will be."""
        draws, wish, bell = self._draws, self._wish, self._context.bell
        bell.ring("drone", str(spawned.drone_id))
        if spawned.ended is not None:
            bell.ring("backend", spawned.ended)
            _log.warning("expired_key_taken_over", backend=draws.backend, lost=spawned.ended)
        _log.info("backend_scheduled", backend=draws.backend, drone=spawned.drone)
        assert wish.cluster is not None, "a drone was chosen from it"
        assert wish.spawn is not None, "nothing is spawned unasked"
        token = draws.static_token or draws.token
        return ConnectResponse(
            backend_id=draws.backend,
            spawned=True,
            status=BackendStatus.SCHEDULED,
            token=token,
            url=parse_cluster(wish.cluster).url(token, wish.spawn.subdomain),
            subdomain=wish.spawn.subdomain,
            secret_token=None if draws.static_token else draws.secret_token,
            status_url=self._status_url(draws.backend),
            drone=spawned.drone,
        )

    def _answer_joined(self, joined: Joined) -> ConnectResponse:
        token = joined.static_token or self._draws.token
        return ConnectResponse(
            backend_id=joined.backend,
            spawned=False,
            status=joined.status,
            token=token,
            url=parse_cluster(joined.cluster).url(token, joined.subdomain),
            subdomain=joined.subdomain,
            secret_token=None if joined.static_token else self._draws.secret_token,
            status_url=self._status_url(joined.backend),
            drone=None,
        )

    def _status_url(self, backend: str) -> str:
        return f"{self._context.url}/pub/b/{backend}/status"


async def _rung(changed: asyncio.Event) -> None:
    """Wait for a ring, but no longer than a lost one may cost."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LOOK_INTERVAL):
            await changed.wait()
    changed.clear()


def _draw(wish: Wish, dice: Random) -> Draws:
    spawn = wish.spawn
    return Draws(
        key=wish.key or KeyConfig(draw_name(Prefix.KEY, dice)),
        backend=(spawn and spawn.id) or draw_name(Prefix.BACKEND, dice),
        action=draw_name(Prefix.ACTION, dice),
        token=draw_token(dice.randbytes),
        secret_token=draw_token(dice.randbytes),
        static_token=draw_static_token(dice.randbytes) if spawn and spawn.use_static_token else None,
    )


def _parameters(context: ControllerContext, wish: Wish, *, draws: Draws) -> dict[str, Any]:
    spawn, terms = wish.spawn, context.terms
    limits = limit_eligibility(terms, context.best_of)
    return {
        "namespace": draws.key.namespace,
        "name": draws.key.name,
        "tag": draws.key.tag,
        "waits": wish.wait_seconds > 0,
        "backend": draws.backend,
        "action": draws.action,
        "hash": token_hash(draws.token),
        "secret": draws.secret_token,
        "static_token": draws.static_token,
        "static_hash": token_hash(draws.static_token) if draws.static_token else None,
        "username": wish.user,
        "auth": wish.auth,
        "token_lifetime": context.token_lifetime,
        "cluster": wish.cluster if spawn else None,
        "pool": (spawn and spawn.pool) or "",
        "executable": encode(spawn.executable).decode() if spawn else None,
        "subdomain": spawn and spawn.subdomain,
        "max_idle_seconds": spawn and spawn.max_idle_seconds,
        "lifetime_limit_seconds": spawn and spawn.lifetime_limit_seconds,
        "largest_idle": spawn is not None and spawn.idle_conflict == "largest",
        "freshness": limits.freshness,
        "unhealthy": limits.unhealthy,
        "best_of": limits.best_of,
        "expiry": terms.expiry,
        "clock_limit": context.clock_watch.latest_plausible(context.steady_clock()),
        "renew_ms": _milliseconds(terms.renew),
        "soft_ms": _milliseconds(terms.soft),
        "hard_ms": _milliseconds(terms.hard),
    }


def _milliseconds(duration: dt.timedelta) -> int:
    return duration // dt.timedelta(milliseconds=1)
