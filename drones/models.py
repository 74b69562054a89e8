"""
The fleet's tables: controllers, the nodes that hold sockets to them, drones, and what certificates need.

Rows are written by the statements beside the services; the ORM owns the schema, the admin and what is asked seldom.
All times are the database's. No time of a node is compared with them.
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class NodeKind(models.TextChoices):
    """What holds a control socket."""

    DRONE = "drone"
    PROXY = "proxy"
    DNS = "dns"


class Installation(models.Model):
    """
    The one row that says which world this database is: its identity, and a secret key when none is configured.

    It also says from when expired keys may be taken over. After the server has started, was promoted, or its clock has
    jumped, that is one full lease later; a server that no controller has met yet is another `server_started_at`.
    """

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    identity = models.UUIDField(default=uuid.uuid4, editable=False)
    secret_key = models.TextField(editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    server_started_at = models.DateTimeField(null=True, editable=False)
    takeover_after = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(condition=Q(id=1), name="installation_is_one")]

    def __str__(self) -> str:
        return str(self.identity)


class Controller(models.Model):
    """One control-plane process. It is live while it heartbeats and has not said goodbye."""

    name = models.CharField(max_length=45, primary_key=True)
    version = models.CharField(max_length=64)
    git_hash = models.CharField(max_length=64)
    url = models.TextField(blank=True)
    started_at = models.DateTimeField(db_default=Now())
    last_heartbeat_at = models.DateTimeField(db_default=Now())
    goodbye_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(name__startswith="co-"), name="controller_name_has_prefix")
        ]

    def __str__(self) -> str:
        return self.name


class Node(models.Model):
    """
    Whatever holds, or held, a control socket.

    `controller` and `connection` say who owns the socket; a late "offline" clears them only if both still match.
    """

    # Orders carry this id, and published drones read 32 bits of it.
    id = models.AutoField(primary_key=True)
    kind = models.CharField(max_length=8, choices=NodeKind)
    cluster = models.TextField(blank=True)  #: empty for DNS responders, which serve all clusters
    name = models.CharField(max_length=45)
    version = models.TextField(blank=True)
    git_hash = models.TextField(blank=True)
    extensions = models.JSONField(default=list)
    controller = models.ForeignKey(Controller, null=True, blank=True, on_delete=models.SET_NULL, related_name="nodes")
    connection = models.UUIDField(null=True, blank=True)
    connected_at = models.DateTimeField(null=True, blank=True)
    disconnected_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("cluster", "name", name="node_name_is_unique_in_its_cluster"),
            models.CheckConstraint(condition=Q(kind__in=["drone", "proxy", "dns"]), name="node_kind_is_known"),
            models.CheckConstraint(
                condition=Q(controller__isnull=True, connection__isnull=True)
                | Q(controller__isnull=False, connection__isnull=False),
                name="node_connection_has_a_controller",
            ),
            models.UniqueConstraint("connection", name="node_connection_is_unique"),
        ]
        indexes: ClassVar = [
            models.Index("cluster", "kind", condition=Q(controller__isnull=False), name="node_connected"),
        ]

    def __str__(self) -> str:
        return self.name


class Drone(models.Model):
    """
    A machine that runs backends.

    `last_heartbeat_at` (database clock) and `last_local_time` (the drone's own clock, milliseconds) belong to the
    present connection: registering clears both, and nothing is scheduled before they are set again.
    """

    node = models.OneToOneField(Node, primary_key=True, on_delete=models.CASCADE, related_name="drone")
    pool = models.TextField(blank=True)
    ready = models.BooleanField(default=False)
    draining = models.BooleanField(default=False)
    instance = models.TextField(blank=True)  #: the id of its agent's journal; empty for agents that sent none
    last_heard_at = models.DateTimeField(null=True, blank=True)  #: on any connection; decides unhealthy and lost
    last_heartbeat_at = models.DateTimeField(null=True, blank=True)
    last_local_time = models.BigIntegerField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(last_heartbeat_at__isnull=True, last_local_time__isnull=True)
                | Q(last_heartbeat_at__isnull=False, last_local_time__isnull=False),
                name="drone_heartbeat_has_a_clock",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                "pool", "last_heartbeat_at", condition=Q(ready=True, draining=False), name="drone_schedulable"
            ),
        ]

    def __str__(self) -> str:
        return str(self.node)


class CertificateLease(models.Model):
    """Which proxy of a cluster may order a certificate now: one at a time, until it expires."""

    cluster = models.TextField(primary_key=True)
    holder = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="certificate_leases")
    acquired_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.cluster


class ChallengeValue(models.Model):
    """A value that the DNS responder publishes under a cluster's challenge name."""

    cluster = models.TextField()
    value = models.TextField()
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint("cluster", "value", name="challenge_value_is_published_once")]

    def __str__(self) -> str:
        return self.cluster
