"""
The fleet's pages in the admin. They show and change nothing: rows are written by services, whose promises no form may
break. The installation's secret key is on none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest

from drones.models import CertificateLease, ChallengeValue, Controller, Drone, Installation, Node

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[Any]
else:
    # Django's own classes have no type parameters at run time.
    _Base = admin.ModelAdmin


class ReadOnlyAdmin(_Base):
    """Looking only. `exclude` keeps secrets, and what may hold some, off the page."""

    #: Counting all rows of a large table takes longer than anything else on its page.
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, _request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        return False


@admin.register(Installation)
class InstallationAdmin(ReadOnlyAdmin):
    """Which world this database is."""

    list_display = ("identity", "created_at", "server_started_at", "takeover_after")
    exclude = ("secret_key",)


@admin.register(Controller)
class ControllerAdmin(ReadOnlyAdmin):
    """Control-plane processes, the latest first."""

    list_display = ("name", "version", "url", "started_at", "last_heartbeat_at", "goodbye_at")
    ordering = ("-started_at",)
    search_fields = ("name",)


@admin.register(Node)
class NodeAdmin(ReadOnlyAdmin):
    """What holds, or held, a control socket."""

    list_display = ("name", "kind", "cluster", "version", "controller", "connected_at", "disconnected_at")
    list_filter = ("kind",)
    search_fields = ("name", "cluster")


@admin.register(Drone)
class DroneAdmin(ReadOnlyAdmin):
    """Machines that run backends."""

    list_display = ("node", "pool", "ready", "draining", "last_heard_at", "last_heartbeat_at")
    list_filter = ("ready", "draining")
    list_select_related: ClassVar = ("node",)
    search_fields = ("node__name", "pool")


@admin.register(CertificateLease)
class CertificateLeaseAdmin(ReadOnlyAdmin):
    """Which proxy may order a cluster's certificate."""

    list_display = ("cluster", "holder", "acquired_at", "expires_at")
    list_select_related: ClassVar = ("holder",)


@admin.register(ChallengeValue)
class ChallengeValueAdmin(ReadOnlyAdmin):
    """What the DNS responder publishes."""

    list_display = ("cluster", "value", "created_at", "expires_at")
