"""
The public status of a backend: what it is now, and all it has been.
"""

from __future__ import annotations

from typing import Any, Final, cast

from backends.services.terminate import NoSuchBackend
from drones.context import ControllerContext
from postgres.pool import Row
from postgres.statements import load
from protocol.backend_state import BackendState
from protocol.codec import decode
from protocol.views import BackendStatusView, view_status

READ_STATUS: Final = load(__file__, "read_status")
READ_HISTORY: Final = load(__file__, "read_history")


async def read_status(context: ControllerContext, backend: str) -> BackendStatusView:
    """Return what a backend is doing. Raises: NoSuchBackend, DatabaseUnavailable."""
    row = await context.pool.fetch_one(READ_STATUS, backend=backend)
    if row is None:
        raise NoSuchBackend(f"there is no backend {backend}")
    return _view(row)


async def read_history(context: ControllerContext, backend: str) -> list[BackendStatusView]:
    """Return all that a backend has been doing, the present last. Raises: NoSuchBackend, DatabaseUnavailable."""
    rows = await context.pool.fetch(READ_HISTORY, backend=backend)
    if not rows:
        raise NoSuchBackend(f"there is no backend {backend}")
    views = [_view(row) for row in rows]
    return sorted(views, key=lambda view: view.status.rank)


def _view(row: Row) -> BackendStatusView:
    return view_status(cast("BackendState", decode(row["state"], cast("Any", BackendState))), row["time"])
