"""
Puts one controller together: what its requests share, what answers them, and what runs beside them.

Imported after `django.setup()`: it knows models.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
from collections.abc import Mapping
from dataclasses import dataclass
from random import SystemRandom
from urllib.parse import urlsplit

from django.db.migrations.loader import MigrationLoader

from backends.services.sweeper import Sweeper
from drones.context import ControllerContext
from drones.services.controllers import heartbeat_forever
from drones.terms import Terms
from plane_site import env
from plane_site.asgi import ControllerApplication
from plane_site.checks import demand_migrated
from plane_site.serve import Loop, Site, serve
from postgres.doorbell import Bell, Doorbell
from postgres.pool import open_pool
from protocol.channel import Version
from protocol.names import Prefix, draw_name


@dataclass(frozen=True, kw_only=True, repr=False)
class ControllerSettings:
    """What the flags of `plane controller` say. The address of the database holds a password: never shown."""

    dsn: str
    host: str
    port: int
    url: str
    default_cluster: str | None
    best_of: int
    cleanup_min_age: dt.timedelta | None
    terms: Terms


def run_controller(settings: ControllerSettings) -> None:
    """Serve a controller until it is told to end. Raises: StartRefused."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    demand_migrated(settings.dsn, frozenset(loader.disk_migrations))
    own_hosts = {urlsplit(settings.url).hostname or "", settings.host}
    allowed_hosts = frozenset(own_hosts.union(env.read_list(os.environ, env.ALLOWED_HOSTS)))

    async def open_context() -> ControllerContext:
        return await make_context(settings, own_version(os.environ))

    serve(
        Site(
            open_context=open_context,
            make_application=lambda context: ControllerApplication(context, allowed_hosts=allowed_hosts),
            loops=LOOPS,
            host=settings.host,
            port=settings.port,
        )
    )


async def make_context(settings: ControllerSettings, version: Version) -> ControllerContext:
    """Open what all requests of one controller share, under a new name."""
    name = draw_name(Prefix.CONTROLLER, SystemRandom())
    return ControllerContext(
        name=name,
        version=version.version,
        git_hash=version.git_hash,
        url=settings.url,
        pool=await open_pool(settings.dsn, name=name),
        bell=Bell(settings.dsn),
        doorbell=Doorbell(settings.dsn),
        terms=settings.terms,
        default_cluster=settings.default_cluster,
        best_of=settings.best_of,
        cleanup_min_age=settings.cleanup_min_age,
    )


def own_version(environ: Mapping[str, str]) -> Version:
    """Return the installed version, and the commit it was built from if the build left word of it."""
    try:
        version = importlib.metadata.version("plane")
    except importlib.metadata.PackageNotFoundError:
        version = "0.0.0"
    return Version(version, environ.get("PLANE_GIT_HASH") or "unknown")


async def _ring(context: ControllerContext) -> None:
    await context.bell.run()


async def _listen(context: ControllerContext) -> None:
    await context.doorbell.run()


async def _sweep(context: ControllerContext) -> None:
    await Sweeper(context).run()


#: What runs beside the requests.
LOOPS: tuple[Loop, ...] = (heartbeat_forever, _ring, _listen, _sweep)
