"""
`plane demo`: an edge. Flags in, one demonstration, sentences out; exit status 1 when it cannot go on.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from random import SystemRandom
from typing import Any

import click

from options.command import PlaneCommand, option
from options.types import PortType
from planectl.demo.demonstration import Demonstration
from planectl.demo.engine import Engine, NoEngine, choose_engine, find_engine
from planectl.demo.keepsakes import recall
from planectl.demo.plan import DemoPlan
from planectl.demo.preflight import check_ports, sole_use
from planectl.demo.readiness import NotReady
from planectl.demo.settings import DemoRefused, DemoSettings
from planectl.demo.supervisor import PartFailed, StopAsked, Supervisor

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command(cls=PlaneCommand)
@option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".plane-demo"),
    show_default=True,
    help="What is kept between runs, and the logs of all parts.",
)
@option(
    "--runtime",
    type=click.Choice(["auto", "docker", "process"]),
    default="auto",
    show_default=True,
    help="What backends are; auto takes containers if a Docker engine answers.",
)
@option("--controller-port", type=PortType(), default=8080, show_default=True)
@option("--proxy-port", type=PortType(), default=9090, show_default=True)
def demo(*, data_dir: Path, runtime: str, controller_port: int, proxy_port: int) -> None:
    """Run everything on this machine, until Ctrl-C: a database, a controller, a drone, a proxy and a backend."""
    settings = DemoSettings(data_dir.absolute(), controller_port, proxy_port)
    try:
        with sole_use(settings):
            check_ports(settings)
            engine = _choose(runtime, os.environ)
            click.echo(f"Data and logs are in {settings.data_dir}.")
            _run(_demonstrate(settings, engine))
    except (DemoRefused, NotReady, PartFailed) as refusal:
        raise click.ClickException(str(refusal)) from refusal


def _choose(runtime: str, environment: Mapping[str, str]) -> Engine | None:
    found = NoEngine("processes were asked for") if runtime == "process" else find_engine(environment)
    engine = choose_engine(found, runtime)
    if isinstance(found, NoEngine):
        reason = found.reason[0].upper() + found.reason[1:]
        click.echo(f"{reason}: backends run as plain processes, with no isolation.")
        click.echo("They can do whatever this user can, so run no code there that you do not trust.")
    return engine


def _run(course: Coroutine[Any, Any, None]) -> None:
    """
    Run the event loop without further threads.

    When we are killed, the kernel signals our parts once for each thread that dies, and a daemon that is signalled
    again and again does not end cleanly.
    """
    if sys.version_info < (3, 12):  # from then on this is the default
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
    asyncio.run(course)


async def _demonstrate(settings: DemoSettings, engine: Engine | None) -> None:
    """Run one demonstration to its end, and end everything that it began."""
    try:
        keepsakes = recall(settings.keepsakes, SystemRandom())
    except OSError as error:
        raise DemoRefused(f"Cannot use {settings.keepsakes}: {error.strerror}.") from error
    supervisor = Supervisor(settings.logs, _environment(os.environ))
    for sign in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(sign, supervisor.ask_to_stop)
    plan = DemoPlan(settings, keepsakes, python=sys.executable)
    demonstration = Demonstration(settings, keepsakes, plan=plan, supervisor=supervisor, engine=engine)
    try:
        with suppress(StopAsked):
            await demonstration.run(click.echo)
    finally:
        with suppress(OSError):  # the terminal may be gone
            click.echo("Stopping.")
        await demonstration.end()


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave out settings of Plane that were meant for something else."""
    return {name: value for name, value in environment.items() if not name.startswith("PLANE_")}
