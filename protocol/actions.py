"""
Actions: the orders a controller gives a drone. Kept until acknowledged, carried out once by id.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType, field

from protocol.backend_state import TerminationKind, TerminationReason
from protocol.keys import AcquiredKey
from protocol.names import ActionName, BackendName
from protocol.spawn import Executable
from protocol.tagging import OneOf


class Spawn(msgspec.Struct, frozen=True):
    """Run a backend under this key."""

    executable: Executable
    key: AcquiredKey | None
    static_token: str | None
    backend_secret: str | UnsetType = UNSET  #: **ext** backend-secret

    def __repr__(self) -> str:
        return f"Spawn(image={self.executable.image!r}, key={self.key!r})"


class Terminate(msgspec.Struct, frozen=True):
    """End a backend."""

    kind: TerminationKind
    reason: TerminationReason


class Prepare(msgspec.Struct, frozen=True):
    """**ext** prepull: fetch an image that will be needed."""

    executable: Executable


class Action(OneOf, frozen=True):
    """What to do: exactly one of these."""

    spawn: Spawn | UnsetType = field(default=UNSET, name="Spawn")
    terminate: Terminate | UnsetType = field(default=UNSET, name="Terminate")
    prepare: Prepare | UnsetType = field(default=UNSET, name="Prepare")


class ActionOrder(msgspec.Struct, frozen=True):
    """One order with its id. `backend_id` is null only for Prepare."""

    action_id: ActionName
    backend_id: BackendName | None
    drone_id: int
    action: Action
