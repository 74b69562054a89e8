"""
Connect as one would write it first: a DRF view, a serializer, the ORM, a transaction.

It keeps the same rows as the product; it takes no key over and retries no lost race.
"""

from __future__ import annotations

import datetime as dt
import secrets
from random import SystemRandom
from typing import Any

from django.db import transaction
from django.db.models import Count, Q
from django.urls import path
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backends.models import Backend, BackendAction, BackendKey, BackendStateChange, Token
from drones.models import Drone
from protocol.names import Prefix, draw_name
from protocol.tokens import token_hash

DICE = SystemRandom()
LEASE = dt.timedelta(seconds=60)


class KeySerializer(serializers.Serializer[Any]):
    """A key as clients name it."""

    name = serializers.CharField(max_length=256)
    namespace = serializers.CharField(max_length=256, default="", allow_blank=True)
    tag = serializers.CharField(max_length=256, default="", allow_blank=True)


class ExecutableSerializer(serializers.Serializer[Any]):
    """What a backend runs."""

    image = serializers.CharField()
    env = serializers.DictField(child=serializers.CharField(), required=False)


class SpawnSerializer(serializers.Serializer[Any]):
    """How to spawn."""

    cluster = serializers.CharField()
    pool = serializers.CharField(default="", allow_blank=True)
    executable = ExecutableSerializer()
    max_idle_seconds = serializers.IntegerField(required=False, allow_null=True)


class ConnectSerializer(serializers.Serializer[Any]):
    """A connect request."""

    key = KeySerializer(required=False)
    spawn_config = SpawnSerializer(required=False)
    user = serializers.CharField(required=False, allow_null=True)
    auth = serializers.DictField(required=False)


class ConnectView(APIView):
    """POST /ctrl/connect."""

    def post(self, request: Request) -> Response:
        asked = ConnectSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        key = asked.validated_data.get("key") or {"name": draw_name(Prefix.KEY, DICE), "namespace": "", "tag": ""}
        held = (
            BackendKey.objects.filter(name=key["name"], namespace=key["namespace"], expires_at__gt=timezone.now())
            .select_related("backend")
            .first()
        )
        if held is not None and held.backend is not None:
            return self._answer(held.backend, asked.validated_data, drone=None)
        with transaction.atomic():
            drone = self._choose(asked.validated_data["spawn_config"])
            backend = self._spawn(drone, key, asked.validated_data["spawn_config"])
            return self._answer(backend, asked.validated_data, drone=drone.node.name)

    def _choose(self, config: Any) -> Drone:
        fresh = timezone.now() - dt.timedelta(seconds=15)
        eligible = Drone.objects.filter(
            node__cluster=config["cluster"], pool=config["pool"], ready=True, draining=False,
            last_heartbeat_at__gt=fresh, node__controller__goodbye_at__isnull=True,
        ).select_related("node").order_by("?")[:2]  # fmt: skip
        ids = [drone.pk for drone in eligible]
        counted = Drone.objects.filter(pk__in=ids).annotate(n=Count("backends", filter=Q(backends__status_rank__lt=70)))
        counts = {drone.pk: drone.n for drone in counted}
        return min(eligible, key=lambda drone: counts[drone.pk])

    def _spawn(self, drone: Drone, key: Any, config: Any) -> Backend:
        backend = Backend.objects.create(
            id=draw_name(Prefix.BACKEND, DICE), cluster=config["cluster"], drone=drone, key_name=key["name"],
            key_namespace=key["namespace"], key_tag=key["tag"], state={"status": "scheduled"},
            max_idle_seconds=config.get("max_idle_seconds"),
        )  # fmt: skip
        token = int(timezone.now().timestamp() * 1000)
        BackendKey.objects.create(**key, backend=backend, fencing_token=token, expires_at=timezone.now() + LEASE)
        action = {"Spawn": {"executable": config["executable"], "key": {"key": key, "token": token}}}
        BackendAction.objects.create(
            id=draw_name(Prefix.ACTION, DICE), backend=backend, drone=drone, kind="spawn", action=action
        )
        BackendStateChange.objects.create(backend=backend, status="scheduled", state={"status": "scheduled"})
        return backend

    def _answer(self, backend: Backend, asked: Any, *, drone: str | None) -> Response:
        token, secret = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        Token.objects.create(
            hash=token_hash(token), backend=backend, kind="bearer", username=asked.get("user"), auth=asked.get("auth"),
            secret=secret, expires_at=timezone.now() + dt.timedelta(hours=1),
        )  # fmt: skip
        return Response(
            {"backend_id": backend.id, "spawned": drone is not None, "status": backend.status, "token": token,
             "url": f"http://{backend.cluster}/{token}/", "subdomain": None, "secret_token": secret,
             "status_url": f"http://localhost/pub/b/{backend.id}/status", "drone": drone}
        )  # fmt: skip


urlpatterns = [path("ctrl/connect", ConnectView.as_view())]
