"""
Reads of the sessions that are asked seldom, through the ORM. The hot ones are statements beside the services.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import Count

from backends.models import TERMINATED_RANK, Backend
from drones.models import Node, NodeKind
from drones.selectors import connected_drones, connected_nodes
from protocol.views import ClusterStateView, DroneView, NodeNameView, NodeView

_NAME_TAGS = {NodeKind.DRONE: "drone", NodeKind.PROXY: "proxy", NodeKind.DNS: "dns"}


def read_cluster_state(cluster: str, *, unhealthy: dt.timedelta) -> ClusterStateView:
    """Return the connected nodes of a cluster, oldest first. A cluster that nobody serves is an empty one."""
    drones = list(connected_drones(cluster, unhealthy=unhealthy))
    counts = _count_live_backends([drone.pk for drone in drones])
    return ClusterStateView(
        drones=[
            DroneView(
                # Nothing is scheduled there before its first heartbeat on this connection.
                ready=drone.ready and drone.last_heartbeat_at is not None,
                draining=drone.draining,
                last_heartbeat_age=_whole(_annotation(drone, "heartbeat_age")),
                backend_count=counts.get(drone.pk, 0),
                node=_view_node(drone.node, _annotation(drone, "controller_age")),
            )
            for drone in drones
        ],
        proxies=[
            _view_node(node, _annotation(node, "controller_age"))
            for node in connected_nodes(cluster, NodeKind.PROXY, unhealthy=unhealthy)
        ],
    )


def _count_live_backends(drones: list[int]) -> dict[int, int]:
    live = Backend.objects.filter(drone_id__in=drones, status_rank__lt=TERMINATED_RANK)
    return {row["drone_id"]: row["count"] for row in live.values("drone_id").annotate(count=Count("id"))}


def _view_node(node: Node, controller_age: float) -> NodeView:
    assert node.controller_id is not None, "the node is connected"
    return NodeView(
        name=NodeNameView(**{_NAME_TAGS[NodeKind(node.kind)]: node.name}),
        plane_version=node.version,
        plane_hash=node.git_hash,
        controller=node.controller_id,
        controller_heartbeat_age=_whole(controller_age),
    )


def _annotation(row: Any, name: str) -> float:
    value: float = getattr(row, name)
    return float(value)


def _whole(seconds: float) -> int:
    """Return whole seconds; never less than none, though clocks read within one query may differ."""
    return max(0, int(seconds))
