"""
Every error of the HTTP API: which exception is which kind and status, and how its body looks.

The error's id is also in the log, so that whoever has the answer can find the cause.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Final

import structlog
from msgspec import UNSET

from backends.connecting import (
    FailedToAcquireKey,
    FailedToRemoveKey,
    InvalidField,
    KeyHeld,
    KeyHeldUnhealthy,
    KeyUnheldNoSpawnConfig,
    NoClusterProvided,
    NoDroneAvailable,
)
from backends.services.terminate import NoSuchBackend
from postgres.pool import DatabaseUnavailable
from protocol.api_errors import PASSING, STATUS_CODES, ApiError, ErrorKind
from protocol.codec import encode
from protocol.names import InvalidClusterName, Prefix, draw_name

#: Seconds after which a client may ask again when something may pass by itself.
RETRY_AFTER: Final = 2

_log = structlog.get_logger(__name__)

KINDS: Final[dict[type[Exception], ErrorKind]] = {
    KeyHeld: ErrorKind.KEY_HELD,
    KeyUnheldNoSpawnConfig: ErrorKind.KEY_UNHELD_NO_SPAWN_CONFIG,
    FailedToRemoveKey: ErrorKind.FAILED_TO_REMOVE_KEY,
    NoDroneAvailable: ErrorKind.NO_DRONE_AVAILABLE,
    FailedToAcquireKey: ErrorKind.FAILED_TO_ACQUIRE_KEY,
    KeyHeldUnhealthy: ErrorKind.KEY_HELD_UNHEALTHY,
    NoClusterProvided: ErrorKind.NO_CLUSTER_PROVIDED,
    InvalidClusterName: ErrorKind.INVALID_CLUSTER_NAME,
    NoSuchBackend: ErrorKind.NOT_FOUND,
    DatabaseUnavailable: ErrorKind.DATABASE_ERROR,
}


@dataclass
class ApiProblem(Exception):
    """A request that gets an error for an answer."""

    kind: ErrorKind
    message: str
    status: int = 0  #: 0: that of the kind
    fields: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(self.message)
        self.status = self.status or STATUS_CODES[self.kind]


def problem_of(error: Exception) -> ApiProblem:
    """Return what the API says of an error. What it does not know is our own mistake, and says nothing of itself."""
    match error:
        case ApiProblem():
            return error
        case InvalidField(field=name, complaint=complaint):
            return ApiProblem(ErrorKind.OTHER, f"{name}: {complaint}", 422, {name: complaint})
        case DatabaseUnavailable():
            return ApiProblem(ErrorKind.DATABASE_ERROR, "the database does not answer")
    kind = KINDS.get(type(error))
    if kind is None:
        return ApiProblem(ErrorKind.OTHER, "an error of the controller's own; its log tells more")
    return ApiProblem(kind, str(error))


@dataclass(frozen=True)
class ErrorAnswer:
    """An error, ready to be sent."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]


def answer_error(error: Exception, *, path: str, dice: Random) -> ErrorAnswer:
    """Turn any exception into an answer, and log it under the answer's id."""
    problem = problem_of(error)
    name = draw_name(Prefix.BACKEND, dice)
    facts = {"id": name, "kind": str(problem.kind), "status": problem.status, "path": path[:200]}
    if problem.kind is ErrorKind.OTHER and problem.status >= 500 and not isinstance(error, ApiProblem):
        _log.error("request_failed", **facts, exc_info=error)
    elif problem.status >= 500:
        _log.warning("request_refused", **facts, cause=str(error))
    else:
        _log.info("request_refused", **facts)
    body = encode(ApiError(name, str(problem.kind), problem.message, problem.fields or UNSET))
    headers = ((b"retry-after", str(RETRY_AFTER).encode()),) if problem.kind in PASSING else ()
    return ErrorAnswer(problem.status, body, headers)
