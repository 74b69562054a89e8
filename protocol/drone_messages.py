"""
What drones and controllers say to each other. One JSON text frame a message.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType, field

from protocol.actions import ActionOrder
from protocol.backend_state import BackendState
from protocol.channel import Handshake
from protocol.heartbeats import Heartbeat
from protocol.keys import Deadlines
from protocol.metrics import BackendMetrics
from protocol.names import ActionName, BackendName
from protocol.spawn import Count
from protocol.tagging import OneOf
from protocol.timestamps import Timestamp


class BackendEvent(msgspec.Struct, frozen=True):
    """A journalled report: what state a backend is in. Repeated until acknowledged."""

    event_id: Count
    backend_id: BackendName
    state: BackendState
    timestamp: Timestamp


class AckAction(msgspec.Struct, frozen=True):
    """The drone has an order in its journal."""

    action_id: ActionName


class RenewKey(msgspec.Struct, frozen=True):
    """A drone asks for another lease; deadlines will count from this clock of its own."""

    backend: BackendName
    local_time: Timestamp


class AckEvent(msgspec.Struct, frozen=True):
    """The controller has stored a report, or knew better already."""

    event_id: Count


class RenewKeyResponse(msgspec.Struct, frozen=True):
    """New deadlines, or null when the key could not be renewed."""

    backend: str
    deadlines: Deadlines | None


class LogsRequest(msgspec.Struct, frozen=True):
    """**ext** logs: send what a backend printed."""

    request: int
    backend: str
    tail: int | None = None
    follow: bool = False
    since_ms: int | None = None


class LogsCancel(msgspec.Struct, frozen=True):
    """**ext** logs: nobody reads any more."""

    request: int


class LogsCredit(msgspec.Struct, frozen=True):
    """**ext** logs: so many more bytes may be sent."""

    request: int
    bytes: int


class LogsChunk(msgspec.Struct, frozen=True):
    """**ext** logs: a piece of output, base64."""

    request: int
    stream: str
    data: str


class LogsEnd(msgspec.Struct, frozen=True):
    """**ext** logs: no more will come."""

    request: int
    error: str | None


class FromDrone(OneOf, frozen=True):
    """One message from a drone."""

    heartbeat: Heartbeat | UnsetType = field(default=UNSET, name="Heartbeat")
    backend_event: BackendEvent | UnsetType = field(default=UNSET, name="BackendEvent")
    backend_metrics: BackendMetrics | UnsetType = field(default=UNSET, name="BackendMetrics")
    ack_action: AckAction | UnsetType = field(default=UNSET, name="AckAction")
    renew_key: RenewKey | UnsetType = field(default=UNSET, name="RenewKey")
    logs_chunk: LogsChunk | UnsetType = field(default=UNSET, name="LogsChunk")
    logs_end: LogsEnd | UnsetType = field(default=UNSET, name="LogsEnd")
    batch: list[FromDrone] | UnsetType = field(default=UNSET, name="Batch")  #: **ext** batch


class ToDrone(OneOf, frozen=True):
    """One message to a drone."""

    action: ActionOrder | UnsetType = field(default=UNSET, name="Action")
    ack_event: AckEvent | UnsetType = field(default=UNSET, name="AckEvent")
    renew_key_response: RenewKeyResponse | UnsetType = field(default=UNSET, name="RenewKeyResponse")
    logs_request: LogsRequest | UnsetType = field(default=UNSET, name="LogsRequest")
    logs_cancel: LogsCancel | UnsetType = field(default=UNSET, name="LogsCancel")
    logs_credit: LogsCredit | UnsetType = field(default=UNSET, name="LogsCredit")
    batch: list[ToDrone] | UnsetType = field(default=UNSET, name="Batch")  #: **ext** batch


class DronePoll(msgspec.Struct, frozen=True):
    """**ext** One long poll: what the drone has to say, and how long it waits for something to do."""

    handshake: Handshake
    session: str | None
    messages: list[FromDrone]
    wait_ms: int


class DronePollAnswer(msgspec.Struct, frozen=True):
    """**ext** The answer to a long poll."""

    handshake: Handshake
    session: str
    messages: list[ToDrone]
