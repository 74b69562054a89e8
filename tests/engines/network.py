"""
Bridges for Docker engines of our own. The default one is shared by all engines of a machine, addresses and all.
"""

import subprocess
from pathlib import Path


def add_bridge(name: str, address: str) -> None:
    """Make a bridge for one engine; `address` as 10.0.0.1/24."""
    _run("ip", "link", "add", name, "type", "bridge")
    _run("ip", "address", "add", address, "dev", name)
    _run("ip", "link", "set", name, "up")


def remove_bridge(name: str) -> None:
    if Path("/sys/class/net", name).exists():
        _run("ip", "link", "delete", name)


def _run(*argv: str) -> None:
    subprocess.run(argv, capture_output=True, check=True)
