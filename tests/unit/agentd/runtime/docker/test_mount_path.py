"""Where a backend's files live: never outside the base, never in another key's directory."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentd.runtime.docker.mount_path import MountPlan, MountRefused, directory_of_key, plan_mount, relative_parts
from protocol.keys import KeyConfig
from protocol.spawn import Executable
from tests.unit.agentd.runtime.orders import IMAGE, acquired, order

BASE = "/srv/mounts"
hostile = st.text(st.sampled_from("./\\%~ab\n\0é"), max_size=12) | st.text(max_size=300)
keys = st.builds(KeyConfig, name=hostile.filter(bool), namespace=hostile)


def mounted(mount: bool | str | None, *, key: bool = True, has_base: bool = True) -> MountPlan:
    asked = Executable(image=IMAGE, mount=mount)
    return plan_mount(order(asked, key=acquired() if key else None), has_base=has_base)


@given(hostile)
@example("../../etc")
@example("/etc")
@example("a/../../b")
def test_no_relative_path_leaves_the_base(path: str) -> None:
    """It is refused, or names something under the base that is not the base itself."""
    try:
        parts = relative_parts(path)
    except MountRefused:
        return
    real = posixpath.normpath(posixpath.join(BASE, *parts))
    assert real.startswith(BASE + "/")


@given(keys)
@example(KeyConfig(".."))
@example(KeyConfig("."))
@example(KeyConfig("../x"))
def test_no_key_leaves_the_base(key: KeyConfig) -> None:
    """A key's directory is one plain name that every file system takes."""
    name = directory_of_key(key)
    assert name not in ("", ".", "..")
    assert "/" not in name
    assert "\0" not in name
    assert len(name.encode()) <= 255


@given(keys, keys)
@example(KeyConfig("b", "a"), KeyConfig("a%.b"))
@example(KeyConfig("a.b"), KeyConfig("b", "a"))
@example(KeyConfig("x" * 250 + "a"), KeyConfig("x" * 250 + "b"))
@example(KeyConfig("."), KeyConfig("%2E"))
def test_two_keys_never_share_a_directory(one: KeyConfig, other: KeyConfig) -> None:
    """Unless they are one key; the tag is no part of that."""
    if (one.name, one.namespace) != (other.name, other.namespace):
        assert directory_of_key(one) != directory_of_key(other)


def test_an_ordinary_key_is_its_own_directory() -> None:
    """As operators know it from published drones."""
    assert directory_of_key(KeyConfig("room-1_a.b")) == "room-1_a.b"
    assert mounted(True) == MountPlan(("room-1",))


def test_a_relative_path_is_taken_apart() -> None:
    """Without what means nothing."""
    assert mounted("./a//b/") == MountPlan(("a", "b"))


@pytest.mark.parametrize("path", ["", ".", "./", "/", "/abs", "..", "a/..", "a/../b", "a\0b"])
def test_bad_paths_are_refused_also_where_no_mount_is_made(path: str) -> None:
    """The whole base is no mount either: it holds everybody's files."""
    with pytest.raises(MountRefused):
        mounted(path)
    with pytest.raises(MountRefused):
        mounted(path, has_base=False)


def test_what_is_left_out_says_why() -> None:
    """Without a base, or without a key to name it; not asking is no reason to warn."""
    assert mounted(True, has_base=False).left_out == "this drone has no mount base"
    assert mounted("a", has_base=False).left_out == "this drone has no mount base"
    assert mounted(True, key=False).left_out == "the backend has no key to name the mount"
    assert mounted(None) == mounted(False, has_base=False) == MountPlan()
