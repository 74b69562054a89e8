"""
The parts of a demo as data: which program, with what, and in which order they end. Starts nothing.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from planectl.demo.keepsakes import Keepsakes
from planectl.demo.settings import ADMIN_USER, IMAGE, DemoSettings
from planectl.parts import part_argv

#: Seconds that a backend has to end when the demo does; the demo's own needs none.
_GRACE_SECONDS: Final = 3

#: Runs inside the controller's Django. The password comes in the environment, since command lines can be read by all.
_MAKE_ADMIN: Final = """
import os
from django.contrib.auth import get_user_model
user, _ = get_user_model().objects.get_or_create(username=os.environ["DEMO_USER"])
user.is_staff = user.is_superuser = True
user.set_password(os.environ["DEMO_PASSWORD"])
user.save()
"""


@dataclass(frozen=True)
class Part:
    """One program of the demo. Those of an earlier stage end first; who has no patience left is killed."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    stage: int = 0
    patience: float = 3.0  #: seconds from SIGTERM to SIGKILL


class DemoPlan:
    """Makes each part of one demo. The drone ends first and the database last: each needs the next one to end well."""

    def __init__(self, settings: DemoSettings, keepsakes: Keepsakes, *, python: str) -> None:
        self._settings = settings
        self._keepsakes = keepsakes
        self._python = python

    def database(self) -> Part:
        """Return the server, whose first line on standard output is its address."""
        argv = (self._python, "-P", "-m", "postgres", str(self._settings.database))
        return Part("database", argv, stage=2, patience=3.0)

    def migration(self, dsn: str) -> Part:
        """Return what brings the tables up to date, and ends."""
        return Part("migrate", self._argv("migrate"), {"PLANE_DB": dsn})

    def admin_account(self, dsn: str) -> Part:
        """Return what makes the admin's user or sets its password again, and ends."""
        argv = (self._python, "-P", "-m", "plane_site", "shell", "-c", _MAKE_ADMIN)
        environment = {"PLANE_DB": dsn, "DEMO_USER": ADMIN_USER, "DEMO_PASSWORD": self._keepsakes.password}
        return Part("admin-account", argv, environment)

    def controller(self, dsn: str) -> Part:
        """Return the controller; on loopback it needs no authentication."""
        settings = self._settings
        argv = self._argv(
            "controller",
            "--host=127.0.0.1",
            f"--port={settings.controller_port}",
            f"--controller-url={settings.controller_url}",
            f"--default-cluster={settings.cluster}",
        )
        return Part("controller", argv, {"PLANE_DB": dsn}, stage=1, patience=5.0)

    def drone(self, *, with_docker: bool) -> Part:
        """Return the agent, for containers or for processes."""
        runtime = ["--runtime=docker"] if with_docker else ["--runtime=process", f"--process-image={self._stand_in()}"]
        argv = self._argv(
            "drone",
            *self._membership(self._keepsakes.drone),
            "--ip=127.0.0.1",
            f"--db={self._settings.journal}",
            f"--grace-seconds={_GRACE_SECONDS}",
            *runtime,
        )
        return Part("drone", argv, stage=0, patience=5.0)

    def proxy(self) -> Part:
        """Return the proxy, which listens for browsers."""
        argv = self._argv("proxy", *self._membership(self._keepsakes.proxy), f"--http-port={self._settings.proxy_port}")
        return Part("proxy", argv, stage=1, patience=5.0)

    def _argv(self, subcommand: str, *arguments: str) -> tuple[str, ...]:
        return tuple(part_argv(self._python, subcommand, arguments=arguments))

    def _membership(self, name: str) -> Sequence[str]:
        address, cluster = self._settings.controller_address, self._settings.cluster
        return (f"--controller-url={address}", f"--cluster={cluster}", f"--name={name}")

    def _stand_in(self) -> str:
        # No container holds its port back from the network, so it listens on loopback only.
        command = [self._python, "-P", "-m", "planectl.demo.backend", "--host", "127.0.0.1"]
        return f"{IMAGE}={shlex.join(command)}"


def stop_order(parts: Sequence[Part]) -> list[list[Part]]:
    """Return parts in groups that end together, in the order in which the groups end."""
    stages = sorted({part.stage for part in parts})
    return [[part for part in parts if part.stage == stage] for stage in stages]
