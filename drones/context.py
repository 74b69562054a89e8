"""
What every request and socket of one controller process shares. Put into each ASGI scope as `scope["plane"]`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from random import Random, SystemRandom
from typing import TYPE_CHECKING

from drones.terms import Terms
from postgres.pool import Pool

if TYPE_CHECKING:
    from postgres.doorbell import Bell, Doorbell


@dataclass(frozen=True, kw_only=True)
class ControllerContext:
    """One controller process: who it is, and its ways to the database."""

    name: str  #: `co-…`
    version: str
    git_hash: str
    url: str  #: where clients reach the controllers, without a slash at the end
    pool: Pool
    bell: Bell
    doorbell: Doorbell
    terms: Terms = field(default_factory=Terms)
    default_cluster: str | None = None
    best_of: int = 2  #: of how many random drones the one with most room is taken
    token_lifetime: dt.timedelta = dt.timedelta(hours=1)
    cleanup_min_age: dt.timedelta | None = None  #: None keeps old backends for ever
    dice: Random = field(default_factory=SystemRandom)
