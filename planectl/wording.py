"""
How answers are shown to a person: lines of text from what a controller said. Prints nothing itself.
"""

from collections.abc import Sequence
from typing import Final

import click
from msgspec import UnsetType

from protocol.backend_state import BackendStatus, TerminationKind, TerminationReason
from protocol.connect import ConnectResponse
from protocol.views import BackendStatusView, ClusterStateView, ControllerStatusView, DroneView, NodeView

_COLORS: Final = {BackendStatus.READY: "green", BackendStatus.TERMINATED: "red"}


def connected_lines(answer: ConnectResponse) -> list[str]:
    """Say where a backend is to be found, and whether it is new."""
    origin = f"spawned on {answer.drone}" if answer.spawned else "joined; it was there already"
    return [
        f"Backend: {answer.backend_id} ({origin})",
        f"URL: {answer.url}",
        f"Status URL: {answer.status_url}",
    ]


def status_line(view: BackendStatusView, first: BackendStatusView) -> str:
    """Say one status, with the seconds since the first one that was told."""
    elapsed = f"+{(view.time - first.time) / 1000:.2f} s"
    words = [click.style(str(view.status), fg=_COLORS.get(view.status, "yellow")), *_circumstances(view)]
    return f"{elapsed:>10}  {', '.join(words)}"


def _circumstances(view: BackendStatusView) -> list[str]:
    facts: list[TerminationKind | TerminationReason | UnsetType] = [view.termination_kind, view.termination_reason]
    words = [str(fact) for fact in facts if not isinstance(fact, UnsetType)]
    if view.exit_error is True:
        words.append("with an error")
    return words


def ended_early(view: BackendStatusView) -> str:
    """Say that a backend which was awaited will never be ready."""
    circumstances = ", ".join(_circumstances(view))
    return f"the backend is {view.status} and was never ready" + (f" ({circumstances})" if circumstances else "")


def controller_line(view: ControllerStatusView) -> str:
    """Say that a controller works, and which one it is."""
    return f"{view.status}: Plane {view.version} ({view.hash})"


def cluster_lines(cluster: str, state: ClusterStateView) -> list[str]:
    """Show the connected nodes of a cluster, drones first."""
    if not state.drones and not state.proxies:
        return [f"Nothing is connected for {cluster}."]
    lines: list[str] = []
    if state.drones:
        heads = ("DRONE", "READY", "DRAINING", "BACKENDS", "HEARTBEAT", "VERSION", "CONTROLLER")
        lines += _table([heads, *(_drone_row(drone) for drone in state.drones)])
    if state.proxies:
        lines += [""] if lines else []
        lines += _table([("PROXY", "VERSION", "CONTROLLER"), *(_node_row(node) for node in state.proxies)])
    return lines


def _drone_row(drone: DroneView) -> Sequence[str]:
    heard = f"{drone.last_heartbeat_age} s ago"
    name, version, controller = _node_row(drone.node)
    return (name, _yes(drone.ready), _yes(drone.draining), str(drone.backend_count), heard, version, controller)


def _node_row(node: NodeView) -> tuple[str, str, str]:
    return (str(node.name.variant), node.plane_version, f"{node.controller} ({node.controller_heartbeat_age} s ago)")


def _yes(fact: bool) -> str:  # noqa: FBT001 - a word for a truth value takes a truth value
    return "yes" if fact else "no"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
