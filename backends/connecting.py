"""
What a connect asks for, and what the database's answer to it means. Decides; stores nothing.

The statement `backends/services/connect.sql` reads and writes in one go and returns what it saw and did; here that is
judged: joined, spawned, worth waiting for, a race lost, or refused, and then as what.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from protocol.backend_state import BackendStatus
from protocol.codec import encode
from protocol.connect import ConnectRequest
from protocol.keys import KeyConfig
from protocol.names import parse_cluster
from protocol.spawn import SpawnConfig

#: Bytes that `user` and `auth` may have together, as JSON: they travel in headers.
USER_LIMIT: Final = 4096

_CONTROL_CHARACTER = re.compile(rb"(?<!\\)(?:\\\\)*\\(?:u00[01]|[bfnrt])|\x7f")


class ConnectRefused(Exception):
    """Base of the refusals of a connect."""


class KeyHeld(ConnectRefused):
    """The key is held by a live backend with another tag."""


class KeyHeldUnhealthy(ConnectRefused):
    """The key's holder is not heard from, or is ending and did not end in the time given; the key comes free soon."""


class KeyUnheldNoSpawnConfig(ConnectRefused):
    """There is nothing to join, and the request does not say what to spawn."""


class NoClusterProvided(ConnectRefused):
    """Neither the request nor the controller names a cluster."""


class NoDroneAvailable(ConnectRefused):
    """No drone of this cluster and pool may get a backend now."""


class FailedToRemoveKey(ConnectRefused):
    """An expired key was renewed at the last moment, again and again."""


class FailedToAcquireKey(ConnectRefused):
    """The key or the backend's name was taken by others."""


class InvalidField(ValueError):
    """A part of the request that is well-formed and still cannot be."""

    def __init__(self, field: str, complaint: str) -> None:
        super().__init__(f"{field}: {complaint}")
        self.field = field
        self.complaint = complaint


@dataclass(frozen=True)
class Joined:
    """The key is held; a token for its holder is stored, unless the holder has a static one."""

    backend: str
    status: BackendStatus
    cluster: str
    subdomain: str | None
    static_token: str | None


@dataclass(frozen=True)
class Spawned:
    """A backend was scheduled; its drone waits for a ring. `ended` lost the key for it."""

    drone: str
    drone_id: int
    ended: str | None


@dataclass(frozen=True)
class Occupied:
    """The key will come free: its holder is ending."""

    backend: str


@dataclass(frozen=True)
class Overtaken:
    """Somebody else was faster; nothing is stored. `refusal` is what to say after too many of these."""

    refusal: ConnectRefused


Outcome = Joined | Spawned | Occupied | Overtaken


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A connect request with everything settled that needs no database."""

    key: KeyConfig | None
    spawn: SpawnConfig | None
    cluster: str | None
    user: str | None
    auth: str  #: JSON
    wait_seconds: int


def settle_request(request: ConnectRequest, default_cluster: str | None) -> Wish:
    """
    Check what the types alone cannot, and fill in what was left out.

    Raises:
        InvalidField: too long, or with control characters.
        InvalidClusterName: the cluster is neither `host` nor `host:port`.
        KeyUnheldNoSpawnConfig: neither a key nor anything to spawn.
    """
    if request.key is None and request.spawn_config is None:
        raise KeyUnheldNoSpawnConfig("there is neither a key to join nor a spawn_config")
    auth = _encode_auth(request.auth or {})
    # Of what was left out nothing counts.
    size = (len(auth) if request.auth else 0) + (0 if request.user is None else len(encode(request.user)))
    if size > USER_LIMIT:
        field = "auth" if request.auth else "user"
        raise InvalidField(field, f"user and auth together must not exceed {USER_LIMIT} bytes as JSON")
    if _CONTROL_CHARACTER.search(auth):
        raise InvalidField("auth", "no control characters are allowed")
    asked = request.spawn_config.cluster if request.spawn_config else None
    cluster = default_cluster if asked is None else asked
    return Wish(
        key=None if request.key is None else request.key.settled(),
        spawn=request.spawn_config,
        cluster=None if cluster is None else str(parse_cluster(cluster)),
        user=request.user,
        auth=auth.decode(),
        wait_seconds=request.wait_for_release or 0,
    )


def _encode_auth(auth: dict[str, Any]) -> bytes:
    """Return what the application says of its user, as JSON. Raises: InvalidField."""
    try:
        return encode(auth)
    except (RecursionError, ValueError, OverflowError) as error:
        raise InvalidField("auth", "it is nested too deeply, or holds a number that is too large") from error


def judge_connect(wish: Wish, seen: Mapping[str, Any]) -> Outcome:
    """
    Read the one row that the connect statement returns.

    Raises:
        ConnectRefused: one of its kinds, when trying again at once would not help.
    """
    if seen["fencing_token"] is not None:
        return Spawned(seen["drone"], seen["drone_id"], seen["ended"])
    if seen["joinable"]:
        status = BackendStatus(seen["status"])
        return Joined(seen["backend_id"], status, seen["cluster"], seen["subdomain"], seen["static_token"])
    if seen["free"] is False:
        return _judge_held(wish, seen)
    if wish.spawn is None:
        raise KeyUnheldNoSpawnConfig("the key is free, and there is no spawn_config")
    if wish.cluster is None:
        raise NoClusterProvided("the spawn_config names no cluster, and the controller has no default cluster")
    if seen["drone_id"] is None:
        raise NoDroneAvailable(f"no drone is available in {wish.cluster}")
    if seen["backend_id"] is not None:
        return Overtaken(FailedToRemoveKey("the key had expired, and was renewed or taken by others"))
    return Overtaken(FailedToAcquireKey("the key was taken by others"))


def _judge_held(wish: Wish, seen: Mapping[str, Any]) -> Occupied:
    """Judge a key that is held and could not be joined. Raises: KeyHeld, KeyHeldUnhealthy."""
    ending = BackendStatus(seen["status"]).is_ending
    if wish.wait_seconds and (ending or seen["unhealthy"]):
        return Occupied(seen["backend_id"])
    assert wish.key is not None, "a random key is never held"
    if seen["tag"] != wish.key.tag:
        raise KeyHeld("the key is held by a backend with another tag")
    raise KeyHeldUnhealthy("the key is held by a backend whose drone is not heard from; it will be free soon")
