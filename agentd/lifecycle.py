"""
The life of one backend on this machine: events in, commands out. Decides; runs nothing, knows no clock.

All transitions are in `TRANSITIONS`; the diagram in docs/state-machines is drawn from it. An event that the table does
not list for a status changes nothing: it came too late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol.backend_state import (
    BackendState,
    BackendStatus,
    HardTerminating,
    Loading,
    Ready,
    Scheduled,
    Starting,
    Terminated,
    Terminating,
    TerminationKind,
    TerminationReason,
    Waiting,
    last_status_of,
    status_of,
)

# Events


@dataclass(frozen=True)
class Begin:
    """The order was accepted, and its key may be relied on."""


@dataclass(frozen=True)
class ImageReady:
    """The image is there."""


@dataclass(frozen=True)
class ContainerStarted:
    """The container runs, and is reached at this `ip:port`."""

    address: str


@dataclass(frozen=True)
class Failed:
    """It could not be loaded or started, and nothing of it is left."""


@dataclass(frozen=True)
class Answered:
    """The backend has answered its first request."""


@dataclass(frozen=True)
class TimedOut:
    """The backend has not answered for too long."""


@dataclass(frozen=True)
class SoftAsked:
    """Somebody wants it to end, with patience."""

    reason: TerminationReason


@dataclass(frozen=True)
class HardAsked:
    """Somebody wants it to end at once."""

    reason: TerminationReason


@dataclass(frozen=True)
class GraceElapsed:
    """The patience is over."""


@dataclass(frozen=True)
class Gone:
    """No engine call is in flight, and inspection shows the container exited or absent."""

    exit_code: int | None = None


Event = (
    Begin | ImageReady | ContainerStarted | Failed | Answered | TimedOut | SoftAsked | HardAsked | GraceElapsed | Gone
)

# Commands


@dataclass(frozen=True)
class Report:
    """Tell the controller, now and until it has thanked."""

    state: BackendState


@dataclass(frozen=True)
class PrepareImage:
    """Make the image available."""


@dataclass(frozen=True)
class StartContainer:
    """Create and start the container."""


@dataclass(frozen=True)
class AwaitAnswer:
    """Ask the backend until it answers, within its time."""


@dataclass(frozen=True)
class Watch:
    """Wait for the container to end by itself."""


@dataclass(frozen=True)
class EndSoftly:
    """Send SIGTERM, and say when the grace is over."""


@dataclass(frozen=True)
class Kill:
    """Send SIGKILL until it is gone."""


@dataclass(frozen=True)
class CleanUp:
    """Delete what is left; this life is over."""


Act = PrepareImage | StartContainer | AwaitAnswer | Watch | EndSoftly | Kill | CleanUp
Command = Report | Act

# Rules

_S: Final = BackendStatus
#: From which status which event leads where, and what is to be done there.
TRANSITIONS: Final[dict[tuple[BackendStatus, type[Event]], tuple[BackendStatus, Act]]] = {
    (_S.SCHEDULED, Begin): (_S.LOADING, PrepareImage()),
    (_S.LOADING, ImageReady): (_S.STARTING, StartContainer()),
    (_S.STARTING, ContainerStarted): (_S.WAITING, AwaitAnswer()),
    (_S.WAITING, Answered): (_S.READY, Watch()),
    (_S.WAITING, TimedOut): (_S.HARD_TERMINATING, Kill()),
    (_S.LOADING, Failed): (_S.TERMINATED, CleanUp()),
    (_S.STARTING, Failed): (_S.TERMINATED, CleanUp()),
    (_S.SCHEDULED, SoftAsked): (_S.TERMINATING, EndSoftly()),
    (_S.LOADING, SoftAsked): (_S.TERMINATING, EndSoftly()),
    (_S.STARTING, SoftAsked): (_S.TERMINATING, EndSoftly()),
    (_S.WAITING, SoftAsked): (_S.TERMINATING, EndSoftly()),
    (_S.READY, SoftAsked): (_S.TERMINATING, EndSoftly()),
    (_S.SCHEDULED, HardAsked): (_S.HARD_TERMINATING, Kill()),
    (_S.LOADING, HardAsked): (_S.HARD_TERMINATING, Kill()),
    (_S.STARTING, HardAsked): (_S.HARD_TERMINATING, Kill()),
    (_S.WAITING, HardAsked): (_S.HARD_TERMINATING, Kill()),
    (_S.READY, HardAsked): (_S.HARD_TERMINATING, Kill()),
    (_S.TERMINATING, HardAsked): (_S.HARD_TERMINATING, Kill()),
    (_S.TERMINATING, GraceElapsed): (_S.HARD_TERMINATING, Kill()),
    (_S.STARTING, Gone): (_S.TERMINATED, CleanUp()),
    (_S.WAITING, Gone): (_S.TERMINATED, CleanUp()),
    (_S.READY, Gone): (_S.TERMINATED, CleanUp()),
    (_S.TERMINATING, Gone): (_S.TERMINATED, CleanUp()),
    (_S.HARD_TERMINATING, Gone): (_S.TERMINATED, CleanUp()),
}


class BackendMachine:
    """One backend's life. Its status only ever moves forward."""

    def __init__(self) -> None:
        self.state: BackendState = Scheduled()

    @property
    def status(self) -> BackendStatus:
        """The word for its state."""
        return status_of(self.state)

    def handle(self, event: Event) -> list[Command]:
        """Take one event, and return what is to be done, in order; every change of status is reported first."""
        step = TRANSITIONS.get((self.status, type(event)))
        if step is None:
            return []
        target, act = step
        self.state = enter(target, self.state, event=event)
        return [Report(self.state), act]


def enter(target: BackendStatus, origin: BackendState, *, event: Event) -> BackendState:
    """Return the state with this status that an event leads to, with the facts that are known by then."""
    state: BackendState
    match target, origin, event:
        case _S.LOADING, _, _:
            state = Loading()
        case _S.STARTING, _, _:
            state = Starting()
        case _S.WAITING, _, ContainerStarted(address):
            state = Waiting(address)
        case _S.READY, Waiting(address), _:
            state = Ready(address)
        case _S.TERMINATING, _, SoftAsked(reason):
            state = Terminating(last_status_of(origin), TerminationKind.SOFT, reason)
        case _S.HARD_TERMINATING, _, _:
            state = HardTerminating(last_status_of(origin), _cause(origin, event))
        case _S.TERMINATED, _, _:
            state = _terminated(origin, event)
        case _:
            raise AssertionError(f"the table leads from {origin} to {target} by {event}")
    return state


def _cause(origin: BackendState, event: Event) -> TerminationReason:
    """Return the reason of the end: whatever began it."""
    if isinstance(origin, Terminating):
        return origin.reason
    return event.reason if isinstance(event, HardAsked) else TerminationReason.STARTUP_TIMEOUT


def _terminated(origin: BackendState, event: Event) -> Terminated:
    last_status = last_status_of(origin)
    exit_code = event.exit_code if isinstance(event, Gone) else None
    match origin:
        case Terminating(termination=kind, reason=reason):
            return Terminated(last_status, kind, reason, exit_code)
        case HardTerminating(reason=reason):
            return Terminated(last_status, TerminationKind.HARD, reason, exit_code)
        case _ if isinstance(event, Failed):
            return Terminated(last_status, None, TerminationReason.INTERNAL_ERROR)
        case _:
            return Terminated(last_status, None, None, exit_code)
