"""
Which control socket is at which path. What is said on them is the consumers' business.
"""

from __future__ import annotations

from typing import Any, cast

from channels.routing import URLRouter
from django.urls import path, re_path

from backends.api.exchange import Receive, Scope, Send
from drones.consumers.drone import DroneConsumer
from drones.consumers.proxy import ProxyConsumer


async def refuse_socket(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's signature
    """Refuse to open a socket; Daphne says 403."""
    await receive()
    await send({"type": "websocket.close"})


def make_socket_router() -> Any:
    """Return the ASGI application of all sockets."""
    return URLRouter(
        [
            path("ctrl/c/<str:cluster>/drone-socket", DroneConsumer.as_asgi()),
            path("ctrl/c/<str:cluster>/proxy-socket", ProxyConsumer.as_asgi()),
            re_path(r"", cast("Any", refuse_socket)),
        ]
    )
