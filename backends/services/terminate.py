"""
Terminate: store the order that ends a backend, and ring its drone. What ends it is the drone.
"""

from __future__ import annotations

from typing import Final

import structlog

from drones.context import ControllerContext
from postgres.statements import load
from protocol.backend_state import TerminationKind, TerminationReason
from protocol.names import Prefix, draw_name

TERMINATE: Final = load(__file__, "terminate")

_log = structlog.get_logger(__name__)


class NoSuchBackend(Exception):
    """There is no backend of this name."""


async def terminate(
    context: ControllerContext,
    backend: str,
    *,
    kind: TerminationKind,
    reason: TerminationReason = TerminationReason.EXTERNAL,
) -> None:
    """
    Ask a backend's drone to end it. Asking again, or asking of one that is gone, changes nothing.

    Raises:
        NoSuchBackend: there never was one of this name.
        DatabaseUnavailable: whether the order is stored is unknown; asking again is safe.
    """
    action = draw_name(Prefix.ACTION, context.dice)
    row = await context.pool.fetch_one(TERMINATE, backend=backend, action=action, kind=str(kind), reason=str(reason))
    if row is None:
        raise NoSuchBackend(f"there is no backend {backend}")
    if row["stored"]:
        context.bell.ring("drone", str(row["drone_id"]))
        _log.info("termination_ordered", backend=backend, kind=str(kind), reason=str(reason))
