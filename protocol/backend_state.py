"""
What a backend is doing: the statuses in their order, and the state objects that carry their facts.

A state is internally tagged by `status`. Statuses may be skipped and never go back.
"""

from __future__ import annotations

import enum
from typing import Annotated, Final

import msgspec

#: `ip:port`, IPv6 in brackets.
Address = Annotated[str, msgspec.Meta(pattern=r"^([0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}\Z")]


class BackendStatus(enum.StrEnum):
    """The word for what a backend is doing."""

    SCHEDULED = "scheduled"
    LOADING = "loading"
    STARTING = "starting"
    WAITING = "waiting"
    READY = "ready"
    TERMINATING = "terminating"
    HARD_TERMINATING = "hard-terminating"
    TERMINATED = "terminated"

    @property
    def rank(self) -> int:
        """The published ordering number; it only ever grows in a backend's life."""
        return RANKS[self]

    @property
    def is_ending(self) -> bool:
        """Whether the end has begun (or is over): no new user may be let in."""
        return self.rank >= RANKS[BackendStatus.TERMINATING]


RANKS: Final[dict[BackendStatus, int]] = {
    BackendStatus.SCHEDULED: 10,
    BackendStatus.LOADING: 20,
    BackendStatus.STARTING: 30,
    BackendStatus.WAITING: 40,
    BackendStatus.READY: 50,
    BackendStatus.TERMINATING: 60,
    BackendStatus.HARD_TERMINATING: 65,
    BackendStatus.TERMINATED: 70,
}


class TerminationKind(enum.StrEnum):
    """How a backend is asked to end: SIGTERM and patience, or SIGKILL."""

    SOFT = "soft"
    HARD = "hard"


class TerminationReason(enum.StrEnum):
    """Why a backend was ended by somebody other than itself."""

    SWEPT = "swept"
    EXTERNAL = "external"
    KEY_EXPIRED = "keyexpired"
    LOST = "lost"
    STARTUP_TIMEOUT = "startuptimeout"
    INTERNAL_ERROR = "internalerror"


class _State(msgspec.Struct, frozen=True, tag_field="status"):
    """Base of the states; the tag is the status."""


class Scheduled(_State, frozen=True, tag="scheduled"):
    """A drone was chosen; it has not said anything yet."""


class Loading(_State, frozen=True, tag="loading"):
    """The image is being fetched."""


class Starting(_State, frozen=True, tag="starting"):
    """The container is being created and started."""


class Waiting(_State, frozen=True, tag="waiting"):
    """The container runs and does not answer yet."""

    address: Address


class Ready(_State, frozen=True, tag="ready"):
    """The backend answers at this `ip:port`."""

    address: Address


class Terminating(_State, frozen=True, tag="terminating"):
    """SIGTERM was sent, or will be in a moment."""

    last_status: BackendStatus
    termination: TerminationKind
    reason: TerminationReason


class HardTerminating(_State, frozen=True, tag="hard-terminating"):
    """SIGKILL was sent, or will be in a moment."""

    last_status: BackendStatus
    reason: TerminationReason


class Terminated(_State, frozen=True, tag="terminated"):
    """Gone. What is unknown is null: a process that left by itself has neither termination nor reason."""

    last_status: BackendStatus
    termination: TerminationKind | None = None
    reason: TerminationReason | None = None
    exit_code: int | None = None


BackendState = Scheduled | Loading | Starting | Waiting | Ready | Terminating | HardTerminating | Terminated


def status_of(state: BackendState) -> BackendStatus:
    """Return the word for a state."""
    return BackendStatus(str(state.__struct_config__.tag))


def address_of(state: BackendState) -> str | None:
    """Return the `ip:port` that a state carries, if it carries one."""
    return state.address if isinstance(state, Waiting | Ready) else None


def last_status_of(state: BackendState) -> BackendStatus:
    """Return the last status before any termination began."""
    if isinstance(state, Terminating | HardTerminating | Terminated):
        return state.last_status
    return status_of(state)
