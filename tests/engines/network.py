"""
The machine's network as it was before a Docker engine changed it, to be put back afterwards.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
DEFAULT_BRIDGE = "docker0"


@dataclass(frozen=True)
class NetworkState:
    """What an engine touches outside of its own directories."""

    forwarding: str
    had_default_bridge: bool
    #: The text of iptables-save; tables that nobody has used yet are missing from it.
    tables: str

    @staticmethod
    def found() -> "NetworkState":
        return NetworkState(FORWARDING.read_text(), _has_link(DEFAULT_BRIDGE), _run("iptables-save"))

    def restore(self) -> None:
        """Put everything back. Tables that did not exist before become empty ones."""
        if not self.had_default_bridge and _has_link(DEFAULT_BRIDGE):
            _run("ip", "link", "delete", DEFAULT_BRIDGE)
        _run("iptables-restore", text=self.tables + emptied(_run("iptables-save"), but=self.tables))
        FORWARDING.write_text(self.forwarding)


def emptied(saved: str, *, but: str) -> str:
    """Rewrite saved tables without any rule or chain of their own, leaving out those that occur in `but`."""
    kept: list[str] = []
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = "" if line in but.splitlines() else line
        if not table:
            continue
        if line.startswith(":") and (chain := line[1:].split())[1] != "-":
            kept.append(f":{chain[0]} ACCEPT [0:0]")
        elif line == "COMMIT" or line.startswith("*"):
            kept.append(line)
    return "".join(f"{line}\n" for line in kept)


def add_bridge(name: str, address: str) -> None:
    """Make a bridge for an engine that shall not share the default one; `address` as 10.0.0.1/24."""
    _run("ip", "link", "add", name, "type", "bridge")
    _run("ip", "address", "add", address, "dev", name)
    _run("ip", "link", "set", name, "up")


def remove_bridge(name: str) -> None:
    if _has_link(name):
        _run("ip", "link", "delete", name)


def _has_link(name: str) -> bool:
    return Path("/sys/class/net", name).exists()


def _run(*argv: str, text: str | None = None) -> str:
    return subprocess.run(argv, input=text, capture_output=True, text=True, check=True).stdout
