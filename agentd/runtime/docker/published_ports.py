"""
Which ports of a container are published and at which address they are reached. Pure.

The one place that chooses host ports: for now it leaves the choice to the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentd.runtime.session_environment import port_of
from protocol.spawn import Executable

#: The engine's way to say "any free port".
_ANY_PORT = ""


def readiness_port_of(executable: Executable) -> int:
    """Return the container's port that is asked whether the backend is ready."""
    asked = executable.readiness.port if executable.readiness is not None else None
    return asked or port_of(executable)


def bindings_of(executable: Executable, bind_ip: str) -> dict[str, list[dict[str, str]]]:
    """Return the engine's PortBindings: what is published, and where."""
    ports = sorted({port_of(executable), readiness_port_of(executable)})
    return {f"{port}/tcp": [{"HostIp": bind_ip, "HostPort": _ANY_PORT}] for port in ports}


def published_port(inspection: Mapping[str, Any], container_port: int) -> int | None:
    """Return the host port that leads to a container's port, by the engine's own account; None when none does."""
    ports = (inspection.get("NetworkSettings") or {}).get("Ports") or {}
    bindings = ports.get(f"{container_port}/tcp") or []
    return next((int(binding["HostPort"]) for binding in bindings if binding.get("HostPort")), None)
