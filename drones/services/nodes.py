"""
Nodes come and go: who holds a control socket, and at which controller.

The current connection is the one registered last. Only it may say "offline", and only it gets orders.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Final

from msgspec import UNSET

from drones.models import NodeKind
from postgres.pool import Pool
from postgres.statements import load
from protocol.channel import Handshake
from protocol.codec import encode

REGISTER_DRONE: Final = load(__file__, "register_drone")
REGISTER_NODE: Final = load(__file__, "register_node")
RELEASE_NODE: Final = load(__file__, "release_node")


class InstanceRefused(Exception):
    """Another agent, with another journal, was heard under this name a moment ago."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A node that has shaken hands, and the connection it did so on."""

    kind: NodeKind
    cluster: str
    handshake: Handshake
    controller: str
    connection: uuid.UUID


@dataclass(frozen=True)
class Connection:
    """A registered node's current connection, as long as the database agrees."""

    node: int
    uuid: uuid.UUID


async def register_drone(pool: Pool, arrival: Arrival, *, label: str, lost: dt.timedelta) -> Connection:
    """
    Make this connection the drone's current one, in the pool named `label`.

    Raises: InstanceRefused, DatabaseUnavailable.
    """
    instance = "" if arrival.handshake.instance is UNSET else arrival.handshake.instance
    row = await pool.fetch_one(REGISTER_DRONE, **_facts(arrival), pool=label, instance=instance, lost=lost)
    if row is None:
        raise InstanceRefused(f"another instance of {arrival.handshake.name} was heard within {lost}")
    return Connection(row["node_id"], arrival.connection)


async def register_node(pool: Pool, arrival: Arrival) -> Connection:
    """Make this connection the node's current one. Raises: DatabaseUnavailable."""
    row = await pool.fetch_one(REGISTER_NODE, kind=str(arrival.kind), **_facts(arrival))
    assert row is not None, "an upsert returns its row"
    return Connection(row["id"], arrival.connection)


async def release(pool: Pool, connection: Connection, *, controller: str) -> bool:
    """Say that a node is offline, unless it has come back on another connection. Raises: DatabaseUnavailable."""
    return bool(
        await pool.execute(RELEASE_NODE, node=connection.node, controller=controller, connection=connection.uuid)
    )


def _facts(arrival: Arrival) -> dict[str, object]:
    handshake = arrival.handshake
    return {
        "cluster": arrival.cluster,
        "name": handshake.name,
        "version": handshake.version.version,
        "git_hash": handshake.version.git_hash,
        "extensions": encode([] if handshake.extensions is UNSET else handshake.extensions).decode(),
        "controller": arrival.controller,
        "connection": arrival.connection,
    }
