"""
Renewals of leases: all that drones ask of one controller within some milliseconds, in one statement.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from backends.keys import deadlines_from
from drones.terms import Terms
from postgres.gathering import Gatherer
from postgres.pool import Pool
from postgres.statements import load
from protocol.drone_messages import RenewKey
from protocol.keys import Deadlines

RENEW_KEYS: Final = load(__file__, "renew_keys")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Renewal:
    """A wish for another lease, and the node that has it."""

    drone: int
    wish: RenewKey


class Renewals:
    """Renews leases while their holders are entitled to them."""

    def __init__(self, pool: Pool, terms: Terms) -> None:
        self._pool = pool
        self._terms = terms
        # After the soft deadline the drone ends the backend whatever the answer.
        patience = (terms.soft - terms.renew).total_seconds()
        self._gatherer = Gatherer("renewals", self._renew, every=0.03, patience=patience)

    def submit(self, renewal: Renewal) -> asyncio.Future[Deadlines | None]:
        """Renew one lease; the answer has the deadlines on the drone's clock, or is None when it was refused."""
        return self._gatherer.submit((renewal.wish.backend, renewal.drone), renewal)

    async def _renew(self, renewals: Sequence[Renewal]) -> list[Deadlines | None]:
        rows = await self._pool.fetch(
            RENEW_KEYS,
            backends=[renewal.wish.backend for renewal in renewals],
            drones=[renewal.drone for renewal in renewals],
            expiry=self._terms.expiry,
        )
        renewed = {(row["backend_id"], row["drone_id"]) for row in rows}
        return [self._answer(renewal, renewed=(renewal.wish.backend, renewal.drone) in renewed) for renewal in renewals]

    def _answer(self, renewal: Renewal, *, renewed: bool) -> Deadlines | None:
        if renewed:
            return deadlines_from(renewal.wish.local_time, self._terms)
        _log.warning("renewal_refused", backend=renewal.wish.backend, drone=renewal.drone)
        return None
