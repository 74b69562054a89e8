"""What the engine is asked to create."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.runtime.docker.container_spec import (
    NetworkRefused,
    backend_of,
    container_name,
    create_config,
    limits_config,
)
from agentd.runtime.settings import RuntimeSettings
from protocol.spawn import Executable, Readiness, ResourceLimits
from tests.unit.agentd.runtime.orders import IMAGE, SETTINGS, acquired, order


def host_config(executable: Executable, settings: RuntimeSettings = SETTINGS) -> dict[str, Any]:
    config: dict[str, Any] = create_config(order(executable), settings, mount_source=None)["HostConfig"]
    return config


def test_a_plain_order() -> None:
    """Everything that is always there, and nothing that was not asked for."""
    assert create_config(order(key=acquired()), SETTINGS, mount_source=None) == {
        "Image": IMAGE,
        "Env": [
            "PORT=8080",
            "SESSION_BACKEND_ID=be1",
            "SESSION_BACKEND_KEY=room-1",
            "SESSION_BACKEND_FENCING_TOKEN=17",
        ],
        "Labels": {
            "dev.plane.backend": "true",
            "dev.plane.drone": "dr-one",
            "dev.plane.cluster": "localhost:9090",
        },
        "ExposedPorts": {"8080/tcp": {}},
        "HostConfig": {
            "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]},
            "RestartPolicy": {"Name": "no"},
            "CapDrop": ["ALL"],
            "CapAdd": ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"],
            "SecurityOpt": ["no-new-privileges:true"],
            "PidsLimit": 4096,
            "Init": True,
        },
    }


def test_names_lead_back_to_backends() -> None:
    """With the slash that the engine puts in front; other containers have no backend."""
    assert container_name("be1") == "plane-be1"
    assert backend_of("/plane-be1") == backend_of("plane-be1") == "be1"
    assert backend_of("/postgres") is None


def test_all_limits_reach_the_engine() -> None:
    """In the engine's units; swap is not a way around the memory limit."""
    limits = ResourceLimits(
        cpu_period=50_000, cpu_period_percent=150, cpu_time_limit=60, memory_limit_bytes=2**28, disk_limit_bytes=2**30
    )
    assert limits_config(limits) == {
        "CpuPeriod": 50_000,
        "CpuQuota": 75_000,
        "Ulimits": [{"Name": "cpu", "Soft": 60, "Hard": 60}],
        "Memory": 2**28,
        "MemorySwap": 2**28,
        "StorageOpt": {"size": str(2**30)},
    }
    assert limits_config(ResourceLimits()) == {}


def test_a_percentage_alone_counts_from_100_ms_and_a_period_alone_limits_nothing() -> None:
    """As wire.md has it."""
    assert limits_config(ResourceLimits(cpu_period_percent=50)) == {"CpuPeriod": 100_000, "CpuQuota": 50_000}
    assert limits_config(ResourceLimits(cpu_period=20_000)) == {"CpuPeriod": 20_000}


@given(st.none() | st.integers(1000, 1_000_000), st.integers(1, 100_000))
def test_the_share_of_cpu_is_kept_and_the_kernel_takes_it(period: int | None, percent: int) -> None:
    """Quotas under a millisecond are refused by the kernel, so a short period grows."""
    config = limits_config(ResourceLimits(cpu_period=period, cpu_period_percent=percent))
    assert config["CpuQuota"] >= 1000
    assert 1000 <= config["CpuPeriod"] <= 1_000_000
    assert config["CpuQuota"] == config["CpuPeriod"] * percent // 100


@pytest.mark.parametrize("name", ["host", "none", "container:plane-other"])
def test_a_network_mode_is_no_network(name: str) -> None:
    """A backend on the host's network, or in another container's, would have no port of its own, and no walls."""
    with pytest.raises(NetworkRefused, match="refused"):
        host_config(Executable(image=IMAGE, network_name=name))


def test_what_the_drone_is_set_to_reaches_the_engine() -> None:
    """Runtime, log driver in either spelling, network of the request."""
    for log_config in (
        {"type": "local", "config": {"max-size": "1m"}},
        {"Type": "local", "Config": {"max-size": "1m"}},
    ):
        settings = dataclasses.replace(SETTINGS, docker_runtime="runsc", log_config=log_config)
        config = host_config(Executable(image=IMAGE, network_name="games"), settings)
        assert config["Runtime"] == "runsc"
        assert config["LogConfig"] == {"Type": "local", "Config": {"max-size": "1m"}}
        assert config["NetworkMode"] == "games"


def test_a_mount_appears_at_plane_data() -> None:
    """As a bind mount of what was made for it."""
    config = create_config(order(), SETTINGS, mount_source="/srv/mounts/room-1")["HostConfig"]
    assert config["Mounts"] == [{"Type": "bind", "Source": "/srv/mounts/room-1", "Target": "/plane-data"}]


def test_another_port_is_told_and_published_and_so_is_the_one_that_is_asked() -> None:
    """`executable.port` and `readiness.port` may differ."""
    asked = Executable(image=IMAGE, port=3000, readiness=Readiness(port=3001))
    config = create_config(order(asked), SETTINGS, mount_source=None)
    assert "PORT=3000" in config["Env"]
    assert list(config["HostConfig"]["PortBindings"]) == ["3000/tcp", "3001/tcp"]
