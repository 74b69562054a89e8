"""
What a drone and an external executor say to each other: newline-delimited JSON over a Unix socket.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType, field

from protocol.keys import AcquiredKey
from protocol.metrics import BackendMetrics
from protocol.spawn import Executable
from protocol.tagging import OneOf


class ToExecutor(OneOf, frozen=True):
    """One request to an executor; the tuples are as published."""

    prepare: Executable | UnsetType = field(default=UNSET, name="Prepare")
    spawn: tuple[str, Executable, AcquiredKey | None, str | None] | UnsetType = field(default=UNSET, name="Spawn")
    terminate: tuple[str, bool] | UnsetType = field(default=UNSET, name="Terminate")
    wait_for_backend: tuple[str, str] | UnsetType = field(default=UNSET, name="WaitForBackend")

    def __repr__(self) -> str:
        # A spawn carries the static token.
        return f"ToExecutor({self.tag})"


class PrepareResult(OneOf, frozen=True):
    """Whether the image is there now."""

    ok: UnsetType | None = field(default=UNSET, name="Ok")
    err: str | UnsetType = field(default=UNSET, name="Err")


class SpawnedContainer(msgspec.Struct, frozen=True):
    """A container that runs, and the port at which it is reached."""

    container_id: str
    port: int


class SpawnResult(OneOf, frozen=True):
    """Whether the backend was started."""

    ok: SpawnedContainer | UnsetType = field(default=UNSET, name="Ok")
    err: str | UnsetType = field(default=UNSET, name="Err")


class TerminateResult(OneOf, frozen=True):
    """Whether there was something to end."""

    ok: bool | UnsetType = field(default=UNSET, name="Ok")
    err: str | UnsetType = field(default=UNSET, name="Err")


class OtherFailure(msgspec.Struct, frozen=True):
    """A failure in words."""

    other: str = field(name="Other")


class WaitForBackendResult(OneOf, frozen=True):
    """Whether the backend answers."""

    ok: UnsetType | None = field(default=UNSET, name="Ok")
    err: Literal["StartupTimeout"] | OtherFailure | UnsetType = field(default=UNSET, name="Err")


class TerminateEvent(msgspec.Struct, frozen=True):
    """A backend has ended."""

    backend_id: str
    exit_code: int | None


class FromExecutor(OneOf, frozen=True):
    """One reply or event from an executor."""

    prepare_result: PrepareResult | UnsetType = field(default=UNSET, name="PrepareResult")
    spawn_result: SpawnResult | UnsetType = field(default=UNSET, name="SpawnResult")
    terminate_result: TerminateResult | UnsetType = field(default=UNSET, name="TerminateResult")
    wait_for_backend_result: WaitForBackendResult | UnsetType = field(default=UNSET, name="WaitForBackendResult")
    metrics_message: BackendMetrics | UnsetType = field(default=UNSET, name="MetricsMessage")
    terminate_event: TerminateEvent | UnsetType = field(default=UNSET, name="TerminateEvent")


class ExecutorRequest(msgspec.Struct, frozen=True):
    """A request on the socket; the reply repeats the id."""

    id: str
    message: ToExecutor


class ExecutorReply(msgspec.Struct, frozen=True, kw_only=True):
    """A reply, or an event when the id is null or absent."""

    id: str | None = None
    message: FromExecutor
