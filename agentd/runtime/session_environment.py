"""
The environment that a backend sees: what the request asked for, and over it what the session is. Pure.
"""

from __future__ import annotations

from agentd.runtime.interface import StartOrder
from protocol.spawn import Executable

DEFAULT_PORT = 8080


def port_of(executable: Executable) -> int:
    """Return the port on which the backend is to listen."""
    return executable.port or DEFAULT_PORT


def session_environment(order: StartOrder, *, port: int) -> dict[str, str]:
    """Return a backend's environment; what describes the session wins over the request's own."""
    environment = dict(order.executable.env or {})
    environment["PORT"] = str(port)
    environment["SESSION_BACKEND_ID"] = order.backend
    if order.key is not None:
        environment["SESSION_BACKEND_KEY"] = order.key.key.name
        environment["SESSION_BACKEND_FENCING_TOKEN"] = str(order.key.token)
    if order.static_token is not None:
        environment["SESSION_BACKEND_STATIC_TOKEN"] = order.static_token
    return environment
