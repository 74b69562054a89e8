"""
From an order to start a backend to what the engine is asked to create. Pure.

Backends are untrusted: they gain no privileges, keep only the capabilities that ordinary images need to start, and may
not fork without end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from agentd.runtime.docker.mount_path import MOUNT_TARGET
from agentd.runtime.docker.published_ports import bindings_of
from agentd.runtime.interface import StartFailed, StartOrder
from agentd.runtime.session_environment import port_of, session_environment
from agentd.runtime.settings import RuntimeSettings
from protocol.spawn import Executable, ResourceLimits

NAME_PREFIX: Final = "plane-"
BACKEND_LABEL: Final = "dev.plane.backend"
DRONE_LABEL: Final = "dev.plane.drone"
CLUSTER_LABEL: Final = "dev.plane.cluster"

#: What entry points of common images do: hand files and themselves to another user, listen on port 80, end children.
KEPT_CAPABILITIES: Final = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")
PROCESS_LIMIT: Final = 4096

_DEFAULT_CPU_PERIOD = 100_000  # microseconds
_LEAST_CPU_QUOTA = 1_000  # microseconds; the kernel takes no less


class NetworkRefused(StartFailed):
    """The network asked for would leave the backend without a port of its own."""


def container_name(backend: str) -> str:
    """Return the name of a backend's container."""
    return NAME_PREFIX + backend


def backend_of(name: str) -> str | None:
    """Return the backend whose container has this name (with or without the engine's leading slash)."""
    name = name.removeprefix("/")
    return name.removeprefix(NAME_PREFIX) if name.startswith(NAME_PREFIX) else None


def own_label(drone: str) -> str:
    """Return the label that all containers of a drone carry, as the engine's filters want it."""
    return f"{DRONE_LABEL}={drone}"


def create_config(order: StartOrder, settings: RuntimeSettings, *, mount_source: str | None) -> dict[str, Any]:
    """
    Return the body of the engine's create call.

    Raises:
        NetworkRefused: the request names a network mode instead of a network.
    """
    environment = session_environment(order, port=port_of(order.executable))
    bindings = bindings_of(order.executable, settings.bind_ip)
    return {
        "Image": order.executable.image,
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "Labels": {BACKEND_LABEL: "true", DRONE_LABEL: settings.drone, CLUSTER_LABEL: settings.cluster},
        "ExposedPorts": {port: {} for port in bindings},
        "HostConfig": {
            "PortBindings": bindings,
            "RestartPolicy": {"Name": "no"},
            **_hardening(),
            **limits_config(order.executable.resource_limits or ResourceLimits()),
            **_placement(order.executable, settings),
            **_mounts(mount_source),
        },
    }


def limits_config(limits: ResourceLimits) -> dict[str, Any]:
    """Return the part of the engine's HostConfig that holds a request's limits."""
    config: dict[str, Any] = _cpu_share(limits)
    if limits.cpu_time_limit is not None:
        config["Ulimits"] = [{"Name": "cpu", "Soft": limits.cpu_time_limit, "Hard": limits.cpu_time_limit}]
    if limits.memory_limit_bytes is not None:
        # Without the second the engine lets a container use as much swap again.
        config |= {"Memory": limits.memory_limit_bytes, "MemorySwap": limits.memory_limit_bytes}
    if limits.disk_limit_bytes is not None:
        config["StorageOpt"] = {"size": str(limits.disk_limit_bytes)}
    return config


def _cpu_share(limits: ResourceLimits) -> dict[str, Any]:
    if limits.cpu_period_percent is None:
        return {} if limits.cpu_period is None else {"CpuPeriod": limits.cpu_period}
    period = limits.cpu_period or _DEFAULT_CPU_PERIOD
    # A short period keeps its share by growing, since the quota cannot shrink below what the kernel takes.
    period = max(period, -(-_LEAST_CPU_QUOTA * 100 // limits.cpu_period_percent))
    return {"CpuPeriod": period, "CpuQuota": period * limits.cpu_period_percent // 100}


def _hardening() -> dict[str, Any]:
    return {
        "CapDrop": ["ALL"],
        "CapAdd": list(KEPT_CAPABILITIES),
        "SecurityOpt": ["no-new-privileges:true"],
        "PidsLimit": PROCESS_LIMIT,
        # Reaps children, and passes SIGTERM on to programs that would ignore it as process 1.
        "Init": True,
    }


def _placement(executable: Executable, settings: RuntimeSettings) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if executable.network_name:
        config["NetworkMode"] = _checked_network(executable.network_name)
    if settings.docker_runtime is not None:
        config["Runtime"] = settings.docker_runtime
    if settings.log_config is not None:
        # Written `type` or `Type` by operators; the engine knows only its own spelling.
        config["LogConfig"] = {key.capitalize(): value for key, value in settings.log_config.items()}
    return config


def _checked_network(name: str) -> str:
    if name in ("host", "none") or name.startswith("container:"):
        raise NetworkRefused(f"network {name!r} is refused: a backend needs a network in which it has ports of its own")
    return name


def _mounts(source: str | None) -> Mapping[str, Any]:
    if source is None:
        return {}
    return {"Mounts": [{"Type": "bind", "Source": source, "Target": MOUNT_TARGET}]}
