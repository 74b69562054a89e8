"""
Reports of drones: what state a backend is in. Stored forward only, with their consequences, in batches.

In order within one backend, in parallel across backends. A report may be acknowledged when its future has a result,
whatever the result: the drone need not say it again.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from backends.states import Accepted, Effect, effects_of, judge_report
from postgres.doorbell import Bell
from postgres.gathering import Gatherer
from postgres.pool import Pool, Row
from postgres.statements import load
from protocol.backend_state import BackendStatus, address_of, status_of
from protocol.codec import encode
from protocol.drone_messages import BackendEvent

STORE_REPORTS: Final = load(__file__, "store_reports")

_log = structlog.get_logger(__name__)


class Fate(enum.Enum):
    """What became of a report."""

    STORED = "stored"
    STALE = "stale"  #: known already, or overtaken
    FOREIGN = "foreign"  #: about another drone's backend: ignored
    UNKNOWN = "unknown"  #: about a backend that is not, or no longer, in the database


@dataclass(frozen=True)
class Report:
    """One report, and the node that sent it."""

    drone: int
    event: BackendEvent


class Reports:
    """Stores reports, and rings for the backends that moved."""

    def __init__(self, pool: Pool, bell: Bell) -> None:
        self._pool = pool
        self._bell = bell
        self._gatherer = Gatherer("reports", self._store, every=0.002, patience=10.0)

    def submit(self, report: Report) -> asyncio.Future[Fate]:
        """Store one report after the earlier ones about its backend."""
        return self._gatherer.submit(report.event.backend_id, report)

    async def _store(self, reports: Sequence[Report]) -> list[Fate]:
        rows = await self._pool.fetch(STORE_REPORTS, **_columns(reports))
        by_backend = {row["backend_id"]: row for row in rows}
        return [self._conclude(report, by_backend[report.event.backend_id]) for report in reports]

    def _conclude(self, report: Report, row: Row) -> Fate:
        event = report.event
        log = _log.bind(backend=event.backend_id, drone=report.drone, status=str(status_of(event.state)))
        if row["unknown"]:
            log.info("report_about_unknown_backend")
            return Fate.UNKNOWN
        if row["is_foreign"]:
            log.warning("report_about_foreign_backend_ignored")
            return Fate.FOREIGN
        verdict = judge_report(BackendStatus(row["former"]), event.state)
        assert isinstance(verdict, Accepted) == row["stored"], "the statement and the table of statuses disagree"
        if not isinstance(verdict, Accepted):
            return Fate.STALE
        log.info("backend_status_stored", former=row["former"])
        if Effect.ANNOUNCE in verdict.effects:
            self._bell.ring("backend", event.backend_id)
        return Fate.STORED


def _columns(reports: Sequence[Report]) -> dict[str, object]:
    events = [report.event for report in reports]
    statuses = [status_of(event.state) for event in events]
    effects = [effects_of(status) for status in statuses]
    return {
        "backends": [event.backend_id for event in events],
        "drones": [report.drone for report in reports],
        "statuses": [str(status) for status in statuses],
        "ranks": [status.rank for status in statuses],
        "states": [encode(event.state).decode() for event in events],
        "addresses": [address_of(event.state) for event in events],
        "drone_times": [event.timestamp for event in events],
        "releases": [Effect.RELEASE_KEY in of for of in effects],
        "withdraws": [Effect.WITHDRAW_ORDERS in of for of in effects],
    }
