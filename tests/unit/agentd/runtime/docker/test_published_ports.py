"""Which host port leads to a container's port."""

from __future__ import annotations

from typing import Any

import pytest

from agentd.runtime.docker.published_ports import published_port


def inspection(ports: Any) -> dict[str, Any]:
    return {"NetworkSettings": {"Ports": ports}}


def test_the_engines_own_account_counts() -> None:
    """IPv4 and IPv6 bindings of one port are the same port here."""
    bindings = [{"HostIp": "0.0.0.0", "HostPort": "49153"}, {"HostIp": "::", "HostPort": "49153"}]
    assert published_port(inspection({"8080/tcp": bindings, "9/tcp": None}), 8080) == 49153


@pytest.mark.parametrize("ports", [None, {}, {"8080/tcp": None}, {"8080/tcp": []}, {"8080/tcp": [{"HostPort": ""}]}])
def test_no_binding_is_no_port(ports: Any) -> None:
    """As for a container that has ended."""
    assert published_port(inspection(ports), 8080) is None
