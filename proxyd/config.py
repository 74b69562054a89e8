"""
What a proxy is told at its start, and the limits it keeps. Values only; argv is read in `__main__`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from options.types import ControllerAddress


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds, sizes in bytes; tests make them small. There is none on a whole request: uploads take long."""

    head: float = 30.0  #: for a request head to arrive
    idle_client: float = 75.0  #: for the next request on a connection
    half_closed: float = 60.0  #: for an answer to begin after its client has stopped sending
    linger: float = 2.0  #: for a client to read the answer after which we hang up
    connect: float = 10.0
    idle_backend: float = 30.0
    #: A request that must not be sent twice uses a pooled connection only if it was in use so short a time ago.
    fresh_backend: float = 2.0
    idle_per_backend: int = 256
    open_per_backend: int = 10_000
    kept: int = 64 * 1024  #: what a client may send ahead
    answer: float = 5.0  #: for the controller to say anything about a token
    held: float = 300.0  #: for a backend to become ready
    held_per_backend: int = 1000
    held_in_all: int = 10_000
    stop: float = 10.0  #: for requests in flight to end after SIGTERM


@dataclass(frozen=True, slots=True)
class Settings:
    """One proxy."""

    controller: ControllerAddress
    cluster: str
    name: str
    http_port: int
    bind_hosts: tuple[str, ...] | None = None  #: None is every address of this machine
    root_redirect_url: str | None = None
    heartbeat: float = 7.0
    limits: Limits = field(default_factory=Limits)
