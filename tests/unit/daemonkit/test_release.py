"""What we say we are."""

from __future__ import annotations

from daemonkit.release import own_version


def test_the_commit_comes_from_the_build() -> None:
    """A build leaves its commit in the environment; without one it is unknown."""
    assert own_version({"PLANE_GIT_HASH": "abc"}).git_hash == "abc"
    assert own_version({}).git_hash == "unknown"
    assert own_version({}).version
