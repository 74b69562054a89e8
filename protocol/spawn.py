"""
What to run: an executable with its limits, and the configuration of a spawn.

Clients may send null for what they leave out; we never do (published peers refuse null in many places).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from protocol.names import BackendName, Subdomain

#: No control characters: PostgreSQL stores no NUL, headers carry none of the others.
Text = Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f]*\Z")]
ShortText = Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f]*\Z", max_length=256)]
#: Environment values may span lines, and may not hold NUL.
EnvironmentValue = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*\Z")]
EnvironmentName = Annotated[str, msgspec.Meta(pattern=r"^[^\x00=]+\Z", max_length=1024)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
#: Seconds that a backend has to answer for the first time, unless a request says otherwise.
READINESS_LIMIT: Final = 300
PullPolicy = Literal["IfNotPresent", "Always", "Never"]


class _Lenient(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of structs whose absent and null fields mean the same, and which write neither."""


class RegistryCredentials(_Lenient, frozen=True):
    """A registry's user and password; never logged."""

    username: Text
    password: Text

    def __repr__(self) -> str:
        return f"RegistryCredentials(username={self.username!r}, password=…)"


class ResourceLimits(_Lenient, frozen=True):
    """Limits of one container."""

    cpu_period: Annotated[int, msgspec.Meta(ge=1000, le=1_000_000)] | None = None  #: microseconds
    cpu_period_percent: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None  #: share of the period
    cpu_time_limit: Seconds | None = None  #: seconds of CPU for each process
    memory_limit_bytes: Count | None = None
    disk_limit_bytes: Count | None = None


class Readiness(_Lenient, frozen=True):
    """**ext** Where and for how long the first answer is looked for."""

    path: Annotated[str, msgspec.Meta(pattern=r"^/[^\x00-\x20\x7f]*\Z", max_length=2048)] | None = None  #: else "/"
    port: Port | None = None
    timeout_seconds: Seconds | None = None  #: else READINESS_LIMIT

    @property
    def target(self) -> str:
        """The path to ask for."""
        return "/" if self.path is None else self.path

    @property
    def patience(self) -> int:
        """Seconds to wait for the first answer."""
        return READINESS_LIMIT if self.timeout_seconds is None else self.timeout_seconds


class Executable(_Lenient, frozen=True):
    """What a backend runs. `port` and `readiness` are **ext**."""

    image: Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x20\x7f]+\Z", max_length=4096)]
    pull_policy: PullPolicy | None = None
    credentials: RegistryCredentials | None = None
    env: dict[EnvironmentName, EnvironmentValue] | None = None
    resource_limits: ResourceLimits | None = None
    mount: bool | Text | None = None
    network_name: ShortText | None = None
    port: Port | None = None
    readiness: Readiness | None = None

    def __repr__(self) -> str:
        # The environment may hold secrets, and reprs end up in logs.
        return f"Executable(image={self.image!r})"


class SpawnConfig(_Lenient, frozen=True):
    """How to spawn a backend when there is none to join. `idle_conflict` and `grace_seconds` are **ext**."""

    executable: Executable
    id: BackendName | None = None
    cluster: str | None = None
    pool: ShortText | None = None
    lifetime_limit_seconds: Seconds | None = None
    max_idle_seconds: Seconds | None = None
    use_static_token: bool | None = None
    subdomain: Subdomain | None = None
    idle_conflict: Literal["first", "largest"] | None = None
    grace_seconds: Seconds | None = None
