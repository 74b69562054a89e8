"""
What is done to one container, in blocking calls: find it, signal it, remove it, list all of a drone.

Every call looks at the labels first: a container of another drone, or of somebody who happens to use our names, does
not exist for us. "Already gone" is an answer, never an error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

import structlog
from docker import APIClient
from docker.errors import APIError, NotFound

from agentd.runtime.docker.container_spec import BACKEND_LABEL, DRONE_LABEL, backend_of, container_name, own_label
from agentd.runtime.docker.engine import EngineError, describe
from agentd.runtime.docker.exit_ledger import Listed
from agentd.runtime.interface import Absent, Alive, Condition, Exited, RuntimeFailure

T = TypeVar("T")

_log = structlog.get_logger(__name__)

_CONFLICT: Final = 409
_ATTEMPTS: Final = 30
_LONGEST_PAUSE: Final = 2.0  # seconds
#: What the engine calls a container whose process is over.
_ENDED_STATES: Final = frozenset({"exited", "dead", "removing"})


def find(client: APIClient, backend: str, *, drone: str) -> Mapping[str, Any] | None:
    """Return the engine's account of a backend's container; None when this drone has none."""
    try:
        inspection: Mapping[str, Any] = client.inspect_container(container_name(backend))
    except NotFound:
        return None
    return inspection if is_own(inspection["Config"].get("Labels") or {}, drone) else None


def is_own(labels: Mapping[str, str], drone: str) -> bool:
    """Whether a container with these labels belongs to this drone."""
    return labels.get(BACKEND_LABEL) == "true" and labels.get(DRONE_LABEL) == drone


def condition_of(inspection: Mapping[str, Any] | None) -> Condition:
    """Translate the engine's account. Whatever has not ended counts as alive, created ones too."""
    if inspection is None:
        return Absent()
    state = inspection["State"]
    if state.get("Running") or state.get("Paused") or state.get("Status") not in _ENDED_STATES:
        return Alive()
    return Exited(state.get("ExitCode"))


def send_signal(client: APIClient, backend: str, *, drone: str, hard: bool) -> bool:
    """Send SIGTERM or SIGKILL; return whether there was a process (or one about to be) to end."""
    inspection = find(client, backend, drone=drone)
    if inspection is None or isinstance(condition_of(inspection), Exited):
        return False
    container_id = inspection["Id"]
    if inspection["State"].get("Status") == "created":
        # It has no process yet. What must be gone at once must not be started either.
        if hard:
            remove_entirely(client, container_id)
        return hard
    try:
        client.kill(container_id, signal="SIGKILL" if hard else "SIGTERM")
    except APIError as error:
        if isinstance(error, NotFound) or error.status_code == _CONFLICT:
            return False
        raise
    return True


def remove_ended(client: APIClient, backend: str, *, drone: str) -> None:
    """
    Remove what is left of a backend, with its volumes.

    Raises:
        RuntimeFailure: it has not ended.
    """
    inspection = find(client, backend, drone=drone)
    match condition_of(inspection):
        case Absent():
            return
        case Alive():
            raise RuntimeFailure(f"container {container_name(backend)} has not ended")
        case Exited():
            assert inspection is not None
            remove_entirely(client, inspection["Id"])


def remove_entirely(client: APIClient, container: str) -> None:
    """Kill and remove a container, until the engine confirms or a minute is over (then it raises)."""

    def remove() -> None:
        with suppress(NotFound):
            client.remove_container(container, v=True, force=True)

    insist(remove, event="container_removal_failed", container=container)


def insist(work: Callable[[], T], *, event: str, container: str) -> T:
    """Repeat a call that the engine must not be let off, with pauses; the last failure is raised."""
    for attempt in range(_ATTEMPTS - 1):
        try:
            return work()
        except EngineError as error:
            # A conflict only means that somebody else's removal is on its way.
            if not (isinstance(error, APIError) and error.status_code == _CONFLICT):
                _log.warning(event, container=container, attempt=attempt, error=describe(error))
            time.sleep(min(0.05 * 2**attempt, _LONGEST_PAUSE))
    return work()


def list_containers(client: APIClient, drone: str) -> list[Listed]:
    """Return all containers of a drone, running or not."""
    filters = {"label": [f"{BACKEND_LABEL}=true", own_label(drone)]}
    listed = []
    for row in client.containers(all=True, filters=filters):
        backend = next((name for name in map(backend_of, row["Names"] or []) if name), None)
        if backend is not None:
            listed.append(Listed(row["Id"], backend, has_ended=row["State"] in _ENDED_STATES))
    return listed
