"""
The `plane` command: every part of Plane under one name. Parts take over this process; clients run in it.
"""

import importlib.metadata
from functools import partial

import click

from options.command import PlaneCommand, PlaneGroup
from planectl.admin import admin
from planectl.demo.command import demo
from planectl.parts import MODULES, SUMMARIES, become


@click.group(cls=PlaneGroup)
def plane() -> None:
    """Run one session process per key on a fleet of machines, and lead browsers to it."""


@plane.command(epilog=None)
def version() -> None:
    """Print which version this is."""
    click.echo(f"plane {importlib.metadata.version('plane')}")


def _pass_through(subcommand: str) -> click.Command:
    """Return the subcommand that hands all its arguments, --help too, to a part."""
    return PlaneCommand(
        subcommand,
        callback=partial(_become, subcommand),
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": True},
        add_help_option=False,
        help=SUMMARIES[subcommand],
    )


def _become(subcommand: str, arguments: tuple[str, ...]) -> None:
    become(subcommand, arguments)


plane.add_command(admin)
plane.add_command(demo)
for _subcommand in MODULES:
    plane.add_command(_pass_through(_subcommand))


def main() -> None:
    """Run `plane` with this process's arguments."""
    plane(prog_name="plane")


if __name__ == "__main__":
    main()
