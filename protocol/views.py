"""
What the HTTP API shows of backends and clusters, beside connect.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType, field

from protocol.backend_state import (
    BackendState,
    BackendStatus,
    HardTerminating,
    Terminated,
    Terminating,
    TerminationKind,
    TerminationReason,
    status_of,
)
from protocol.spawn import Text
from protocol.tagging import OneOf
from protocol.timestamps import Timestamp


class BackendStatusView(msgspec.Struct, frozen=True, omit_defaults=True):
    """The public status of a backend. `exit_error` is always there once it is terminated."""

    status: BackendStatus
    time: Timestamp
    termination_reason: TerminationReason | UnsetType = UNSET
    termination_kind: TerminationKind | UnsetType = UNSET
    exit_error: bool | UnsetType = UNSET


def view_status(state: BackendState, time: int) -> BackendStatusView:
    """Return what the public may know of a state that was entered at `time` (milliseconds)."""
    match state:
        case Terminating(termination=kind, reason=reason):
            return BackendStatusView(status_of(state), time, reason, kind)
        case HardTerminating(reason=reason):
            return BackendStatusView(status_of(state), time, reason, TerminationKind.HARD)
        case Terminated(termination=kind, reason=reason, exit_code=code):
            failed = code is not None and code != 0
            return BackendStatusView(
                status_of(state), time, UNSET if reason is None else reason, UNSET if kind is None else kind, failed
            )
        case _:
            return BackendStatusView(status_of(state), time)


class NodeNameView(OneOf, frozen=True):
    """A node's name, tagged by its kind."""

    drone: str | UnsetType = field(default=UNSET, name="Drone")
    proxy: str | UnsetType = field(default=UNSET, name="Proxy")
    dns: str | UnsetType = field(default=UNSET, name="AcmeDnsServer")


class NodeView(msgspec.Struct, frozen=True):
    """A connected node. The age is whole seconds."""

    name: NodeNameView
    plane_version: str
    plane_hash: str
    controller: str
    controller_heartbeat_age: int


class DroneView(msgspec.Struct, frozen=True):
    """A connected drone."""

    ready: bool
    draining: bool
    last_heartbeat_age: int  #: whole seconds; of one that has sent none yet, since it connected
    backend_count: int
    node: NodeView


class ClusterStateView(msgspec.Struct, frozen=True):
    """All connected nodes of a cluster, oldest first."""

    drones: list[DroneView]
    proxies: list[NodeView]


class ControllerStatusView(msgspec.Struct, frozen=True):
    """A controller that works."""

    status: str
    version: str
    hash: str


class DrainView(msgspec.Struct, frozen=True):
    """Whether a drain changed anything."""

    updated: bool


class RevokeRequest(msgspec.Struct, frozen=True):
    """Revoke a user's tokens for a backend."""

    backend_id: Text
    user: Text
