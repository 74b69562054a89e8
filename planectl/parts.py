"""
The parts of Plane that run for long, each a program of its own: which module it is, and how it takes over.

This process becomes the part (execv), so its flags, its exit status and its memory are its own, and none of its code
is loaded here.
"""

import os
import sys
from collections.abc import Sequence
from typing import Final

#: What stands before a part's own arguments, by subcommand.
MODULES: Final[dict[str, tuple[str, ...]]] = {
    "controller": ("plane_site", "controller"),
    "migrate": ("plane_site", "migrate"),
    "drone": ("agentd",),
    "proxy": ("proxyd",),
}

SUMMARIES: Final = {
    "controller": "Decide everything: the HTTP API, and the sockets of drones and proxies.",
    "migrate": "Bring the database's tables up to date.",
    "drone": "Run backends on this machine.",
    "proxy": "Lead users to their backends.",
}


def part_argv(python: str, subcommand: str, *, arguments: Sequence[str]) -> list[str]:
    """Return the command line of a part. The folder one stands in is kept off the module path (-P)."""
    return [python, "-P", "-m", *MODULES[subcommand], *arguments]


def become(subcommand: str, arguments: Sequence[str]) -> None:
    """Turn this process into a part; does not return."""
    sys.stdout.flush()
    os.execv(sys.executable, part_argv(sys.executable, subcommand, arguments=arguments))  # noqa: S606 - no shell is wanted
