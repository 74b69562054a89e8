"""
Where under the drone's mount base a backend's files live. Pure; nothing is looked up or made here.

The path comes from a client, by its own words or through the key's name, so it is taken as hostile: it stays under the
base, and two keys never share a directory by accident.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from urllib.parse import quote

from agentd.runtime.interface import StartFailed, StartOrder
from protocol.keys import KeyConfig

MOUNT_TARGET = "/plane-data"

#: Room for the digest below the 255 bytes that file systems allow a name.
_LONGEST_PLAIN_NAME = 180


class MountRefused(StartFailed):
    """The path asked for is not one under the mount base."""


@dataclass(frozen=True)
class MountPlan:
    """The names that lead from the mount base to the directory; or none, and why the mount is left out."""

    parts: tuple[str, ...] = ()
    left_out: str | None = None


def plan_mount(order: StartOrder, *, has_base: bool) -> MountPlan:
    """
    Decide which directory a backend gets.

    Raises:
        MountRefused: the path asked for would leave the base, or is all of it.
    """
    asked = order.executable.mount
    if asked is None or asked is False:
        return MountPlan()
    parts = () if asked is True else relative_parts(asked)
    if not has_base:
        return MountPlan(left_out="this drone has no mount base")
    if asked is True:
        if order.key is None:
            return MountPlan(left_out="the backend has no key to name the mount")
        parts = (directory_of_key(order.key.key),)
    return MountPlan(parts)


def relative_parts(path: str) -> tuple[str, ...]:
    """
    Take a relative path apart.

    Raises:
        MountRefused: it is absolute, goes up, or names nothing.
    """
    if path.startswith("/") or "\0" in path:
        raise MountRefused("the mount must be a relative path")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if not parts:
        raise MountRefused("the mount must name a directory under the mount base")
    if ".." in parts:
        raise MountRefused("the mount must not lead out of the mount base")
    return parts


def directory_of_key(key: KeyConfig) -> str:
    """
    Return the directory of a key: one name, different for every (namespace, name).

    A plain key name in no namespace is its own directory. `%.` and `%~` never come out of percent-encoding, so neither
    a namespace nor a digest can be imitated by a name.
    """
    name = _encode(key.name)
    if key.namespace:
        name = f"{_encode(key.namespace)}%.{name}"
    if len(name) <= _LONGEST_PLAIN_NAME:
        return name
    digest = hashlib.sha256(f"{key.namespace}\0{key.name}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"{name[:_LONGEST_PLAIN_NAME]}%~{digest}"


def _encode(name: str) -> str:
    encoded = quote(name, safe="", errors="surrogatepass")
    # Names of dots only mean other directories.
    return encoded.replace(".", "%2E") if not encoded.strip(".") else encoded
