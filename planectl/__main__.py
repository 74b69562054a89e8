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


class _PassThrough(PlaneCommand):
    """A subcommand that hands everything after its name, --help too, to a part."""

    def __init__(self, name: str) -> None:
        super().__init__(name, callback=partial(become, name), add_help_option=False, help=SUMMARIES[name])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.params["arguments"] = tuple(args)
        return []


plane.add_command(admin)
plane.add_command(demo)
for _subcommand in MODULES:
    plane.add_command(_PassThrough(_subcommand))


def main() -> None:
    """Run `plane` with this process's arguments."""
    plane(prog_name="plane")


if __name__ == "__main__":
    main()
