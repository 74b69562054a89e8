"""
Routes for tests of what is done with them.
"""

from __future__ import annotations

from typing import Any

from protocol.routes import RouteInfo
from proxyd.route import Route, make_route


def info(**facts: Any) -> RouteInfo:
    """Return an answer of a controller; what is not given is ordinary."""
    ordinary: dict[str, Any] = {
        "backend_id": "b1",
        "address": "10.0.0.7:8080",
        "secret_token": "sssh",
        "cluster": "a.test",
        "user": None,
        "user_data": None,
    }
    return RouteInfo(**{**ordinary, **facts})


def route(token: str = "t", *, now: float = 0.0, **facts: Any) -> Route:
    """Return a prepared route."""
    return make_route(token.encode(), info(**facts), now=now)
