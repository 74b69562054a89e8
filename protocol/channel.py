"""
How a control socket begins: both sides say their version, name and extensions.

The client speaks first. These two are the first frames, before anything else.
"""

from __future__ import annotations

import enum

import msgspec
from msgspec import UNSET, UnsetType

from protocol.names import NodeName
from protocol.spawn import Text


class Extension(enum.StrEnum):
    """What goes beyond the published protocol; used only with peers that list it."""

    ROUTE_PENDING = "route-pending"
    ROUTE_EXPIRY = "route-expiry"
    REVOCATIONS = "revocations"
    IN_USE = "in-use"
    NODE_STATUS = "node-status"
    SHARED_CERTIFICATE = "shared-certificate"
    TXT_VALUES = "txt-values"
    CAPACITY = "capacity"
    BATCH = "batch"
    PREPULL = "prepull"
    LOGS = "logs"
    BACKEND_SECRET = "backend-secret"  # noqa: S105 - the name of an extension
    INSTANCE = "instance"


class Version(msgspec.Struct, frozen=True):
    """What a peer runs. Differing versions are logged, not refused."""

    version: Text
    git_hash: Text


class Handshake(msgspec.Struct, frozen=True):
    """The first frame in either direction. `instance` is the id of a drone's journal (**ext**)."""

    version: Version
    name: NodeName
    extensions: list[str] | UnsetType = UNSET
    instance: Text | UnsetType = UNSET

    def lists(self, extension: Extension) -> bool:
        """Tell whether this peer knows an extension."""
        return self.extensions is not UNSET and extension in self.extensions
