"""
The sessions' pages in the admin. Tokens, secrets, hashes, and orders (which hold environments) are on none of them.
"""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin

from backends.models import Backend, BackendAction, BackendKey, BackendStateChange, Token
from drones.admin import ReadOnlyAdmin


@admin.register(Backend)
class BackendAdmin(ReadOnlyAdmin):
    """Session processes, the latest first."""

    list_display = ("id", "status", "status_at", "cluster", "drone", "key_name", "created_at", "last_keepalive_at")
    list_filter = ("status",)
    list_select_related: ClassVar = ("drone__node",)
    ordering = ("-created_at",)
    search_fields = ("id", "key_name")


@admin.register(BackendKey)
class BackendKeyAdmin(ReadOnlyAdmin):
    """Who holds which key until when; a key without a backend is free."""

    list_display = ("name", "namespace", "tag", "backend", "fencing_token", "expires_at", "renewable")
    list_select_related: ClassVar = ("backend",)
    search_fields = ("name", "namespace")


@admin.register(BackendAction)
class BackendActionAdmin(ReadOnlyAdmin):
    """Orders to drones, without what they say."""

    list_display = ("id", "kind", "backend", "drone", "created_at", "acknowledged_at", "withdrawn_at")
    list_filter = ("kind",)
    list_select_related: ClassVar = ("backend", "drone__node")
    ordering = ("-created_at",)
    exclude = ("action",)


@admin.register(BackendStateChange)
class BackendStateChangeAdmin(ReadOnlyAdmin):
    """The steps of backends' lives."""

    list_display = ("backend", "status", "created_at")
    list_select_related: ClassVar = ("backend",)
    ordering = ("-id",)
    search_fields = ("backend__id",)


@admin.register(Token)
class TokenAdmin(ReadOnlyAdmin):
    """Who may get in where: not with what, nor what the application says of them."""

    list_display = ("id", "kind", "backend", "username", "created_at", "last_used_at", "expires_at")
    list_filter = ("kind",)
    list_select_related: ClassVar = ("backend",)
    exclude = ("hash", "secret", "auth")
    search_fields = ("backend__id", "username")
