"""The `plane` command itself: what there is, and that parts get their arguments untouched."""

import os
import sys
from collections.abc import Sequence

import pytest
from click.testing import CliRunner

from planectl import __main__ as command


def test_help_lists_every_subcommand() -> None:
    """All of this version, and no more."""
    result = CliRunner().invoke(command.plane, ["--help"])
    listed = {line.split()[0] for line in result.stdout.partition("Commands:")[2].splitlines() if line.strip()}
    assert listed == {"admin", "controller", "demo", "drone", "migrate", "proxy", "version"}


def test_version() -> None:
    result = CliRunner().invoke(command.plane, ["version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("plane ")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["--db", "x", "--port=1", "-v", "word", "--", "--odd"]])
def test_a_part_gets_all_its_arguments(monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str]) -> None:
    """Its --help too, since only the part knows its flags."""
    taken: list[tuple[str, ...]] = []
    monkeypatch.setattr(os, "execv", lambda _, words: taken.append(tuple(words)))
    assert CliRunner().invoke(command.plane, ["drone", *arguments]).exit_code == 0
    assert taken == [(sys.executable, "-P", "-m", "agentd", *arguments)]


def test_an_unknown_subcommand_is_refused() -> None:
    assert CliRunner().invoke(command.plane, ["dorne"]).exit_code == 2
