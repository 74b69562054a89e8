"""Which program each part is."""

import pytest

from planectl.parts import MODULES, SUMMARIES, part_argv


def test_arguments_are_handed_on_untouched() -> None:
    """Flags, --help and odd values alike; the current folder stays off the module path."""
    argv = part_argv("/py", "drone", arguments=["--name", "dr-1", "--help", "a b"])
    assert argv == ["/py", "-P", "-m", "agentd", "--name", "dr-1", "--help", "a b"]


@pytest.mark.parametrize("subcommand", ["controller", "migrate"])
def test_two_parts_are_one_program(subcommand: str) -> None:
    """The control plane's own first word says which."""
    assert part_argv("/py", subcommand, arguments=[]) == ["/py", "-P", "-m", "plane_site", subcommand]


def test_each_part_says_what_it_is() -> None:
    assert MODULES.keys() == SUMMARIES.keys()
