"""
The golden files of the wire: what each folder of tests/golden/wire holds, and how to look inside a message.

The bytes were written from the published protocol, not by our own encoder.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from protocol.api_errors import ApiError
from protocol.backend_state import BackendState
from protocol.channel import Handshake
from protocol.connect import ConnectRequest, ConnectResponse
from protocol.dns_messages import FromDns, ToDns
from protocol.drone_messages import DronePoll, DronePollAnswer, FromDrone, ToDrone
from protocol.executor_messages import ExecutorReply, ExecutorRequest
from protocol.proxy_messages import FromProxy, ToProxy
from protocol.views import (
    BackendStatusView,
    ClusterStateView,
    ControllerStatusView,
    DrainView,
    NodeView,
    RevokeRequest,
)

FOLDER: Final = Path(__file__).parents[1] / "golden" / "wire"

#: Each folder's type: what its files decode to.
KINDS: Final[dict[str, Any]] = {
    "state": BackendState,
    "connect_request": ConnectRequest,
    "connect_response": ConnectResponse,
    "status_view": BackendStatusView,
    "cluster_state": ClusterStateView,
    "node_view": NodeView,
    "controller_status": ControllerStatusView,
    "drain_view": DrainView,
    "revoke_request": RevokeRequest,
    "api_error": ApiError,
    "handshake": Handshake,
    "from_drone": FromDrone,
    "to_drone": ToDrone,
    "from_proxy": FromProxy,
    "to_proxy": ToProxy,
    "from_dns": FromDns,
    "to_dns": ToDns,
    "to_executor": ExecutorRequest,
    "from_executor": ExecutorReply,
    "poll": DronePoll,
    "poll_answer": DronePollAnswer,
}

#: Objects whose keys are data, not fields.
MAPS: Final = frozenset({"env", "auth", "user_data", "fields"})


def golden_files() -> list[Path]:
    """Return every golden file."""
    return sorted(FOLDER.glob("*/*.json"))


def label(path: Path) -> str:
    """Return a file's name as tests show it: folder/name."""
    return f"{path.parent.name}/{path.stem}"


def kind_of(path: Path) -> Any:
    """Return the type that a file holds."""
    return KINDS[path.parent.name]


def walk(value: Any) -> Iterator[Any]:
    """Yield a decoded value and everything within it."""
    yield value
    if isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            yield from walk(getattr(value, field))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from walk(item)


def enums_in(value: Any) -> set[enum.Enum]:
    """Return every enum member within a decoded value."""
    return {item for item in walk(value) if isinstance(item, enum.Enum)}


def with_strangers(document: Any) -> Any:
    """Return a JSON document with an unknown field added to each object that has fields."""
    if isinstance(document, list):
        return [with_strangers(item) for item in document]
    if not isinstance(document, dict):
        return document
    fields = {name: item if name in MAPS else with_strangers(item) for name, item in document.items()}
    return {"a_stranger": {"status": 1}, **fields, "ZStranger": [None]}
