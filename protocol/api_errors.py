"""
Errors of the HTTP API: their kinds, status codes and body.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType


class ErrorKind(enum.StrEnum):
    """The word clients match on. The last four are **ext**."""

    KEY_HELD = "KeyHeld"
    KEY_UNHELD_NO_SPAWN_CONFIG = "KeyUnheldNoSpawnConfig"
    FAILED_TO_REMOVE_KEY = "FailedToRemoveKey"
    NO_DRONE_AVAILABLE = "NoDroneAvailable"
    FAILED_TO_ACQUIRE_KEY = "FailedToAcquireKey"
    KEY_HELD_UNHEALTHY = "KeyHeldUnhealthy"
    NO_CLUSTER_PROVIDED = "NoClusterProvided"
    INVALID_CLUSTER_NAME = "InvalidClusterName"
    NOT_FOUND = "NotFound"
    DATABASE_ERROR = "DatabaseError"
    OTHER = "Other"
    UNAUTHORIZED = "Unauthorized"
    FORBIDDEN = "Forbidden"
    RATE_LIMITED = "RateLimited"
    QUOTA_EXCEEDED = "QuotaExceeded"


#: The status code of each kind. `Other` also goes with 400, 413, 415 and 422.
STATUS_CODES: Final[dict[ErrorKind, int]] = {
    ErrorKind.KEY_HELD: 409,
    ErrorKind.KEY_UNHELD_NO_SPAWN_CONFIG: 409,
    ErrorKind.FAILED_TO_REMOVE_KEY: 409,
    ErrorKind.NO_DRONE_AVAILABLE: 500,
    ErrorKind.FAILED_TO_ACQUIRE_KEY: 500,
    ErrorKind.KEY_HELD_UNHEALTHY: 500,
    ErrorKind.NO_CLUSTER_PROVIDED: 400,
    ErrorKind.INVALID_CLUSTER_NAME: 400,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.DATABASE_ERROR: 500,
    ErrorKind.OTHER: 500,
    ErrorKind.UNAUTHORIZED: 401,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.RATE_LIMITED: 429,
    ErrorKind.QUOTA_EXCEEDED: 429,
}

#: Kinds that may pass by themselves: the answer carries `Retry-After` (**ext**).
PASSING: Final = frozenset(
    {
        ErrorKind.NO_DRONE_AVAILABLE,
        ErrorKind.FAILED_TO_ACQUIRE_KEY,
        ErrorKind.KEY_HELD_UNHEALTHY,
        ErrorKind.RATE_LIMITED,
        ErrorKind.QUOTA_EXCEEDED,
    }
)


class ApiError(msgspec.Struct, frozen=True):
    """An error's body. The id is also in the controller's log; `fields` (**ext**) maps field paths to complaints."""

    id: str
    kind: str
    message: str
    fields: dict[str, str] | UnsetType = UNSET
