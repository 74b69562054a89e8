"""
What a runtime is told about its drone when it is made. Already checked; see agentd.config.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class RuntimeSettings:
    """One drone's settings, for whichever runtime it uses; a runtime ignores what it has no use for."""

    drone: str  #: this drone's name, the label on everything it owns
    cluster: str
    ip: str  #: IPv4 at which proxies reach this drone: what goes into addresses
    bind_ip: str  #: address of this machine on which ports are published
    docker_runtime: str | None = None  #: such as `runsc`
    log_config: Mapping[str, Any] | None = None  #: Docker's: `{"type": …, "config": {…}}`
    mount_base: Path | None = None
    #: image names of the process runtime, and the command line of each
    process_images: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
