"""
The sessions' tables: backends, the keys they hold, orders to drones, history, tokens.

The guarantees live here: the unique index on a key's namespace and name is the lock, the rank of a status only grows,
one spawn order per backend, tokens as hashes. Rows are written by the statements beside the services.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Case, Q, Value, When
from django.db.models.functions import Now

from drones.models import Drone
from protocol.backend_state import RANKS, BackendStatus

STATUSES = [(str(status), str(status)) for status in BackendStatus]
TERMINATED_RANK = BackendStatus.TERMINATED.rank


def _rank_of(column: str) -> Case:
    """Return the published ordering number of a status column, as an expression."""
    whens = [When(**{column: str(status)}, then=Value(rank)) for status, rank in RANKS.items()]
    return Case(*whens, output_field=models.SmallIntegerField())


class ActionKind(models.TextChoices):
    """What an order asks of a drone."""

    SPAWN = "spawn"
    SOFT_TERMINATE = "soft-terminate"
    HARD_TERMINATE = "hard-terminate"
    PREPARE = "prepare"


class TokenKind(models.TextChoices):
    """A bearer token lets one user in; a static token is the backend's own."""

    BEARER = "bearer"
    STATIC = "static"


class Backend(models.Model):
    """One session process, from scheduled to terminated."""

    id = models.CharField(max_length=45, primary_key=True)
    cluster = models.TextField()
    drone = models.ForeignKey(Drone, on_delete=models.PROTECT, related_name="backends")
    key_namespace = models.TextField(blank=True)
    key_name = models.TextField()
    key_tag = models.TextField(blank=True)
    subdomain = models.CharField(max_length=63, null=True, blank=True)
    status = models.CharField(max_length=16, choices=STATUSES, default="scheduled")
    status_rank = models.GeneratedField(
        expression=_rank_of("status"), output_field=models.SmallIntegerField(), db_persist=True
    )
    state = models.JSONField()  #: the state object as on the wire
    status_at = models.DateTimeField(db_default=Now())  #: when the present status was stored
    address = models.TextField(null=True, blank=True)  #: ip:port, once known
    created_at = models.DateTimeField(db_default=Now())
    last_keepalive_at = models.DateTimeField(db_default=Now())  #: idleness counts from here; at first from creation
    max_idle_seconds = models.IntegerField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)  #: when its lifetime limit is reached

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(status__in=[str(s) for s in BackendStatus]), name="backend_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(max_idle_seconds__isnull=True) | Q(max_idle_seconds__gte=0),
                name="backend_max_idle_is_positive",
            ),
        ]
        indexes: ClassVar = [
            models.Index("drone", condition=Q(status_rank__lt=TERMINATED_RANK), name="backend_live_by_drone"),
            models.Index(
                "expires_at", condition=Q(status_rank__lt=60, expires_at__isnull=False), name="backend_overdue"
            ),
            models.Index(
                "last_keepalive_at",
                condition=Q(status_rank__lt=60, max_idle_seconds__isnull=False),
                name="backend_idle",
            ),
            models.Index("cluster", "created_at", name="backend_by_cluster"),
            models.Index("status_at", condition=Q(status_rank__gte=60), name="backend_ended"),
        ]

    def __str__(self) -> str:
        return self.id


class BackendKey(models.Model):
    """
    Who holds a key, until when. The unique index on namespace and name is the lock.

    A released key's row stays for a while, without a backend: its fencing token must never go back.
    """

    namespace = models.TextField(blank=True)
    name = models.TextField()
    tag = models.TextField(blank=True)
    backend = models.OneToOneField(Backend, null=True, blank=True, on_delete=models.SET_NULL, related_name="key")
    fencing_token = models.BigIntegerField()
    leased_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    renewable = models.BooleanField(default=True)  #: false after "prevent renewal"

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint("namespace", "name", name="backend_key_is_held_once")]
        indexes: ClassVar = [
            models.Index("expires_at", condition=Q(backend__isnull=True), name="backend_key_released"),
            models.Index("expires_at", condition=Q(backend__isnull=False), name="backend_key_by_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class BackendAction(models.Model):
    """An order to a drone, kept until the drone acknowledges it or the backend is gone."""

    id = models.CharField(max_length=45, primary_key=True)  #: `ak-…`
    backend = models.ForeignKey(Backend, null=True, blank=True, on_delete=models.CASCADE, related_name="actions")
    drone = models.ForeignKey(Drone, on_delete=models.CASCADE, related_name="actions")
    kind = models.CharField(max_length=16, choices=ActionKind)
    action = models.JSONField()  #: the action object as on the wire
    created_at = models.DateTimeField(db_default=Now())
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            # One spawn, one soft and one hard end per backend: asking twice is asking once.
            models.UniqueConstraint("backend", "kind", name="backend_action_is_given_once"),
            models.CheckConstraint(
                condition=Q(kind__in=["spawn", "soft-terminate", "hard-terminate", "prepare"]),
                name="action_kind_is_known",
            ),
            models.CheckConstraint(condition=Q(kind="prepare") | Q(backend__isnull=False), name="action_has_a_backend"),
        ]
        indexes: ClassVar = [
            models.Index(
                "drone",
                "created_at",
                condition=Q(acknowledged_at__isnull=True, withdrawn_at__isnull=True),
                name="backend_action_pending",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.backend_id}"


class BackendStateChange(models.Model):
    """One step in a backend's life. A status is entered at most once."""

    backend = models.ForeignKey(Backend, on_delete=models.CASCADE, related_name="history")
    status = models.CharField(max_length=16, choices=STATUSES)
    state = models.JSONField()
    drone_time = models.BigIntegerField(null=True, blank=True)  #: milliseconds on the drone's clock; for reading only
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("backend", "status", name="backend_status_is_entered_once"),
            models.CheckConstraint(
                condition=Q(status__in=[str(s) for s in BackendStatus]), name="state_change_status_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.backend_id} {self.status}"


class Token(models.Model):
    """What lets somebody in, found by its SHA-256. A bearer token itself is never stored."""

    hash = models.BinaryField(max_length=32, unique=True)
    backend = models.ForeignKey(Backend, on_delete=models.CASCADE, related_name="tokens")
    kind = models.CharField(max_length=8, choices=TokenKind)
    username = models.TextField(null=True, blank=True)
    auth = models.JSONField(null=True, blank=True)
    secret = models.TextField()  #: what must be told again: a bearer's secret token, or the static token itself
    created_at = models.DateTimeField(db_default=Now())
    last_used_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True, blank=True)  #: null for static tokens

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(kind__in=["bearer", "static"]), name="token_kind_is_known"),
            models.UniqueConstraint("backend", condition=Q(kind="static"), name="backend_has_one_static_token"),
        ]
        indexes: ClassVar = [
            models.Index("expires_at", condition=Q(expires_at__isnull=False), name="token_by_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} token of {self.backend_id}"
