"""
The connect request and its answer: the one call an application makes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from protocol.backend_state import BackendStatus
from protocol.keys import LenientKeyConfig
from protocol.spawn import Seconds, SpawnConfig, Text


class ConnectRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Join the backend of a key, or spawn one. `wait_for_release` is **ext**."""

    key: LenientKeyConfig | None = None
    spawn_config: SpawnConfig | None = None
    user: Text | None = None
    auth: dict[str, Any] | None = None
    wait_for_release: Seconds | None = None

    def __repr__(self) -> str:
        # What `auth` holds is between the application and its backend.
        return f"ConnectRequest(key={self.key!r}, spawn_config={self.spawn_config!r}, user={self.user!r})"


class ConnectResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Where to find the backend. All keys are always present; `drone` is null unless this call spawned it."""

    backend_id: str
    spawned: bool
    status: BackendStatus
    token: str
    url: str
    subdomain: str | None
    secret_token: str | None
    status_url: str
    drone: str | None

    def __repr__(self) -> str:
        return f"ConnectResponse(backend_id={self.backend_id!r}, spawned={self.spawned}, status={self.status!r})"
