"""
Executables and spawn configurations: what may be asked for.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from protocol.codec import InvalidMessage, decode, encode
from protocol.spawn import Executable, SpawnConfig


def executable(**fields: Any) -> Executable:
    return decode(json.dumps({"image": "app", **fields}), Executable)


@pytest.mark.parametrize("mount", [True, False, "projects/7"])
def test_a_mount_is_yes_no_or_a_path(mount: bool | str) -> None:
    """Yes means the key's name."""
    assert executable(mount=mount).mount == mount


def test_null_in_readiness_is_as_good_as_nothing() -> None:
    """As everywhere in a request: the root, and five minutes; and null is not passed on."""
    asked = executable(readiness={"path": None, "port": None, "timeout_seconds": None})
    assert asked.readiness is not None
    assert (asked.readiness.target, asked.readiness.port, asked.readiness.patience) == ("/", None, 300)
    assert encode(asked) == b'{"image":"app","readiness":{}}'
    chosen = executable(readiness={"path": "/up", "timeout_seconds": 0}).readiness
    assert chosen is not None
    assert (chosen.target, chosen.patience) == ("/up", 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"image": ""},
        {"image": "a b"},
        {"image": "a\n"},
        {"image": "x" * 4097},
        {"pull_policy": "always"},
        {"env": {"": "b"}},
        {"env": {"A=B": "c"}},
        {"env": {"A": "b\x00"}},
        {"env": {"A": 1}},
        {"env": ["A=b"]},
        {"mount": 1},
        {"mount": "a\x00b"},
        {"port": 0},
        {"port": 65536},
        {"network_name": "x" * 257},
        {"readiness": {"path": "healthy"}},
        {"readiness": {"timeout_seconds": -1}},
        {"resource_limits": {"memory_limit_bytes": -1}},
        {"resource_limits": {"cpu_period_percent": 0}},
        {"resource_limits": {"memory_limit_bytes": 2**63}},
        {"credentials": {"username": "robot"}},
    ],
    ids=str,
)
def test_what_cannot_be_run_is_refused_before_anything_is_stored(fields: dict[str, Any]) -> None:
    """Otherwise a drone would find out, too late to tell the caller."""
    with pytest.raises(InvalidMessage):
        executable(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "Mine"},
        {"id": ""},
        {"id": "x" * 46},
        {"pool": "x" * 257},
        {"pool": "a\x00"},
        {"lifetime_limit_seconds": -1},
        {"lifetime_limit_seconds": 2**31},
        {"max_idle_seconds": 1.5},
        {"max_idle_seconds": True},
        {"use_static_token": 1},
        {"subdomain": "a.b"},
        {"idle_conflict": "smallest"},
    ],
    ids=str,
)
def test_a_configuration_that_means_nothing_is_refused(fields: dict[str, Any]) -> None:
    """Types are not guessed: a number is not a yes."""
    with pytest.raises(InvalidMessage):
        decode(json.dumps({"executable": {"image": "app"}, **fields}), SpawnConfig)


def test_an_environment_value_may_span_lines() -> None:
    """Certificates and keys are passed this way."""
    assert executable(env={"CERT": "a\nb\tc"}).env == {"CERT": "a\nb\tc"}
