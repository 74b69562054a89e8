"""
The flags of `plane drone`, and the settings they become.
"""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import click

from agentd.driver import DriverPacing
from agentd.runtime.settings import RuntimeSettings
from agentd.settings import AgentSettings
from options.command import BadSettings, PlaneCommand, option
from options.types import (
    ClusterNameType,
    ControllerUrl,
    ImageCommandType,
    IpAddressType,
    Ipv4OrNameType,
    NodeNameType,
    SecondsType,
)
from protocol.names import Prefix

#: Flags that would do nothing with a runtime.
_FOREIGN: Final = {"docker": ("process_images",), "process": ("docker_runtime", "log_config", "mount_base")}


@dataclass(frozen=True)
class Invocation:
    """What one command line asks for: an agent, and the runtime it is to use."""

    agent: AgentSettings
    runtime: str  #: `docker` or `process`
    runtime_settings: Callable[[str], RuntimeSettings]  #: given the drone's name


class LogConfigType(click.ParamType[Any]):
    """Docker's log configuration: a JSON object with `type`, and `config` if need be."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Mapping[str, Any]:
        if isinstance(value, Mapping):
            return value
        try:
            config = json.loads(value)
        except ValueError as error:
            self.fail(f"it is not JSON: {error}.", param, ctx)
        if not isinstance(config, dict) or not isinstance(config.get("type"), str):
            self.fail('expected an object such as {"type": "journald", "config": {}}.', param, ctx)
        options = config.get("config")
        if not (options is None or (isinstance(options, dict) and all(isinstance(v, str) for v in options.values()))):
            self.fail("its config must be an object of strings.", param, ctx)
        if unknown := set(config) - {"type", "config"}:
            self.fail(f"unknown: {', '.join(sorted(unknown))}.", param, ctx)
        return config


class JournalType(click.Path):
    """A file, which may not exist yet. Never a URL: PLANE_DB is where a controller finds its database."""

    name = "file"

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if "://" in str(value):
            # Not repeated: the URL of a database holds a password.
            self.fail("a drone's journal is a file, and this is a URL.", param, ctx)
        return super().convert(value, param, ctx)


class FolderType(click.Path):
    """A folder that exists, as an absolute path."""

    name = "folder"

    def __init__(self) -> None:
        super().__init__(exists=True, file_okay=False, resolve_path=True, path_type=Path)


def is_own_address(address: str) -> bool:
    """Tell whether an address is one of this machine's, by binding a port of the kernel's choice to it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            return error.errno != errno.EADDRNOTAVAIL
    return True


def command(serve: Callable[[Invocation], int], draw_name: Callable[[Prefix], str]) -> click.Command:
    """Return the command `plane drone`, which serves what its flags say and exits with what that returns."""

    @click.command(cls=PlaneCommand, name="drone", help="Run backends on this machine, as its controller orders.")
    @option("--controller-url", type=ControllerUrl(), required=True, secret=True, help="Where the controller is.")
    @option("--cluster", type=ClusterNameType(), required=True, help="The cluster this drone belongs to.")
    @option(
        "--name", type=NodeNameType(Prefix.DRONE), help="This drone's name; the journal's or a new one if left out."
    )
    @option(
        "--ip", type=Ipv4OrNameType(), default="127.0.0.1", show_default=True, help="Where proxies reach this drone."
    )
    @option("--bind-ip", type=IpAddressType(), help="Where ports are published; --ip if that is this machine's.")
    @option("--db", type=JournalType(), help="The journal's file; in memory if left out.")
    @option("--pool", default="", help="The pool this drone belongs to.")
    @option("--runtime", type=click.Choice(["docker", "process"]), default="docker", show_default=True)
    @option("--docker-runtime", help="The engine's runtime for containers, such as runsc.")
    @option("--log-config", type=LogConfigType(), help="Docker's log configuration of containers, as JSON.")
    @option("--mount-base", type=FolderType(), help="The folder that mounts are folders of.")
    @option("--process-image", "process_images", type=ImageCommandType(), multiple=True, help="A program as an image.")
    @option("--heartbeat", type=SecondsType(), default=7.0, show_default=True, help="Seconds between heartbeats.")
    @option(
        "--grace-seconds", type=SecondsType(or_none=True), default=30.0, show_default=True, help="SIGTERM to SIGKILL."
    )
    @click.pass_context
    def drone(context: click.Context, /, **flags: Any) -> None:
        context.exit(serve(settle(flags, draw_name)))

    return drone


def settle(flags: Mapping[str, Any], draw_name: Callable[[Prefix], str]) -> Invocation:
    """
    Make settings of the values of all flags.

    Raises:
        BadSettings: flags that do not go together, all of them named.
    """
    complaints = _complaints(flags)
    if complaints:
        raise BadSettings(complaints, click.get_current_context(silent=True))
    agent = AgentSettings(
        controller=flags["controller_url"],
        cluster=flags["cluster"],
        name=flags["name"] or draw_name(Prefix.DRONE),
        is_name_given=flags["name"] is not None,
        pool=flags["pool"],
        journal=flags["db"],
        heartbeat=flags["heartbeat"],
        driving=DriverPacing(grace=flags["grace_seconds"]),
    )
    runtime_settings = partial(
        RuntimeSettings,
        cluster=flags["cluster"],
        ip=flags["ip"],
        bind_ip=flags["bind_ip"] or flags["ip"],
        docker_runtime=flags["docker_runtime"],
        log_config=flags["log_config"],
        mount_base=flags["mount_base"],
        process_images=dict(flags["process_images"]),
    )
    return Invocation(agent, flags["runtime"], runtime_settings)


def _complaints(flags: Mapping[str, Any]) -> list[str]:
    complaints = []
    address = flags["bind_ip"] or flags["ip"]
    if flags["bind_ip"] is None and not is_own_address(address):
        complaints.append(
            f"--ip {address} is not an address of this machine: say with --bind-ip where to publish ports."
        )
    elif not is_own_address(address):
        complaints.append(f"--bind-ip {address} is not an address of this machine.")
    for flag in _FOREIGN[flags["runtime"]]:
        if flags[flag]:
            name = "--process-image" if flag == "process_images" else "--" + flag.replace("_", "-")
            complaints.append(f"{name} means nothing with --runtime {flags['runtime']}.")
    return complaints
