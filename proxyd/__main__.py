"""
The edge of the proxy: argv and environment in, one running proxy out. Shown to users as `plane proxy`.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time

import click

from daemonkit import logs, service
from daemonkit.release import own_version
from options.command import PlaneCommand, option
from options.types import (
    WEB_URL,
    ClusterNameType,
    ControllerAddress,
    ControllerUrl,
    NodeNameType,
    PortType,
    SecondsType,
)
from protocol.names import Prefix, draw_name
from proxyd.access_log import AccessLog
from proxyd.config import Settings
from proxyd.service import Proxy, serve


@click.command(cls=PlaneCommand)
@option(
    "--controller-url",
    "controller",
    type=ControllerUrl(),
    required=True,
    secret=True,
    help="Where a controller is; a bearer token may stand as the user part.",
)
@option("--cluster", type=ClusterNameType(), required=True, help="The cluster whose backends are reached here.")
@option("--name", type=NodeNameType(Prefix.PROXY), help="This proxy's name; drawn when left out.")
@option("--http-port", type=PortType(), default=9090, show_default=True, help="The port for plain HTTP.")
@option("--root-redirect-url", type=WEB_URL, help="Where / leads; 400 when left out.")
@option("--heartbeat", type=SecondsType(), default=7.0, show_default=True, help="Seconds between two reports of use.")
def command(
    *,
    controller: ControllerAddress,
    cluster: str,
    name: str | None,
    http_port: int,
    root_redirect_url: str | None,
    heartbeat: float,
) -> None:
    """Lead browsers to the backends of a cluster."""
    settings = Settings(
        controller=controller,
        cluster=cluster,
        name=name or draw_name(Prefix.PROXY, random.SystemRandom()),
        http_port=http_port,
        root_redirect_url=root_redirect_url,
        heartbeat=heartbeat,
    )
    logs.configure()

    async def run(stopping: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        write = None if sys.stderr.isatty() else _write_to_stderr
        log_to = AccessLog(loop.time, time.time, write=write)
        await serve(Proxy(settings, own_version(os.environ), log_to=log_to, loop=loop), stopping)

    sys.exit(service.run(run))


def _write_to_stderr(lines: bytes) -> None:
    sys.stderr.buffer.write(lines)
    sys.stderr.buffer.flush()


def main() -> None:
    """Run the proxy; never returns."""
    command(prog_name="plane proxy")


if __name__ == "__main__":
    main()
