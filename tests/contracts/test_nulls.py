"""
Null against absent: we read null wherever a field may be absent, and never write it where published peers refuse it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from protocol.codec import InvalidMessage, decode, encode
from protocol.connect import ConnectRequest
from protocol.drone_messages import FromDrone, ToDrone
from protocol.executor_messages import ExecutorReply
from protocol.keys import KeyConfig
from protocol.spawn import Executable
from tests.contracts.wire_files import MAPS
from tests.strategies import structs

REQUEST_NULLS = ["key", "spawn_config", "user", "auth", "wait_for_release"]
KEY_NULLS = ["namespace", "tag"]
CONFIG_NULLS = [
    "id",
    "cluster",
    "pool",
    "lifetime_limit_seconds",
    "max_idle_seconds",
    "use_static_token",
    "subdomain",
    "idle_conflict",
    "grace_seconds",
]
EXECUTABLE_NULLS = [
    "pull_policy",
    "credentials",
    "env",
    "resource_limits",
    "mount",
    "network_name",
    "port",
    "readiness",
]
LIMIT_NULLS = ["cpu_period", "cpu_period_percent", "cpu_time_limit", "memory_limit_bytes", "disk_limit_bytes"]


def read(document: Any) -> ConnectRequest:
    return decode(json.dumps(document), ConnectRequest)


@pytest.mark.parametrize("name", REQUEST_NULLS)
def test_a_null_in_a_request_means_absent(name: str) -> None:
    """For every field of it."""
    assert read({name: None}) == read({}) == ConnectRequest()


@pytest.mark.parametrize("name", KEY_NULLS)
def test_a_null_in_a_key_means_absent(name: str) -> None:
    """Both lead to the empty string in the end."""
    request = read({"key": {"name": "room-1", name: None}})
    assert request == read({"key": {"name": "room-1"}})
    assert request.key is not None
    assert request.key.settled() == KeyConfig("room-1", "", "")


@pytest.mark.parametrize("name", CONFIG_NULLS)
def test_a_null_in_a_spawn_config_means_absent(name: str) -> None:
    """For every field but the executable."""
    config: dict[str, Any] = {"executable": {"image": "app"}}
    assert read({"spawn_config": {**config, name: None}}) == read({"spawn_config": config})


@pytest.mark.parametrize("name", EXECUTABLE_NULLS)
def test_a_null_in_an_executable_means_absent(name: str) -> None:
    """For every field but the image."""
    assert decode(json.dumps({"image": "app", name: None}), Executable) == Executable(image="app")


@pytest.mark.parametrize("name", LIMIT_NULLS)
def test_a_null_limit_means_no_limit(name: str) -> None:
    """And is not passed on as null."""
    limited = decode(json.dumps({"image": "app", "resource_limits": {name: None}}), Executable)
    assert encode(limited) == b'{"image":"app","resource_limits":{}}'


@pytest.mark.parametrize("body", ['{"spawn_config":{}}', '{"spawn_config":{"executable":{}}}', '{"key":{}}'])
def test_what_may_not_be_absent_is_named(body: str) -> None:
    """An executable needs its image, a key its name; the refusal says which."""
    with pytest.raises(InvalidMessage, match=r"missing required field `(executable|image|name)`"):
        decode(body, ConnectRequest)


@given(structs(ConnectRequest))
def test_a_request_of_ours_holds_no_null(request: ConnectRequest) -> None:
    """Published controllers refuse null for what they expect to be left out."""
    assert _nulls(json.loads(encode(request))) == []


@given(structs(Executable))
def test_an_executable_of_ours_holds_no_null(executable: Executable) -> None:
    """Published drones do too, and the controller passes an executable on as it is."""
    assert _nulls(json.loads(encode(executable))) == []


@pytest.mark.parametrize("event", ['{"message":%s}', '{"id":null,"message":%s}'])
def test_an_executor_event_has_a_null_id_or_none(event: str) -> None:
    """Either says that nobody asked."""
    message = '{"TerminateEvent":{"backend_id":"k3v9x2m7q1w8e5","exit_code":0}}'
    assert decode(event % message, ExecutorReply).id is None


def test_published_messages_hold_nulls_where_ours_hold_facts() -> None:
    """A process that left by itself; a key that could not be renewed; a spawn without a key."""
    gone = (
        '{"BackendEvent":{"event_id":1,"backend_id":"k3v9x2m7q1w8e5","timestamp":1,"state":'
        '{"status":"terminated","last_status":"ready","termination":null,"reason":null,"exit_code":null}}}'
    )
    assert _nulls(json.loads(encode(decode(gone, FromDrone)))) == [
        f".BackendEvent.state.{name}" for name in ("termination", "reason", "exit_code")
    ]
    refused = '{"RenewKeyResponse":{"backend":"k3v9x2m7q1w8e5","deadlines":null}}'
    assert encode(decode(refused, ToDrone)).decode() == refused


def _nulls(document: Any, path: str = "") -> list[str]:
    """Return the paths of all nulls outside of maps, whose content is the application's."""
    if document is None:
        return [path]
    if isinstance(document, list):
        return [null for item in document for null in _nulls(item, path)]
    if isinstance(document, dict):
        return [null for name, item in document.items() if name not in MAPS for null in _nulls(item, f"{path}.{name}")]
    return []
