"""
Routes: where a token leads. Asked by proxies, answered by controllers.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from protocol.spawn import Text


class RouteInfo(msgspec.Struct, frozen=True):
    """Where one token leads. For a static token the secret is empty and the user data null."""

    backend_id: str
    address: str
    secret_token: str
    cluster: str
    user: str | None
    user_data: Any
    subdomain: str | None = None
    expires_in_ms: int | UnsetType = UNSET  #: **ext** route-expiry

    def __repr__(self) -> str:
        return f"RouteInfo(backend_id={self.backend_id!r}, address={self.address!r}, cluster={self.cluster!r})"


class RouteInfoRequest(msgspec.Struct, frozen=True):
    """Where does this token lead?"""

    token: Text

    def __repr__(self) -> str:
        return "RouteInfoRequest(token=…)"


class RouteInfoResponse(msgspec.Struct, frozen=True):
    """The answer; null when the token leads nowhere (unknown, revoked, expired, ended)."""

    token: str
    route_info: RouteInfo | None

    def __repr__(self) -> str:
        return f"RouteInfoResponse(token=…, route_info={self.route_info!r})"


class RoutePending(msgspec.Struct, frozen=True):
    """**ext** route-pending: the answer is held back until the backend is ready or ending."""

    token: str
    backend_id: str

    def __repr__(self) -> str:
        return f"RoutePending(token=…, backend_id={self.backend_id!r})"


class BackendRemoved(msgspec.Struct, frozen=True):
    """A backend is gone, and every route to it."""

    backend: str


class TokensRevoked(msgspec.Struct, frozen=True):
    """**ext** revocations: forget these tokens of a backend, or all of them when null."""

    backend: str
    tokens: list[str] | None
    close: bool | UnsetType = UNSET  #: whether open connections end too

    def __repr__(self) -> str:
        count = "all" if self.tokens is None else len(self.tokens)
        return f"TokensRevoked(backend={self.backend!r}, tokens={count})"
