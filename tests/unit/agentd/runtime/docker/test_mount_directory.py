"""The way down from the mount base is walked, never jumped."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentd.runtime.docker.mount_directory import ensure_directory
from agentd.runtime.docker.mount_path import MountRefused


def test_directories_are_made_and_found_again(tmp_path: Path) -> None:
    """What is in them stays."""
    made = ensure_directory(tmp_path, ["a", "b"])
    (Path(made) / "file").write_text("kept")
    assert ensure_directory(tmp_path, ["a", "b"]) == made == str(tmp_path.resolve() / "a" / "b")
    assert (tmp_path / "a" / "b" / "file").read_text() == "kept"


@pytest.mark.parametrize("link", ["a", "a/b"])
def test_a_link_that_a_backend_left_is_not_followed(tmp_path: Path, link: str) -> None:
    """Neither in the middle nor at the end of the way."""
    base, outside = tmp_path / "base", tmp_path / "outside"
    outside.mkdir()
    place = base / link
    place.parent.mkdir(parents=True)
    place.symlink_to(outside)
    with pytest.raises(MountRefused):
        ensure_directory(base, ["a", "b"])
    assert list(outside.iterdir()) == []


def test_the_base_itself_may_be_a_link(tmp_path: Path) -> None:
    """It is the operator's own word."""
    (tmp_path / "real").mkdir()
    (tmp_path / "base").symlink_to(tmp_path / "real")
    assert ensure_directory(tmp_path / "base", ["a"]) == str(tmp_path.resolve() / "real" / "a")


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    """A file in the way, a name too long, a base that is gone."""
    (tmp_path / "file").write_text("")
    for base, parts in [(tmp_path, ["file"]), (tmp_path, ["x" * 300]), (tmp_path / "gone", ["a"])]:
        with pytest.raises(MountRefused):
            ensure_directory(base, parts)
