"""
What a drone's report means to the control plane. Decides; stores nothing.

The database is told the consequences and keeps the order of statuses itself; this table says what they are.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from protocol.backend_state import BackendState, BackendStatus, status_of


class Effect(enum.Enum):
    """A consequence of a report, beyond storing the new state."""

    ANNOUNCE = "announce"  #: Tell everyone who follows this backend.
    DROP_ROUTES = "drop-routes"  #: Tell proxies to forget its tokens.
    RELEASE_KEY = "release-key"  #: Let another backend take its key.
    WITHDRAW_ORDERS = "withdraw-orders"  #: There is nothing left to give orders about.


@dataclass(frozen=True)
class Accepted:
    """The report moves the backend forward."""

    effects: frozenset[Effect]


@dataclass(frozen=True)
class Stale:
    """The backend is there already, or further on."""


def supersedes(reported: BackendStatus, current: BackendStatus) -> bool:
    """Tell whether a status moves forward; it may skip some."""
    return reported.rank > current.rank


def effects_of(entered: BackendStatus) -> frozenset[Effect]:
    """Return the consequences of entering a status."""
    effects = {Effect.ANNOUNCE}
    if entered.is_ending:
        effects.add(Effect.DROP_ROUTES)
    if entered is BackendStatus.TERMINATED:
        # Not earlier: until the process is gone it may still act as the owner.
        effects |= {Effect.RELEASE_KEY, Effect.WITHDRAW_ORDERS}
    return frozenset(effects)


def judge_report(current: BackendStatus, reported: BackendState) -> Accepted | Stale:
    """Decide what one report changes."""
    status = status_of(reported)
    return Accepted(effects_of(status)) if supersedes(status, current) else Stale()
