"""
What every request and socket of one controller process shares. Put into each ASGI scope as `scope["plane"]`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random, SystemRandom
from time import monotonic

from drones.clock_watch import ClockWatch
from drones.terms import Terms
from postgres.doorbell import Bell, Doorbell
from postgres.pool import Pool


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
    steady_clock: Callable[[], float] = monotonic  #: seconds
    clock_watch: ClockWatch = field(init=False)
    closing: asyncio.Event = field(default_factory=asyncio.Event)  #: set when the process is about to end

    def __post_init__(self) -> None:
        object.__setattr__(self, "clock_watch", ClockWatch(self.terms.expiry))
