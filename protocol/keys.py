"""
Keys: what makes a session unique, and the lease a drone holds on one.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from protocol.spawn import ShortText
from protocol.timestamps import Timestamp


class KeyConfig(msgspec.Struct, frozen=True):
    """A key as clients name it: unique by namespace and name; the tag says what kind of session holds it."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f]+\Z", max_length=256)]
    namespace: ShortText = ""
    tag: ShortText = ""


class Deadlines(msgspec.Struct, frozen=True):
    """When a lease is to be renewed, and when its backend is to be ended; on the drone's own clock."""

    renew_at: Timestamp
    soft_terminate_at: Timestamp
    hard_terminate_at: Timestamp


class AcquiredKey(msgspec.Struct, frozen=True):
    """A key as its drone holds it. `token` is the fencing token: it grows each time the key changes hands."""

    key: KeyConfig
    deadlines: Deadlines
    token: int


class LenientKeyConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key in a request, where null means absent; written without either."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f]+\Z", max_length=256)]
    namespace: ShortText | None = None
    tag: ShortText | None = None

    def settled(self) -> KeyConfig:
        """Return the key with what was left out filled in."""
        return KeyConfig(self.name, self.namespace or "", self.tag or "")
