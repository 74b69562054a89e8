"""
What the engine's event stream says of our containers. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentd.runtime.docker.container_spec import BACKEND_LABEL, DRONE_LABEL, backend_of, own_label


@dataclass(frozen=True)
class Died:
    """A container's process ended."""

    container_id: str
    backend: str
    exit_code: int | None


@dataclass(frozen=True)
class Destroyed:
    """A container was removed, by us or by somebody else."""

    container_id: str
    backend: str


def event_filters(drone: str) -> dict[str, list[str]]:
    """Return what to ask the engine for, so that it sends nothing else."""
    return {
        "type": ["container"],
        "event": ["die", "destroy"],
        "label": [f"{BACKEND_LABEL}=true", own_label(drone)],
    }


def parse_event(raw: Mapping[str, Any], drone: str) -> Died | Destroyed | None:
    """Return the end that an event tells of; None when it tells of none, or of a container that is not this drone's."""
    actor = raw.get("Actor") or {}
    attributes = actor.get("Attributes") or {}
    container_id = actor.get("ID")
    backend = backend_of(str(attributes.get("name", "")))
    if raw.get("Type") != "container" or not container_id or not backend:
        return None
    if attributes.get(BACKEND_LABEL) != "true" or attributes.get(DRONE_LABEL) != drone:
        return None
    match raw.get("Action"):
        case "die":
            return Died(container_id, backend, _exit_code(attributes.get("exitCode")))
        case "destroy":
            return Destroyed(container_id, backend)
        case _:
            return None


def _exit_code(text: object) -> int | None:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else None
