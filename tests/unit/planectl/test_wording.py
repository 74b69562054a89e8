"""How answers look to a person."""

import click
from msgspec import UNSET

from planectl.wording import cluster_lines, connected_lines, controller_line, ended_early, status_line
from protocol.backend_state import BackendStatus, TerminationKind, TerminationReason
from protocol.connect import ConnectResponse
from protocol.views import (
    BackendStatusView,
    ClusterStateView,
    ControllerStatusView,
    DroneView,
    NodeNameView,
    NodeView,
)


def answer(**changes: object) -> ConnectResponse:
    """Return an answer to connect, with some facts changed."""
    facts = {
        "backend_id": "b1",
        "spawned": True,
        "status": BackendStatus.SCHEDULED,
        "token": "t",
        "url": "http://c/t/",
        "subdomain": None,
        "secret_token": None,
        "status_url": "http://k/pub/b/b1/status",
        "drone": "dr-1",
    }
    return ConnectResponse(**{**facts, **changes})  # type: ignore[arg-type]


def test_where_a_backend_is() -> None:
    """Lines that scripts may look for, and whether it is new."""
    assert connected_lines(answer()) == [
        "Backend: b1 (spawned on dr-1)",
        "URL: http://c/t/",
        "Status URL: http://k/pub/b/b1/status",
    ]
    assert "joined" in connected_lines(answer(spawned=False, drone=None))[0]


def test_a_status_with_its_time_and_circumstances() -> None:
    """Seconds since the first one; why and how it ended as far as known."""
    first = BackendStatusView(BackendStatus.SCHEDULED, 1000)
    end = BackendStatusView(BackendStatus.TERMINATED, 3500, TerminationReason.SWEPT, TerminationKind.SOFT, True)
    assert click.unstyle(status_line(first, first)) == "   +0.00 s  scheduled"
    assert click.unstyle(status_line(end, first)) == "   +2.50 s  terminated, soft, swept, with an error"


def test_a_backend_that_will_never_be_ready() -> None:
    """With the reason, if there is one."""
    view = BackendStatusView(BackendStatus.TERMINATED, 1, TerminationReason.STARTUP_TIMEOUT, UNSET, False)
    assert ended_early(view) == "the backend is terminated and was never ready (startuptimeout)"
    assert ended_early(BackendStatusView(BackendStatus.TERMINATING, 1)).endswith("never ready")


def test_a_controller() -> None:
    assert controller_line(ControllerStatusView("ok", "1.2", "abc")) == "ok: Plane 1.2 (abc)"


def test_the_nodes_of_a_cluster() -> None:
    """In columns; drones and proxies apart."""
    drone = NodeView(NodeNameView(drone="dr-1"), "0.1", "h", "co-1", 2)
    proxy = NodeView(NodeNameView(proxy="px-1"), "0.1", "h", "co-1", 2)
    state = ClusterStateView([DroneView(True, False, 3, 12, drone)], [proxy])
    assert cluster_lines("c", state) == [
        "DRONE  READY  DRAINING  BACKENDS  HEARTBEAT  VERSION  CONTROLLER",
        "dr-1   yes    no        12        3 s ago    0.1      co-1 (2 s ago)",
        "",
        "PROXY  VERSION  CONTROLLER",
        "px-1   0.1      co-1 (2 s ago)",
    ]


def test_an_empty_cluster() -> None:
    """Nothing is said in words, not by silence."""
    assert cluster_lines("c.example", ClusterStateView([], [])) == ["Nothing is connected for c.example."]
