"""
Reads of the fleet that are asked seldom. They count nothing of sessions: drones know no backends.
"""

from __future__ import annotations

import datetime as dt

from django.db.models import F, FloatField, QuerySet
from django.db.models.expressions import Func
from django.db.models.functions import Coalesce, Now

from drones.models import Drone, Node, NodeKind


class _SecondsSince(Func):
    """Seconds from a moment until now, by the database's clock."""

    template = "extract(epoch from now() - %(expressions)s)"
    output_field = FloatField()


def connected_nodes(cluster: str, kind: NodeKind, *, unhealthy: dt.timedelta) -> QuerySet[Node]:
    """Return the nodes of a kind that a live controller holds a socket of, oldest first, with its age."""
    return (
        Node.objects.filter(
            cluster=cluster,
            kind=kind,
            controller__goodbye_at__isnull=True,
            controller__last_heartbeat_at__gt=Now() - unhealthy,
        )
        .annotate(controller_age=_SecondsSince(F("controller__last_heartbeat_at")))
        .order_by("id")
    )


def connected_drones(cluster: str, *, unhealthy: dt.timedelta) -> QuerySet[Drone]:
    """Return the connected drones of a cluster, oldest first, with `heartbeat_age` and `controller_age`."""
    return (
        Drone.objects.filter(node__in=connected_nodes(cluster, NodeKind.DRONE, unhealthy=unhealthy))
        .select_related("node")
        .annotate(
            heartbeat_age=_SecondsSince(Coalesce(F("last_heartbeat_at"), F("node__connected_at"), Now())),
            controller_age=_SecondsSince(F("node__controller__last_heartbeat_at")),
        )
        .order_by("node_id")
    )
