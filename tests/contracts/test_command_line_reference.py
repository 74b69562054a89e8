"""
The reference of the command line against the commands themselves: no flag is missing there, and none is made up.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "command-line.md"
PLANE = Path(sys.executable).with_name("plane")

COMMANDS = {
    "plane controller": ["controller"],
    "plane drone": ["drone"],
    "plane proxy": ["proxy"],
    "plane migrate": ["migrate"],
    "plane demo": ["demo"],
    "connect": ["admin", "connect"],
    "terminate BACKEND": ["admin", "terminate"],
    "status, cluster-state CLUSTER, backend-status BACKEND": ["admin", "cluster-state"],
}


def flags_in_reference(heading: str) -> set[str]:
    section = re.split(r"^#+ ", REFERENCE.read_text(), flags=re.MULTILINE)
    (text,) = [part for part in section if part.startswith(heading + "\n")]
    return set(re.findall(r"^\| `(--[a-z-]+)`", text, re.MULTILINE))


def help_of(words: list[str]) -> str:
    # Whether a flag is required is judged before help only if it stands before the subcommand.
    controller = ["--controller=http://localhost"] if words[0] == "admin" else []
    argv = [str(PLANE), words[0], *controller, *words[1:], "--help"]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout


@pytest.mark.parametrize("heading", COMMANDS)
def test_the_reference_names_each_flag_and_no_other(heading: str) -> None:
    """Of every command."""
    flags = set(re.findall(r"^  (--[a-z-]+)", help_of(COMMANDS[heading]), re.MULTILINE))
    assert flags_in_reference(heading) == flags - {"--help"}


def test_the_reference_has_a_section_for_each_command() -> None:
    """A new subcommand cannot be forgotten."""
    listed = (
        help_of(["admin"])
        + subprocess.run([str(PLANE), "--help"], capture_output=True, text=True, check=True, timeout=30).stdout
    )
    commands = set(re.findall(r"^  ([a-z][a-z-]*)  ", listed, re.MULTILINE)) - {"admin"}
    text = REFERENCE.read_text()
    assert [name for name in commands if not re.search(rf"^#+ .*\b{name}\b", text, re.MULTILINE)] == []
